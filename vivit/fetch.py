"""The Hugging Face Hub's answers and files: time-outs, resumption, checksums, every fault a sentence. Knows no model.

Files land in the user's ordinary Hub cache, in the layout all clients share. huggingface_hub lends its session, its
headers, its token and its errors, but not its downloads: since 1.18 they begin anew after a cut, compare no checksum
over plain HTTP, and wait for a busy server as long as it asks. It is imported on first use.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Arrived = Callable[[int], None]  # told how many bytes of a file are here; may raise to cancel

TRIES = 3  # connections in a row that may break without a megabyte gained
STEADY_BYTES = 1_000_000
ANSWER_TIMEOUTS = 3  # an answer that trickles in may take as many times the time-out of one read
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
STILL = "What is embedded or already downloaded still works."


class HubError(OSError):
    """A checkpoint or clip could not be found or fetched; the message says what to do, `details` quotes the client."""

    expected = True

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


@dataclass(frozen=True)
class HubFile:
    """One file of a repository, pinned to a commit.

    Args:
        repository: 'owner/name'.
        kind: 'model' or 'dataset'.
        commit: 40 hexadecimal digits.
        name: its path in the repository.
        size_bytes: its length.
        etag: the SHA-256 of its content, or the SHA-1 git gives it if it is small: what the Hub calls it, and what the
            cache names it.
    """

    repository: str
    kind: str
    commit: str
    name: str
    size_bytes: int
    etag: str

    def __post_init__(self) -> None:
        path = PurePosixPath(self.name)
        if path.is_absolute() or {"..", ""} & set(self.name.split("/")) or "\\" in self.name:
            raise HubError(f"'{self.repository}' lists a file with an impossible name. Choose another.", self.name)
        if not (re.fullmatch(r"[0-9a-f]{40}", self.commit) and re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", self.etag)):
            raise HubError(NOT_THE_HUB, f"commit {self.commit!r}, etag {self.etag!r}")

    @property
    def path(self) -> Path:
        """Where the cache has it, or would."""
        return cache_folder(self.repository, self.kind) / "snapshots" / self.commit / self.name

    @property
    def cached(self) -> bool:
        """Whether it is here, whole."""
        return self.path.is_file() and self.path.stat().st_size == self.size_bytes


NOT_THE_HUB = (
    "What answers at the Hub's address is not a Hugging Face Hub. Check HF_ENDPOINT, your proxy and your network."
)


def cache_folder(repository: str, kind: str = "model") -> Path:
    """The folder of one repository in the user's Hub cache (HF_HOME or HF_HUB_CACHE say where)."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    with sentences(repository):
        return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type=kind)


def cached_commit(repository: str, kind: str, revision: str | None) -> str | None:
    """The commit a revision stood for when it was last downloaded; a commit is its own."""
    revision, folder = revision or "main", cache_folder(repository, kind)
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision
    if {"..", ""} & set(revision.split("/")):
        raise HubError(f"'{revision}' is not a revision. Give a branch, a tag or a commit.")
    with suppress(OSError, ValueError):
        return (folder / "refs" / revision).read_text(encoding="utf-8").strip()
    return None


def remember_commit(repository: str, kind: str, revision: str | None, commit: str) -> None:
    """Note what a revision stands for, so that it can be found offline. Call it once the files are here."""
    if cached_commit(repository, kind, revision) != commit:
        reference = cache_folder(repository, kind) / "refs" / (revision or "main")
        with sentences(repository):
            reference.parent.mkdir(parents=True, exist_ok=True)
            partial = reference.with_name(f"{reference.name}.{os.getpid()}.tmp")
            partial.write_text(commit, encoding="utf-8")
            os.replace(partial, reference)


