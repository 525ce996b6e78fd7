"""The user's Hub cache, in the layout all clients share: what is in it, and how more gets in. Knows no model.

Questions are asked by huggingface_hub, which is imported on first use; its downloads are not used: since 1.18 they begin
anew after a cut, compare no checksum over plain HTTP, and wait for a busy server as long as it asks.
"""

import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

from vivit.hub.faults import NOT_THE_HUB, HubError, redact, sentences
from vivit.progress import Progress

Answer = TypeVar("Answer")
Arrived = Callable[[int], None]  # told how many bytes of a file are here; may raise to cancel

TRIES = 3  # connections in a row that may break without a megabyte gained
STEADY_BYTES = 1_000_000
ANSWER_TIMEOUTS = 3  # an answer that trickles in may take as many times the time-out of one read
NOTE_SECONDS = 0.2  # between two notes on a download


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
        token, cache_dir: as in `HubOptions`.
    """

    repository: str
    kind: str
    commit: str
    name: str
    size_bytes: int
    etag: str
    token: str | bool | None = field(default=None, repr=False)
    cache_dir: str | Path | None = None

    def __post_init__(self) -> None:
        path = PurePosixPath(self.name)
        if path.is_absolute() or {"..", ""} & set(self.name.split("/")) or "\\" in self.name:
            raise HubError(f"'{self.repository}' lists a file with an impossible name. Choose another.", self.name)
        if not (re.fullmatch(r"[0-9a-f]{40}", self.commit) and re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", self.etag)):
            raise HubError(NOT_THE_HUB, f"commit {self.commit!r}, etag {self.etag!r}")

    @property
    def path(self) -> Path:
        """Where the cache has it, or would."""
        return self.cache / "snapshots" / self.commit / self.name

    @property
    def cache(self) -> Path:
        """The folder of its repository in the cache."""
        return cache_folder(self.repository, self.kind, self.cache_dir)

    @property
    def cached(self) -> bool:
        """Whether it is here, whole."""
        return self.path.is_file() and self.path.stat().st_size == self.size_bytes


def cache_folder(repository: str, kind: str = "model", cache_dir: str | Path | None = None) -> Path:
    """The folder of one repository in the Hub's cache. Args: cache_dir: as in `HubOptions`."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    with sentences(repository):
        return Path(cache_dir or constants.HF_HUB_CACHE).expanduser() / repo_folder_name(
            repo_id=repository, repo_type=kind
        )


def cached_commit(repository: str, kind: str, revision: str | None, cache_dir: str | Path | None = None) -> str | None:
    """The commit a revision stood for when it was last downloaded; a commit is its own."""
    revision, folder = revision or "main", cache_folder(repository, kind, cache_dir)
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision
    if {"..", ""} & set(revision.split("/")):
        raise HubError(f"'{revision}' is not a revision. Give a branch, a tag or a commit.")
    with suppress(OSError, ValueError):
        return (folder / "refs" / revision).read_text(encoding="utf-8").strip()
    return None


def remember_commit(
    repository: str,
    kind: str,
    revision: str | None,
    commit: str,
    asked: float,
    cache_dir: str | Path | None = None,
) -> None:
    """Note what a revision stands for, so that it can be found offline. Call it once the files are here.

    Args:
        asked: when the Hub was asked, by `time.time`. What was asked later stays: this file is everybody's, and what it says
            is as old as the question.
    """
    revision = revision or "main"
    if revision == commit:
        return
    reference = cache_folder(repository, kind, cache_dir) / "refs" / revision
    with sentences(repository):
        if reference.exists() and reference.stat().st_mtime > asked:
            return
        if cached_commit(repository, kind, revision, cache_dir) != commit:
            reference.parent.mkdir(parents=True, exist_ok=True)
            partial = reference.with_name(f"{reference.name}.{os.getpid()}.tmp")
            partial.write_text(commit, encoding="utf-8")
            os.replace(partial, reference)
        with suppress(OSError):  # another user's, which says what it should
            os.utime(reference, (asked, asked))


def remember_absent(
    repository: str, kind: str, commit: str, names: list[str], cache_dir: str | Path | None = None
) -> None:
    """Note that a commit has no files of these names, where every client of the Hub looks for that."""
    folder = cache_folder(repository, kind, cache_dir) / ".no_exist" / commit
    with suppress(OSError):  # another user's cache, or a full disk: then it is asked again
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()


def known_absent(snapshot: Path, name: str) -> bool:
    """Whether the commit in this folder of the cache is known to have no file of that path."""
    return (snapshot.parents[1] / ".no_exist" / snapshot.name / name).is_file()


def ask(repository: str, question: Callable[[], Answer]) -> Answer:
    """What the Hub answers, in time: one that says nothing, or a byte a second, holds nobody.

    Args:
        repository: the one asked about, for the sentences.
        question: a call of huggingface_hub, which has no time-out for a whole answer, and for some none at all.
    Raises:
        HubError: whatever fails.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError

    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(question())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    seconds = ANSWER_TIMEOUTS * constants.HF_HUB_ETAG_TIMEOUT
    with sentences(repository):
        try:
            return answer.result(seconds)
        except TimeoutError as error:
            raise TimeoutError(f"no whole answer in {seconds} s. {error}") from error
        except (HFValidationError, HubError):
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:  # what it sent is not what a Hub sends
            raise HubError(NOT_THE_HUB, redact(error)) from error


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
        asked: see `remember_commit`.
        progress: told the fraction and '124 of 356 MB, 11 MB/s, 20 s left'; what it raises keeps what has arrived.
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
        self._base = self._skipped = 0  # bytes of the files before, and bytes that were here before
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
