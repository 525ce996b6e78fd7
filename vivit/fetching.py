"""A clip or a checkpoint by its address → a file on this machine, for as long as it is read.

For the library and the command line, whose user may reach whatever this machine reaches. The app never does this for a
visitor, who would reach the server's own network through it: no module of the app imports this one, by whatever way.
"""

import asyncio
import re
from collections.abc import Coroutine, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vivit.errors import UserError
from vivit.progress import Progress
from vivit.temporary import temporary_folder

if TYPE_CHECKING:
    import httpx2

# The client is httpx2: huggingface_hub 2 depends on it, so it is here already. It is imported where it is used, as it is slow.

MOST_BYTES = 200 * 2**20  # as much as the app takes in an upload
MOST_SECONDS = 60.0
MOST_REDIRECTS = 5
TOLD_EVERY = 2**20  # bytes


class FetchError(UserError):
    """An address that could not be fetched. Neither sentence nor details repeat a secret that the address may hold."""


def is_address(text: str) -> bool:
    """Whether a text is an address, 'scheme://…' of whatever scheme, rather than a path; one letter is a drive of Windows."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def file_name(path: str) -> str:
    """The last part of a path, made a name that any file may have; 'clip' if nothing of it is left."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", path.rsplit("/", 1)[-1])[-100:].lstrip(".-") or "clip"


@contextmanager
def fetched(
    address: str,
    *,
    most_bytes: int = MOST_BYTES,
    most_seconds: float = MOST_SECONDS,
    given_up: Future[None] | None = None,
    what: str = "clip",
    progress: Progress | None = None,
) -> Iterator[Path]:
    """Fetch a clip, or something else, into a temporary file, which is removed at the end.

    Args:
        address: http:// or https://; a user and a password in it are sent as HTTP's basic authentication.
        most_bytes: of the file.
        most_seconds: for all of the transfer, redirects included; only looking the host's name up may take longer.
        given_up: once this is done, nobody waits for the file any more, and the transfer is broken off.
        what: what the file is called in sentences.
        progress: told after every megabyte and at the end, in the thread of the transfer; the fraction stays 0 until the end if
            no length was promised.

    Yields:
        The file. Its name is the last part of the address's path, as far as that can be one.

    Raises:
        FetchError: if it cannot be fetched within the limits, in one sentence.
        concurrent.futures.CancelledError: if `given_up` was done first.
    """
    transfer = _Transfer(_parsed(address, what), what, most_bytes, most_seconds, progress)
    with temporary_folder() as folder:
        path = folder / file_name(transfer.url.path)
        with _sentences(transfer):
            _run_apart(_run(transfer, path), [given_up] if given_up else [])
        yield path


@dataclass(frozen=True)
class _Transfer:
    """What is fetched, within which limits: as `fetched` has them."""

    url: "httpx2.URL"
    what: str
    most_bytes: int
    most_seconds: float
    progress: Progress | None

    @property
    def shown(self) -> str:
        """The address without user, password and query, which may be or sign a secret."""
        path = self.url.raw_path.partition(b"?")[0]
        return f"'{self.url.scheme}://{(self.url.netloc + path).decode('ascii', 'replace')[:200]}'"

    @property
    def otherwise(self) -> str:
        return f"download the {self.what} yourself and give the file's path"

    @property
    def check(self) -> str:
        return f"Check the address, or {self.otherwise}."


def _run_apart(transfer: Coroutine[Any, Any, None], given_up: list[Future[None]]) -> None:
    """Run a transfer in a thread of its own: a notebook's thread has an event loop, and asyncio runs none within another.

    Ctrl-C is met by whoever waits here, and the transfer is broken off then, as when it is given up.
    """
    loop = asyncio.new_event_loop()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(transfer)

    def cancel() -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel()

    thread = ThreadPoolExecutor(1, "vivit-fetch")
    done = thread.submit(run)
    try:
        wait([done, *given_up], return_when=FIRST_COMPLETED)
        if not done.done():
            raise CancelledError
        done.result()
    except BaseException:
        with suppress(RuntimeError):  # the loop is closed where the transfer has ended
            loop.call_soon_threadsafe(cancel)
        wait([done], timeout=1)  # looking a name up cannot be broken off, and leaves no file
        raise
    finally:
        thread.shutdown(wait=False)


def _parsed(address: str, what: str) -> "httpx2.URL":
    import httpx2

    like = f"https://host/{'clip.mp4' if what == 'clip' else what}"

    try:
        url = httpx2.URL(address)
    except (httpx2.InvalidURL, ValueError):
        raise FetchError(f"This address cannot be understood. Give one such as {like}.") from None
    if url.scheme not in ("http", "https"):
        raise FetchError(f"An address of {url.scheme}:// is not fetched. Give one of https:// or http://, or a path.")
    if not url.host or not 0 < (url.port or 80) < 2**16:
        raise FetchError(f"This address names no host, or a port that cannot be. Give one such as {like}.")
    return url