def ask(path: str, repository: str, **parameters: str) -> Iterator[Any]:
    """The Hub's JSON answers to one question, page by page.

    Args:
        path: on the Hub, from '/api/'.
        repository: the one asked about, for the sentences.
        parameters: of the query.
    Raises:
        HubError: whatever fails.
    """
    from huggingface_hub import constants, get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    timeout = constants.HF_HUB_ETAG_TIMEOUT
    while True:
        deadline, body = time.monotonic() + ANSWER_TIMEOUTS * timeout, bytearray()
        with sentences(repository):
            url = f"{constants.ENDPOINT}{path}"
            with get_session().stream(
                "GET", url, params=parameters, headers=build_hf_headers(), timeout=timeout
            ) as answer:
                hf_raise_for_status(answer)
                for chunk in answer.iter_bytes():
                    body += chunk
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"no whole answer in {ANSWER_TIMEOUTS * timeout} s from {url}")
            try:
                page = json.loads(body)
            except ValueError as error:
                raise HubError(NOT_THE_HUB, f"{url}: {error}") from error
        yield page
        following = answer.links.get("next", {}).get("url")
        if not following:
            return
        # Only the cursor is taken from the link: the token goes to nobody but the Hub's own address.
        parameters = dict(parse_qsl(urlsplit(following).query))


def find_file(repository: str, kind: str, revision: str | None, name: str) -> HubFile:
    """Ask the Hub for the commit, size and checksum of one file.

    Raises:
        HubError: whatever fails.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    with sentences(repository):
        url = hf_hub_url(repository, name, repo_type=kind, revision=revision)
        known = get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    if known.size is None:
        raise HubError(NOT_THE_HUB, f"no size for {url}")
    return HubFile(repository, kind, known.commit_hash or "", name, known.size, known.etag or "")


def check_space(files: list[HubFile]) -> None:
    """Refuse to begin what cannot fit on the cache's disk.

    Raises:
        HubError: if the files that are missing are larger than what is free.
    """
    missing = [file for file in files if not file.cached]
    needed = sum(file.size_bytes - _size(_partial(file)) for file in missing)
    for folder in cache_folder(files[0].repository, files[0].kind).parents if missing else ():
        if folder.exists():
            free = shutil.disk_usage(folder).free
            if needed > free:
                raise HubError(
                    f"The disk of the Hub cache has {megabytes(free)} free, and {megabytes(needed)} are needed. Free "
                    "some space, or set HF_HOME to a folder on another disk.",
                    str(folder),
                )
            return


def fetch(file: HubFile, arrived: Arrived = lambda size: None) -> Path:
    """Bring one file into the cache, going on from what an earlier attempt left.

    Args:
        file: which.
        arrived: called with the bytes that are here, often; what it raises ends the fetch and keeps them.
    Returns:
        Its path in the cache, of the right length and checksum.
    Raises:
        HubError: whatever fails.
    """
    if file.cached:
        arrived(file.size_bytes)
        return file.path
    blob = cache_folder(file.repository, file.kind) / "blobs" / file.etag
    partial = _partial(file)
    with sentences(file.repository):
        blob.parent.mkdir(parents=True, exist_ok=True)
        with _lock(file, arrived):
            if _size(blob) != file.size_bytes:
                _receive(file, partial, arrived)
                os.replace(partial, blob)
            _link(blob, file.path)
    arrived(file.size_bytes)
    return file.path


def _partial(file: HubFile) -> Path:
    # A name of our own: other clients' partial files may have holes.
    return cache_folder(file.repository, file.kind) / "blobs" / f"{file.etag}.vivit.incomplete"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _lock(file: HubFile, arrived: Arrived) -> Iterator[None]:
    """Hold the lock all Hub clients take for this file, so that nothing is downloaded twice at a time."""
    from filelock import FileLock, Timeout

    folder = cache_folder(file.repository, file.kind)
    path = folder.parent / ".locks" / folder.name / f"{file.etag}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, mode=0o664)
    try:
        while not lock.is_locked:
            with suppress(Timeout):
                lock.acquire(timeout=0.25)
            arrived(_size(_partial(file)))
        yield
    finally:
        lock.release()


def _receive(file: HubFile, partial: Path, arrived: Arrived) -> None:
    """Fill the partial file and compare its checksum; a cut is mended a few times, then told."""
    import httpx2

    if _size(partial) > file.size_bytes:
        partial.unlink()
    partial.touch()
    tries, before = TRIES, _size(partial)
    while _size(partial) < file.size_bytes:
        try:
            _stream(file, partial, arrived)
        except httpx2.TransportError as error:
            here = _size(partial)
            tries = TRIES if here - before >= STEADY_BYTES else tries - 1
            if not tries:
                if not here:
                    raise  # it never began: the reason says more than 'was cut'
                raise HubError(
                    f"The connection to the Hub was cut at {so_far(here, file.size_bytes)} of {file.name}. What has "
                    "arrived is kept: try again to go on from there.",
                    redact(error),
                ) from error
            before = here
            arrived(here)
            time.sleep(0.3)
    if _checksum(partial, file) != file.etag:
        partial.unlink()
        raise HubError(
            f"{file.name} of '{file.repository}' arrived damaged: its checksum is not the one the Hub gives. It was "
            "deleted; try again. If it happens twice, something on the way alters files.",
            f"expected {file.etag}",
        )


def _stream(file: HubFile, partial: Path, arrived: Arrived) -> None:
    """One connection: ask for what is missing and append it."""
    from huggingface_hub import constants, get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    here = _size(partial)
    url = hf_hub_url(file.repository, file.name, repo_type=file.kind, revision=file.commit)
    headers = build_hf_headers() | {"Accept-Encoding": "identity"} | ({"Range": f"bytes={here}-"} if here else {})
    with get_session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as answer:
        hf_raise_for_status(answer)
        here = here if answer.status_code == 206 else 0
        with partial.open("ab" if here else "wb") as output:
            arrived(here)
            for chunk in answer.iter_bytes():
                output.write(chunk)
                here += len(chunk)
                if here > file.size_bytes:
                    break
                arrived(here)
    if here != file.size_bytes:
        partial.unlink()
        raise HubError(
            f"The Hub sent {here:,} bytes of {file.name} where it had promised {file.size_bytes:,}. They were deleted; "
            "try again, and if it happens twice tell the owner of the repository.",
            url,
        )


def _checksum(path: Path, file: HubFile) -> str:
    if len(file.etag) == 64:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _link(blob: Path, path: Path) -> None:
    """Point from a snapshot to a blob; where there are no links, copy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    fresh.unlink(missing_ok=True)
    try:
        fresh.symlink_to(os.path.relpath(blob, path.parent))
    except OSError:
        shutil.copyfile(blob, fresh)
    os.replace(fresh, path)


