"""Files of the Hub into the user's cache, going on where a transfer broke.

huggingface_hub's own downloads are not used: since 1.18 they begin anew after a cut, compare no checksum over plain HTTP, and
wait for a busy server as long as it asks.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vivit.hub.cache import HubFile, remember_commit
from vivit.hub.faults import HubError, redact, sentences
from vivit.progress import Progress

Arrived = Callable[[int], None]  # told how many bytes of a file are here; may raise to cancel

TRIES = 3  # connections in a row that may break without a megabyte gained
STEADY_BYTES = 1_000_000
NOTE_SECONDS = 0.2  # between two notes on a download


def check_space(files: list[HubFile]) -> None:
    """Refuse to begin what cannot fit on the cache's disk.

    Raises:
        HubError: if what is missing of the files is larger than the free space.
    """
    missing = [file for file in files if not file.cached]
    needed = sum(file.size_bytes - _size(_partial(file)) for file in missing)
    for folder in files[0].cache.parents if missing else ():
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
    blob = file.cache / "blobs" / file.etag
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


def fetch_all(files: list[HubFile], revision: str | None, asked: float, progress: Progress | None = None) -> Path:
    """Fetch every file of one commit, then note that it is the revision's; returns the snapshot's folder.

    Args:
        files: at least one.
        revision, asked: as `remember_commit`'s.
        progress: told the fraction and '124 of 356 MB, 11 MB/s, 20 s left'; what it raises keeps what has arrived.

    Raises:
        HubError: whatever fails.
    """
    check_space(files)
    meter = _Meter(progress, sum(file.size_bytes for file in files))
    for file in files:
        fetch(file, meter.of(file))
    first = files[0]
    remember_commit(first.repository, first.kind, revision, first.commit, asked, first.cache_dir)
    return first.path.parents[first.name.count("/")]


class _Meter:
    """Turns the bytes of several files into one fraction and a note."""

    def __init__(self, progress: Progress | None, size: int) -> None:
        self._progress, self._size = progress, max(size, 1)
        self._base = self._skipped = 0  # bytes of the files begun, and bytes that were here at the beginning
        self._began, self._said = time.monotonic(), 0.0
        self._note = ""

    def of(self, file: HubFile) -> Arrived:
        base, first = self._base, True
        self._base += file.size_bytes

        def arrived(here: int) -> None:
            nonlocal first
            if first:
                first = False
                self._skipped += here
            self._say(base + here)

        return arrived

    def _say(self, here: int) -> None:
        if self._progress is None:
            return
        now = time.monotonic()
        if now - self._said > NOTE_SECONDS or here == self._size:
            self._said, self._note = now, self._describe(here, now - self._began)
        self._progress(here / self._size, self._note)

    def _describe(self, here: int, seconds: float) -> str:
        rate = (here - self._skipped) / seconds if seconds > NOTE_SECONDS else 0.0
        if rate <= 0 or here >= self._size:
            return so_far(here, self._size)
        left = (self._size - here) / rate
        wait = f"{left:.0f} s" if left < 90 else f"{left / 60:.0f} min"
        return f"{so_far(here, self._size)}, {megabytes(int(rate))}/s, {wait} left"


def _partial(file: HubFile) -> Path:
    # A name of our own: other clients' partial files may have holes.
    return file.cache / "blobs" / f"{file.etag}.vivit.incomplete"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _lock(file: HubFile, arrived: Arrived) -> Iterator[None]:
    """Hold the lock all Hub clients take for this file, so that nothing is downloaded twice at a time."""
    from filelock import FileLock, Timeout

    folder = file.cache
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
    """Fill the partial file and compare its checksum; after a cut it goes on, and raises HubError after a few in a row."""
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
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

    here = _size(partial)
    url = hf_hub_url(file.repository, file.name, repo_type=file.kind, revision=file.commit)
    headers = (
        build_hf_headers(token=file.token)
        | {"Accept-Encoding": "identity"}
        | ({"Range": f"bytes={here}-"} if here else {})
    )
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
    """Link from a snapshot to a blob; where the file system has no links, copy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    fresh.unlink(missing_ok=True)
    try:
        fresh.symlink_to(os.path.relpath(blob, path.parent))
    except OSError:
        shutil.copyfile(blob, fresh)
    os.replace(fresh, path)


def megabytes(size: int) -> str:
    """'356 MB', or '3.6 MB' below ten, where one is a million bytes, as the Hub counts."""
    return f"{size / 1e6:,.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"


def so_far(here: int, size: int) -> str:
    """'124 of 356 MB'."""
    whole = megabytes(size)
    return f"{megabytes(here) if size < 1e7 else f'{here / 1e6:,.0f} MB'}".removesuffix(" MB") + f" of {whole}"