async def _run(transfer: _Transfer, path: Path) -> None:
    shown, most_bytes = transfer.shown, transfer.most_bytes
    too_large = (
        f"{shown} is larger than {most_bytes / 2**20:g} MB, the limit. Give a smaller {transfer.what}, or "
        f"{transfer.otherwise}."
    )
    async with (
        asyncio.timeout(transfer.most_seconds),
        _client() as client,
        aclosing(await _answer(client, transfer)) as response,
    ):
        if (status := response.status_code) != HTTPStatus.OK:
            words = f" ({HTTPStatus(status).phrase})" if status in {*HTTPStatus} else ""
            raise FetchError(f"{shown} was answered with status {status}{words}. {transfer.check}")
        promised, size = response.headers.get("Content-Length", ""), 0
        if promised.isdecimal() and int(promised) > most_bytes:
            raise FetchError(too_large)
        whole = int(promised) if promised.isdecimal() else 0
        told = 0
        with _writing(shown), path.open("wb") as file:
            async for piece in response.aiter_raw():
                size += len(piece)
                if size > most_bytes:  # whatever was promised
                    raise FetchError(too_large)
                file.write(piece)
                if transfer.progress and size - told >= TOLD_EVERY:
                    told = size
                    of = f" of {whole / 2**20:.0f}" if whole else ""
                    transfer.progress(size / whole if whole else 0.0, f"{path.name}: {size / 2**20:.0f}{of} MB")
        if transfer.progress:
            transfer.progress(1.0, f"{path.name}: {size / 2**20:.0f} MB")


def _client() -> "httpx2.AsyncClient":
    """A client. Raises FetchError if the proxies or certificates that the environment names are of no use."""
    import httpx2

    try:
        # The client's own limits are for one read each, so that a server which drips would never meet them.
        return httpx2.AsyncClient(timeout=None)
    except (httpx2.InvalidURL, ImportError, ValueError, OSError):
        raise FetchError(
            "What this machine sets for proxies or certificates cannot be used. Correct or unset HTTPS_PROXY, HTTP_PROXY, "
            "ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR."
        ) from None


@contextmanager
def _writing(shown: str) -> Iterator[None]:
    """Turn an OSError into a `FetchError` about the file: faults of the network are of the client's own classes."""
    try:
        yield
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise FetchError(
            f"{shown} could not be written to the temporary folder ({why}). Free some space, or set TMPDIR."
        ) from None


async def _answer(client: "httpx2.AsyncClient", transfer: _Transfer) -> "httpx2.Response":
    """The first answer that is no redirect; its body is yet to be read."""
    # Uncompressed, and kept as it comes: there is no bound to what a few compressed bytes unpack to.
    request = client.build_request("GET", transfer.url, headers={"Accept-Encoding": "identity"})
    for _ in range(MOST_REDIRECTS + 1):
        response = await client.send(request, stream=True)
        if response.next_request is None:
            return response
        await response.aclose()
        request = response.next_request
        if request.url.scheme not in ("http", "https"):
            raise FetchError(
                f"{transfer.shown} was redirected to what is neither https:// nor http://. {transfer.check}"
            )
    raise FetchError(f"{transfer.shown} was redirected more than {MOST_REDIRECTS} times. {transfer.check}")


@contextmanager
def _sentences(transfer: _Transfer) -> Iterator[None]:
    """Turn whatever goes wrong into a `FetchError`, without the words of the client, which may repeat the address."""
    import httpx2

    shown, otherwise = transfer.shown, transfer.otherwise
    try:
        yield
        return
    except FetchError as error:  # raised anew: its traceback and asyncio's frames would hold each other
        sentence = str(error)
    except TimeoutError:
        sentence = f"{shown} did not arrive within {transfer.most_seconds:g} s, the limit. Try again, or {otherwise}."
    except httpx2.ConnectError as error:
        said = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in said:
            sentence = (
                f"The certificate of the host of {shown} is not trusted on this machine. Set SSL_CERT_FILE to a file of "
                f"certificates that are, or {otherwise}."
            )
        elif "SSL" in said:
            sentence = f"The host of {shown} does not answer as https:// wants it (TLS failed). {transfer.check}"
        else:
            unknown = re.search(r"Errno -\d|getaddrinfo|name resolution|nodename", said)
            fault = "could not be looked up" if unknown else "cannot be reached"
            sentence = f"The host of {shown} {fault}. Check the address, the network, and the proxy if there is one."
    except httpx2.ProxyError:
        sentence = f"The proxy of this machine refused to fetch {shown}. Correct or unset HTTPS_PROXY, or {otherwise}."
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, ArithmeticError, ExceptionGroup):  # anyio's last
        again = f"Try again, look at the proxy if there is one, or {otherwise}."
        sentence = f"The connection broke while {shown} was fetched. {again}"
    raise FetchError(sentence) from None
