"""Clips of dataset repositories on the Hugging Face Hub, whose folders name what they show. No torch is used."""

import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from vivit.hub.cache import ask, cache_folder, cached_commit, find_file
from vivit.hub.faults import HubError
from vivit.hub.transfer import fetch_all
from vivit.names import VIDEO_SUFFIXES
from vivit.progress import Progress

KINETICS_MINI = "nateraw/kinetics-mini"
# In datasets a PNG is a still beside the clips.
CLIP_SUFFIXES = tuple(suffix for suffix in VIDEO_SUFFIXES if suffix != ".png")
MAX_CLIPS = 20_000  # of one dataset; as many as anyone browses
PAGE = 1_000  # entries the Hub lists in one answer


@dataclass(frozen=True)
class Clip:
    """A clip of a dataset repository.

    Args:
        split: its first folder, 'train' or 'val' for instance; '' if it lies less deep than two folders.
        label: the name of the folder it lies in, which is its ground truth; '' at the top.
        file: its path in the repository.
        size_bytes: its length in the repository.
        cached: whether it is on this machine.
    """

    split: str
    label: str
    file: str
    size_bytes: int
    cached: bool = False


@dataclass(frozen=True)
class ClipList:
    """The clips of a dataset repository, ordered by path. `dataclasses.asdict` of it is JSON.

    Args:
        dataset: 'owner/name'.
        commit: what was listed; give it to `download_clip` as the revision.
        clips: the clips.
        folder: where they lie, or will, once they are on this machine.
        asked: when the Hub was asked for the commit, by `time.time`; 0 if it could not be.
        notices: sentences for whoever browses it.
    """

    dataset: str
    commit: str
    clips: tuple[Clip, ...]
    folder: str
    asked: float = 0.0
    notices: tuple[str, ...] = ()


def list_clips(dataset: str = KINETICS_MINI, revision: str | None = None, progress: Progress | None = None) -> ClipList:
    """The clips of a dataset repository whose folders name the classes: 'train/archery/….mp4'.

    Args:
        dataset: 'owner/name'.
        revision: a branch, a tag or a commit.
        progress: told how many were found so far; what it raises cancels.

    Returns:
        Every clip; those on this machine if the Hub cannot be asked.

    Raises:
        HubError: if there is no such dataset, it has no video files, or the Hub cannot be asked and no clip is here.
    """
    from huggingface_hub import HfApi, constants

    commit = cached_commit(dataset, "dataset", revision)
    snapshots = cache_folder(dataset, "dataset") / "snapshots"
    sizes: dict[str, int] = {}
    asked = time.time()
    notices: tuple[str, ...] = ()
    try:
        timeout = constants.HF_HUB_ETAG_TIMEOUT
        info = ask(dataset, lambda: HfApi().dataset_info(dataset, revision=revision, timeout=timeout))
        newest = info.sha or ""
        tree = iter(HfApi().list_repo_tree(dataset, recursive=True, revision=newest, repo_type="dataset"))
        while len(sizes) < MAX_CLIPS and (page := ask(dataset, lambda: list(islice(tree, PAGE)))):
            sizes |= {e.path: e.size for e in page if hasattr(e, "size") and _is_clip(e.path)}
            if progress:
                progress(0.0, f"{len(sizes)} clips found")
    except HubError as error:
        here = [path for path in (snapshots / (commit or "-")).rglob("*") if path.is_file() and _is_clip(path.name)]
        if not (commit and here):
            raise
        sizes = {path.relative_to(snapshots / commit).as_posix(): path.stat().st_size for path in here}
        asked, notices = 0.0, (f"{error} Only the clips on this machine are shown.",)
    else:
        commit = newest
        notices = (f"Only the first {MAX_CLIPS:,} clips are shown.",) if len(sizes) >= MAX_CLIPS else ()
    if not (commit and sizes):
        raise HubError(f"'{dataset}' has no video files. Choose a dataset of clips such as '{KINETICS_MINI}'.")
    clips = tuple(_clip(file, size, snapshots / commit) for file, size in sorted(sizes.items()))
    return ClipList(dataset, commit, clips, str(snapshots / commit), asked, notices)


def download_clip(
    dataset: str, file: str, revision: str | None = None, progress: Progress | None = None
) -> tuple[Path, Clip]:
    """Bring one clip onto this machine, once.

    Args:
        dataset: 'owner/name'.
        file: the clip's path in the repository, as `list_clips` gives it.
        revision: a branch, a tag or a commit.
        progress: as `vivit.hub.download` takes it.

    Returns:
        Its path, and what its folders say of it.

    Raises:
        HubError: whatever fails.
    """
    commit = cached_commit(dataset, "dataset", revision)
    snapshot = cache_folder(dataset, "dataset") / "snapshots" / (commit or "-")
    path = snapshot / file
    inside = snapshot in path.parents and ".." not in path.parts
    if not (inside and revision == commit and path.is_file()):
        try:
            asked = time.time()
            found = find_file(dataset, "dataset", revision, file)
            path = fetch_all([found], revision, asked, progress) / file
            snapshot = found.path.parents[file.count("/")]
        except HubError:
            if not (inside and path.is_file()):
                raise
    return path, _clip(file, path.stat().st_size, snapshot)


def _is_clip(path: str) -> bool:
    return path.lower().endswith(CLIP_SUFFIXES)


def _clip(file: str, size: int, snapshot: Path) -> Clip:
    folders = file.split("/")[:-1]
    return Clip(
        split=folders[0] if len(folders) > 1 else "",
        label=folders[-1] if folders else "",
        file=file,
        size_bytes=size,
        cached=(snapshot / file).is_file(),
    )
