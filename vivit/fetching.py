"""A clip by its address → a file on this machine, for as long as it is read.

For the library and the command line, whose user may reach whatever this machine reaches. The app never does this for a
visitor, who would reach the server's own network through it: no module of the app imports this one, by whatever way.
"""

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from vivit.errors import UserError

if TYPE_CHECKING:
    import httpx2

# The client is httpx2: huggingface_hub 2 depends on it, so it is here already. It is imported where it is used, as it is slow.

MOST_BYTES = 200 * 2**20  # as much as the app takes in an upload
MOST_SECONDS = 60.0
MOST_REDIRECTS = 5

OTHERWISE = "download the clip yourself and give the file's path"
CHECK = f"Check the address, or {OTHERWISE}."


class FetchError(UserError):
    """A clip that could not be fetched. Neither sentence nor details repeat what an address may hold of a secret."""


def is_address(text: str) -> bool:
    """Whether a text is an address, 'scheme://…' of whatever scheme, rather than a path; one letter is a drive of Windows."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def file_name(path: str) -> str:
    """The last part of a path, made a name that any file may have; 'clip' if nothing of it is left."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", path.rsplit("/", 1)[-1])[-100:].lstrip(".-") or "clip"


@contextmanager
def fetched(address: str, *, most_bytes: int = MOST_BYTES, most_seconds: float = MOST_SECONDS) -> Iterator[Path]:
    """Fetch a clip into a temporary file, which is removed at the end.

    Args:
        address: http:// or https://; a user and a password in it are sent as HTTP's basic authentication.
        most_bytes: of the clip.
        most_seconds: for all of the transfer, redirects included; only looking the host's name up may take longer.
    Yields:
        The file. Its name is the last part of the address's path, as far as that can be one.
    Raises:
        FetchError: if it cannot be fetched within the limits, in one sentence.
    """
    url = _parsed(address)
    with TemporaryDirectory(prefix="vivit-") as folder:
        path = Path(folder) / file_name(url.path)
        with _sentences(_shown(url), most_seconds), ThreadPoolExecutor(1) as thread:
            # In a thread of its own, since a notebook runs an event loop in its thread, and asyncio none within another.
            thread.submit(lambda: asyncio.run(_transfer(url, path, most_bytes, most_seconds))).result()
        yield path


def _parsed(address: str) -> "httpx2.URL":
    import httpx2

    try:
        url = httpx2.URL(address)
    except (httpx2.InvalidURL, ValueError):
        raise FetchError("This address cannot be understood. Give one such as https://host/clip.mp4.") from None
    if url.scheme not in ("http", "https"):
        raise FetchError(f"An address of {url.scheme}:// is not fetched. Give one of https:// or http://, or a path.")
    if not url.host or not 0 < (url.port or 80) < 2**16:
        raise FetchError(
            "This address names no host, or a port that cannot be. Give one such as https://host/clip.mp4."
        )
    return url


def _shown(url: "httpx2.URL") -> str:
    """An address without user, password and query, which may be or sign a secret."""
    path = url.raw_path.partition(b"?")[0]
    return f"'{url.scheme}://{(url.netloc + path).decode('ascii', 'replace')[:200]}'"


async def _transfer(url: "httpx2.URL", path: Path, most_bytes: int, most_seconds: float) -> None:
    import httpx2

    too_large = (
        f"{_shown(url)} is larger than {most_bytes / 2**20:g} MB, the limit. Give a smaller clip, or {OTHERWISE}."
    )
    # The client's own limits are for one read each, so that a server which drips would never meet them.
    async with (
        asyncio.timeout(most_seconds),
        httpx2.AsyncClient(timeout=None) as client,
        aclosing(await _answer(client, url)) as response,
    ):
        if (status := response.status_code) != HTTPStatus.OK:
            words = f" ({HTTPStatus(status).phrase})" if status in {*HTTPStatus} else ""
            raise FetchError(f"{_shown(url)} was answered with status {status}{words}. {CHECK}")
        promised, size = response.headers.get("Content-Length", ""), 0
        if promised.isdecimal() and int(promised) > most_bytes:
            raise FetchError(too_large)
        with path.open("wb") as file:
            async for piece in response.aiter_raw():
                size += len(piece)
                if size > most_bytes:  # whatever was promised
                    raise FetchError(too_large)
                file.write(piece)


async def _answer(client: "httpx2.AsyncClient", url: "httpx2.URL") -> "httpx2.Response":
    """The first answer that is no redirect; its body is yet to be read."""
    # Uncompressed, and kept as it comes: there is no bound to what a few compressed bytes unpack to.
    request = client.build_request("GET", url, headers={"Accept-Encoding": "identity"})
    for _ in range(MOST_REDIRECTS + 1):
        response = await client.send(request, stream=True)
        if response.next_request is None:
            return response
        await response.aclose()
        request = response.next_request
        if request.url.scheme not in ("http", "https"):
            raise FetchError(f"{_shown(url)} was redirected to what is neither https:// nor http://. {CHECK}")
    raise FetchError(f"{_shown(url)} was redirected more than {MOST_REDIRECTS} times. {CHECK}")


@contextmanager
def _sentences(shown: str, most_seconds: float) -> Iterator[None]:
    """Turn whatever else goes wrong into a `FetchError`, without the words of the client, which may repeat the address."""
    import httpx2

    try:
        yield
        return
    except FetchError:
        raise
    except TimeoutError:
        sentence = f"{shown} did not arrive within {most_seconds:g} s, the limit. Try again, or {OTHERWISE}."
    except httpx2.ConnectError as error:
        unknown = re.search(r"Errno -\d|getaddrinfo|name resolution|nodename", str(error))
        fault = "could not be looked up" if unknown else "cannot be reached"
        sentence = f"The host of {shown} {fault}. Check the address and the network."
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, ArithmeticError, ExceptionGroup):  # the last of anyio's
        sentence = f"The connection broke while {shown} was fetched. Try again, or {OTHERWISE}."
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        sentence = f"{shown} could not be written to the temporary folder ({why}). Free some space, or set TMPDIR."
    raise FetchError(sentence) from None