def megabytes(size: int) -> str:
    """'356 MB': a million bytes, as the Hub counts; less than ten with a digit after the point."""
    return f"{size / 1e6:,.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"


def so_far(here: int, size: int) -> str:
    """'124 of 356 MB'."""
    whole = megabytes(size)
    return f"{megabytes(here) if size < 1e7 else f'{here / 1e6:,.0f} MB'}".removesuffix(" MB") + f" of {whole}"


@contextmanager
def sentences(repository: str) -> Iterator[None]:
    """Turn whatever the client, the network or the disk raises into a `HubError` about this repository."""
    import httpx2
    from huggingface_hub.errors import HFValidationError

    try:
        yield
    except HubError:
        raise
    except (OSError, httpx2.HTTPError, httpx2.InvalidURL, HFValidationError) as error:
        raise HubError(_sentence(error, repository), redact(error)) from None


def redact(error: Exception) -> str:
    """The client's own words, without the token and without what signs an address."""
    from huggingface_hub import get_token

    text = re.sub(r"(https?://[^\s'\"?]+)\?[^\s'\"]+", r"\1?…", f"{type(error).__name__}: {error}")
    token = get_token()
    return text.replace(token, "…") if token else text


def _sentence(error: Exception, repository: str) -> str:
    import httpx2
    from huggingface_hub import constants, errors

    host = urlsplit(constants.ENDPOINT).hostname
    if isinstance(error, errors.HFValidationError):
        return (
            f"'{repository}' is not the name of a Hub repository. Give one such as 'google/vivit-b-16x2-kinetics400'."
        )
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"'{repository}' is not on this machine, and HF_HUB_OFFLINE is set. Unset it to ask the Hub. {STILL}"
    if isinstance(error, errors.HfHubHTTPError):
        return _refusal(error, repository)
    if isinstance(error, httpx2.ProxyError):
        return f"The proxy between this machine and the Hub refused '{repository}'. Check HTTPS_PROXY. {STILL}"
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return f"The Hub ({host}) did not answer in time about '{repository}'. Try again in a while. {STILL}"
    if isinstance(error, httpx2.ConnectError):
        if re.search(r"Errno -\d|getaddrinfo|name resolution|nodename", str(error)):
            return f"The Hub's address ({host}) could not be looked up. Check the network and its DNS. {STILL}"
        return f"The Hub ({host}) cannot be reached. Check the network, then try again. {STILL}"
    if isinstance(error, httpx2.HTTPError | httpx2.InvalidURL):
        return f"The connection to the Hub ({host}) broke while asking about '{repository}'. Try again. {STILL}"
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return (
            "The disk of the Hub cache is full. Free some space, or set HF_HOME to a folder on another disk, and try "
            "again: what has arrived is kept."
        )
    return (
        f"The Hub cache cannot be written ({(getattr(error, 'strerror', None) or type(error).__name__).lower()}). "
        "Check its permissions, or set HF_HOME to a folder of yours."
    )


