"""The user's Hub cache, in the layout all clients share: what is in it, and what the Hub says of a file. Knows no model.

Questions are asked by huggingface_hub, which is imported on first use.
"""

import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

from vivit.hub.faults import NOT_THE_HUB, HubError, redact, sentences

Answer = TypeVar("Answer")

ANSWER_TIMEOUTS = 3  # a whole answer may take this many times the time-out of one read


@dataclass(frozen=True)
class HubFile:
    """One file of a repository, pinned to a commit.

    Args:
        repository: 'owner/name'.
        kind: 'model' or 'dataset'.
        commit: 40 hexadecimal digits.
        name: its path in the repository.
        size_bytes: its length.
        etag: the SHA-256 of its content, or the SHA-1 git gives it if it is small: the name that Hub and cache have for it.
        token, cache_dir: as in `HubOptions`.

    Raises:
        HubError: for a name, a commit or an etag that no Hub gives.
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
    """The folder of one repository in the Hub's cache.

    Args:
        repository: 'owner/name'.
        kind: 'model' or 'dataset'.
        cache_dir: as in `HubOptions`.

    Raises:
        HubError: if no repository can have that name.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    with sentences(repository):
        return Path(cache_dir or constants.HF_HUB_CACHE).expanduser() / repo_folder_name(
            repo_id=repository, repo_type=kind
        )


def cached_commit(repository: str, kind: str, revision: str | None, cache_dir: str | Path | None = None) -> str | None:
    """The commit a revision stood for when last downloaded; a commit stands for itself. Raises HubError if none is possible."""
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
        repository, kind, cache_dir: as `cache_folder`'s.
        revision: a branch, a tag or a commit; None for 'main'.
        commit: what it stands for.
        asked: when the Hub was asked, by `time.time`. An answer to a later question stays: all clients write this file, and its
            time is that of the question.

    Raises:
        HubError: if it cannot be written.
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
        with suppress(OSError):  # another user's file, whose content is right
            os.utime(reference, (asked, asked))


def remember_absent(
    repository: str, kind: str, commit: str, names: list[str], cache_dir: str | Path | None = None
) -> None:
    """Note that a commit has no files of these names, where every client of the Hub looks for that."""
    folder = cache_folder(repository, kind, cache_dir) / ".no_exist" / commit
    with suppress(OSError):  # another user's cache, or a full disk: then the Hub is asked again
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()


def known_absent(snapshot: Path, name: str) -> bool:
    """Whether the commit in this folder of the cache is known to have no file of that path."""
    return (snapshot.parents[1] / ".no_exist" / snapshot.name / name).is_file()


def ask(repository: str, question: Callable[[], Answer]) -> Answer:
    """What the Hub answers, in time: a Hub that says nothing, or a byte a second, holds nobody.

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
        except (ValueError, KeyError, TypeError, AttributeError) as error:  # the answer is not what a Hub sends
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