def _refusal(error: Any, repository: str) -> str:
    """An answer of the Hub that is an error."""
    from huggingface_hub import errors

    answer = error.response
    log_in = "log in with `hf auth login` or set HF_TOKEN"
    if isinstance(error, errors.GatedRepoError):
        return (
            f"'{repository}' is gated: accept its conditions at https://huggingface.co/{repository}, then {log_in}, "
            "and try again."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return (
            f"'{repository}' has no such revision. Leave it empty for the newest, or give a branch, a tag or a commit."
        )
    if isinstance(error, errors.EntryNotFoundError):
        return f"'{repository}' has no such file ({urlsplit(str(answer.url)).path.rsplit('/', 1)[-1]}). Choose another."
    if isinstance(error, errors.DisabledRepoError):
        return f"'{repository}' has been disabled on the Hub. Choose another."
    if "Invalid credentials" in answer.headers.get("X-Error-Message", ""):
        return f"The Hub does not accept your token: it is mistyped, expired or revoked. Get a new one, then {log_in}."
    if isinstance(error, errors.RepositoryNotFoundError) or answer.status_code in (401, 404):
        return f"There is no public repository '{repository}' on the Hub. Check its name; if it is private, {log_in}."
    if answer.status_code == 403:
        return f"Your token may not read '{repository}'. Give it the permission on the Hub, or {log_in} with another."
    if answer.status_code == 429:
        return f"The Hub asks this machine to wait{_wait(answer.headers)} before the next request. {STILL}"
    if answer.status_code >= 500:
        return f"The Hub has a fault of its own ({answer.status_code}). Try again in a while. {STILL}"
    return f"The Hub refused '{repository}' ({answer.status_code}). Check its name and try again. {STILL}"


def _wait(headers: Any) -> str:
    from huggingface_hub.utils import parse_ratelimit_headers

    limit = parse_ratelimit_headers(headers)
    seconds = headers.get("Retry-After", "")
    if limit is not None and limit.remaining == 0:
        seconds = str(limit.reset_in_seconds)
    return f" {seconds} seconds" if seconds.isdigit() else " a while"
