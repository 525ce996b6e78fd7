"""A name → a checkpoint or a clip on disk: embedded, local, or Hugging Face Hub. Knows no model, imports no torch.

A name that is embedded or a folder never leads to a request.
"""

import json
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vivit.fetch import (
    Arrived,
    HubError,
    HubFile,
    ask,
    cache_folder,
    cached_commit,
    check_space,
    fetch,
    find_file,
    megabytes,
    remember_commit,
    so_far,
)

ASSETS = Path(__file__).with_name("assets")
CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
KINETICS_CHECKPOINT = "google/vivit-b-16x2-kinetics400"
HEADLESS = (  # what follows the name of such a checkpoint
    "is a ViViT without a classification head, so it cannot name actions. Choose one that was trained for a task, such as "
    f"'{KINETICS_CHECKPOINT}'."
)
KINETICS_MINI = "nateraw/kinetics-mini"
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".gif")
MAX_CONFIG_BYTES = 10_000_000
MAX_CLIPS = 20_000  # of one dataset; as many as anyone browses
NOTE_SECONDS = 0.2  # between two notes on a download

Progress = Callable[[float, str], None]  # fraction in [0, 1] and a note; what it raises cancels


@dataclass(frozen=True)
class Checkpoint:
    """What is known of a checkpoint before any of its weights are read. `dataclasses.asdict` of it is JSON.

    Args:
        name: as it was asked for.
        kind: 'embedded', 'local' or 'hub'.
        commit: of a Hub repository, 40 hexadecimal digits; '' otherwise.
        config: its `config.json`.
        files: name → size in bytes, of everything that loading it needs.
        size_bytes: the sum of those.
        missing_bytes: how much of it is still to be downloaded.
        format: of its weights, 'safetensors' or 'bin'.
        num_labels: classes of its head.
        licence: as its owner states it; '' if unknown.
        folder: where it lies, once it is whole on this machine; '' before.
        notices: sentences for whoever uses it.
    """

    name: str
    kind: str
    commit: str
    config: dict[str, Any]
    files: dict[str, int]
    size_bytes: int
    missing_bytes: int
    format: str
    num_labels: int
    licence: str = ""
    folder: str = ""
    notices: tuple[str, ...] = ()

    @property
    def cached(self) -> bool:
        """Whether it is whole on this machine."""
        return bool(self.folder)


@dataclass(frozen=True)
class Clip:
    """A clip of a dataset repository.

    Args:
        split: its first folder, 'train' or 'val' for instance; '' if it lies less deep than two folders.
        label: the name of the folder it lies in, which is its ground truth; '' at the top.
        file: its path in the repository.
        size_bytes: its length; what of it is here may be less.
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
        notices: sentences for whoever browses it.
    """

    dataset: str
    commit: str
    clips: tuple[Clip, ...]
    notices: tuple[str, ...] = ()


def embedded_checkpoints() -> tuple[str, ...]:
    """The names of the checkpoints that come with the library."""
    return tuple(sorted(config.parent.name for config in ASSETS.glob(f"*/{CONFIG}")))


def cached_checkpoints(*, with_processor: bool = False) -> dict[str, str]:
    """The Hub repositories whose newest known ViViT is whole on this machine → its commit. Makes no request.

    Args:
        with_processor: only those with a `preprocessor_config.json`; of others the Hub is asked whether they have one.
    """
    from huggingface_hub import constants

    found = {}
    for folder in sorted(Path(constants.HF_HUB_CACHE).glob("models--*--*")):
        name = "/".join(folder.name.split("--")[1:])
        snapshot = _snapshot(name, None)
        if snapshot and _weights(names := _names(snapshot)) and (PROCESSOR in names or not with_processor):
            with suppress(HubError):
                _check_kind(read_json(snapshot / CONFIG, name), name)
                found[name] = snapshot.name
    return found


def kinetics400_labels() -> tuple[str, ...]:
    """The 400 classes of Kinetics-400 in the order that every published model uses, which is alphabetical.

    Source: Kay et al. 2017, arXiv:1705.06950.
    """
    return tuple((ASSETS / "kinetics400_labels.txt").read_text(encoding="utf-8").splitlines())


def same_label(one: str, other: str) -> bool:
    """Whether two spellings name one class: folders write 'flying_kite' for 'flying kite'."""
    return _letters(one) == _letters(other)


def _letters(label: str) -> str:
    return "".join(c for c in label.casefold() if c.isalnum())


def find_checkpoint(name: str | Path, *, revision: str | None = None, weights: bool = True) -> Path:
    """The folder of a checkpoint, downloaded into the user's ordinary Hub cache if it is neither embedded nor local.

    Args:
        name: a folder; the name of an embedded checkpoint; or a Hub repository such as `KINETICS_CHECKPOINT`, which may
            end in '@' and a revision.
        revision: for a Hub repository: a branch, a tag or a commit.
        weights: fetch the tensor files too, not only the configuration.
    Returns:
        A folder with `config.json`.
    Raises:
        HubError: if there is no such checkpoint, or it cannot be reached.
    """
    folder = _on_disk(name)
    if folder:
        return folder
    name, _, asked = str(name).partition("@")
    revision = revision or asked or None
    pinned = _snapshot(name, revision)
    # A commit never changes: with all of it here there is nothing to ask.
    if pinned and pinned.name == revision and (pinned / PROCESSOR).is_file() and _usable(pinned, weights):
        return pinned
    try:
        repository = _ask(name, revision)
    except HubError:
        if pinned and _usable(pinned, weights):
            return pinned
        raise
    return _fetch_all(repository.needed(weights), name, revision)


def pin(name: str) -> str:
    """A name that goes on meaning the same: that of a Hub repository with its commit, downloaded if it is not here.

    Args:
        name: as `find_checkpoint` takes it; a folder's or an embedded checkpoint's is returned as it is.
    Returns:
        For a Hub repository 'owner/name@commit', for which `find_checkpoint` asks nobody from then on.
    Raises:
        HubError: as `find_checkpoint`.
    """
    folder = find_checkpoint(name)
    return name if _on_disk(name) else f"{name.partition('@')[0]}@{folder.name}"


def inspect_checkpoint(name: str | Path, revision: str | None = None) -> Checkpoint:
    """Look at a checkpoint before downloading it: of a Hub repository only `config.json` is fetched.

    Args:
        name, revision: as `find_checkpoint` takes them.
    Raises:
        HubError: if it is no ViViT, has no classification head or no weights, is larger than this machine's memory, or
            cannot be found.
    """
    return _inspect(str(name), revision)[0]


def _inspect(name: str, revision: str | None) -> tuple[Checkpoint, list[HubFile]]:
    """A checkpoint, and the files to fetch for it."""
    folder = _on_disk(name)
    if folder:
        return _describe(name, "embedded" if folder.parent == ASSETS else "local", folder), []
    snapshot = _snapshot(name, revision)
    try:
        repository = _ask(name, revision)
    except HubError as error:
        if not (snapshot and _usable(snapshot, weights=True)):
            raise
        notice = f"{error} The copy on this machine is used."
        return _describe(name, "hub", snapshot, commit=snapshot.name, notices=(notice,)), []
    if repository.file(CONFIG).size_bytes > MAX_CONFIG_BYTES:
        raise HubError(f"The config.json of '{name}' is too large to be a model's. Choose another checkpoint.")
    folder = fetch(repository.file(CONFIG)).parent
    config = read_json(folder / CONFIG, name)
    _check_kind(config, name)
    files = repository.needed(weights=True)
    missing = [file.size_bytes for file in files if not file.cached]
    found = Checkpoint(
        name=name,
        kind="hub",
        commit=repository.commit,
        config=config,
        files={file.name: file.size_bytes for file in files},
        size_bytes=sum(file.size_bytes for file in files),
        missing_bytes=sum(missing),
        format="",
        num_labels=_count_labels(config),
        licence=repository.licence,
        folder="" if missing else str(folder),
    )
    return _complete(found), files


def download(name: str | Path, revision: str | None = None, progress: Progress | None = None) -> Checkpoint:
    """Bring a checkpoint onto this machine, going on from what an earlier attempt left.

    Args:
        name, revision: as `find_checkpoint` takes them.
        progress: told the fraction and '124 of 356 MB, 11 MB/s, 20 s left'; what it raises cancels, and what
            has arrived is kept.
    Returns:
        The checkpoint, with its `folder`. What was here already is not fetched again.
    Raises:
        HubError: as `inspect_checkpoint`; and if the disk is full, the connection breaks, or a file arrives damaged.
    """
    found, files = _inspect(str(name), revision)
    if not files:
        return found
    return replace(found, folder=str(_fetch_all(files, found.name, revision, progress)), missing_bytes=0)


def list_clips(dataset: str = KINETICS_MINI, revision: str | None = None, progress: Progress | None = None) -> ClipList:
    """The clips of a dataset repository whose folders name the classes: 'train/archery/….mp4'.

    Args:
        dataset: 'owner/name'.
        revision: a branch, a tag or a commit.
        progress: told how many were found so far; what it raises cancels.
    Returns:
        Every clip; those on this machine if the Hub cannot be asked.
    Raises:
        HubError: if there is none, or the Hub cannot be asked and nothing is here.
    """
    commit = cached_commit(dataset, "dataset", revision)
    snapshots = cache_folder(dataset, "dataset") / "snapshots"
    sizes: dict[str, int] = {}
    try:
        commit, _ = _commit(f"/api/datasets/{dataset}", dataset, revision)
        for page in ask(f"/api/datasets/{dataset}/tree/{commit}", dataset, recursive="true", expand="false"):
            sizes |= {e["path"]: e["size"] for e in page if e["type"] == "file" and _is_clip(e["path"])}
            if progress:
                progress(0.0, f"{len(sizes)} clips found")
            if len(sizes) >= MAX_CLIPS:
                break
    except HubError as error:
        here = [path for path in (snapshots / (commit or "-")).rglob("*") if path.is_file() and _is_clip(path.name)]
        if not (commit and here):
            raise
        sizes = {path.relative_to(snapshots / commit).as_posix(): path.stat().st_size for path in here}
        notices: tuple[str, ...] = (f"{error} Only the clips on this machine are shown.",)
    else:
        notices = (f"Only the first {MAX_CLIPS:,} clips are shown.",) if len(sizes) >= MAX_CLIPS else ()
    if not sizes:
        raise HubError(f"'{dataset}' has no video files. Choose a dataset of clips such as '{KINETICS_MINI}'.")
    clips = tuple(_clip(file, size, snapshots / commit) for file, size in sorted(sizes.items()))
    return ClipList(dataset, commit, clips, notices)


def download_clip(
    dataset: str, file: str, revision: str | None = None, progress: Progress | None = None
) -> tuple[Path, Clip]:
    """Bring one clip onto this machine, once.

    Args:
        dataset: 'owner/name'.
        file: its path there, as `list_clips` gives it.
        revision: a branch, a tag or a commit.
        progress: as `download`'s.
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
            found = find_file(dataset, "dataset", revision, file)
            path = _fetch_all([found], dataset, revision, progress) / file
            snapshot = found.path.parents[file.count("/")]
        except HubError:
            if not (inside and path.is_file()):
                raise
    return path, _clip(file, path.stat().st_size, snapshot)


def _is_clip(path: str) -> bool:
    return path.lower().endswith(VIDEO_SUFFIXES)


def _clip(file: str, size: int, snapshot: Path) -> Clip:
    folders = file.split("/")[:-1]
    return Clip(
        split=folders[0] if len(folders) > 1 else "",
        label=folders[-1] if folders else "",
        file=file,
        size_bytes=size,
        cached=(snapshot / file).is_file(),
    )


@dataclass(frozen=True)
class _Repository:
    """A model repository as the Hub lists it."""

    name: str
    commit: str
    licence: str
    files: dict[str, HubFile]

    def file(self, name: str) -> HubFile:
        if name not in self.files:
            raise HubError(
                f"'{self.name}' has no {name}, so it is not a model that can be loaded here. Choose another."
            )
        return self.files[name]

    def needed(self, weights: bool) -> list[HubFile]:
        """The files that loading takes, small ones first."""
        names = [CONFIG, *(n for n in (PROCESSOR,) if n in self.files)]
        if weights:
            names += _weights(self.files)
            if names[-1] in (CONFIG, PROCESSOR):
                raise HubError(f"'{self.name}' has no weights in PyTorch's formats. Choose another checkpoint.")
        return [self.file(name) for name in names]


def _ask(name: str, revision: str | None) -> _Repository:
    """What the Hub says of a model repository.

    Raises:
        HubError: whatever fails.
    """
    commit, licence = _commit(f"/api/models/{name}", name, revision)
    files = {}
    for page in ask(f"/api/models/{name}/tree/{commit}", name, recursive="false", expand="false"):
        for entry in page:
            if entry["type"] == "file":
                etag = entry["lfs"]["oid"] if entry.get("lfs") else entry["oid"]
                files[entry["path"]] = HubFile(name, "model", commit, entry["path"], entry["size"], etag)
    return _Repository(name, commit, licence, files)


def _commit(path: str, repository: str, revision: str | None) -> tuple[str, str]:
    """(commit, licence) of a revision."""
    info = next(ask(path + (f"/revision/{quote(revision, safe='')}" if revision else ""), repository))
    licence = (info.get("cardData") or {}).get("license") or ""
    return info["sha"], ", ".join(licence) if isinstance(licence, list) else str(licence)


def _fetch_all(files: list[HubFile], name: str, revision: str | None, progress: Progress | None = None) -> Path:
    """Fetch every file, then note what the revision stands for; returns the snapshot's folder."""
    check_space(files)
    meter = _Meter(progress, sum(file.size_bytes for file in files))
    for file in files:
        fetch(file, meter.of(file))
    remember_commit(name, files[0].kind, revision, files[0].commit)
    return files[0].path.parents[files[0].name.count("/")]


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


def _on_disk(name: str | Path) -> Path | None:
    """The folder of an embedded or local checkpoint; None for what can only be a Hub repository."""
    for folder in (Path(name), ASSETS / str(name)):
        if folder.is_dir():
            if not (folder / CONFIG).is_file():
                raise HubError(f"The folder '{folder.name}' has no config.json. Choose one written by save_pretrained.")
            return folder
    if str(name).count("/") != 1 or Path(name).is_absolute():
        raise HubError(
            f"There is no folder '{name}'. Give a folder, or a Hub repository such as '{KINETICS_CHECKPOINT}'."
        )
    return None


def _snapshot(name: str, revision: str | None) -> Path | None:
    """The cached snapshot of a model repository, perhaps not whole."""
    commit = cached_commit(name, "model", revision)
    folder = cache_folder(name) / "snapshots" / commit if commit else None
    return folder if folder and (folder / CONFIG).is_file() else None


def _names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if file.is_file()]


def _usable(folder: Path, weights: bool) -> bool:
    return not weights or bool(_weights(_names(folder)))


def _weights(names: Iterable[str]) -> list[str]:
    """Which of these files are the weights: safetensors before `.bin`, whole before sharded; [] if incomplete."""
    names = set(names)
    for stem, suffix in (("model", "safetensors"), ("pytorch_model", "bin")):
        whole = f"{stem}.{suffix}"
        if whole in names:
            return [whole]
        shards = sorted(n for n in names if re.fullmatch(rf"{stem}-\d+-of-\d+\.{suffix}", n))
        if f"{whole}.index.json" in names and shards:
            count = int(shards[0].rpartition("-of-")[2].split(".")[0])
            if len(shards) == count:
                return [f"{whole}.index.json", *shards]
    return []


def read_json(file: Path, name: str = "") -> dict[str, Any]:
    """A JSON object from a checkpoint's folder. Raises HubError, naming the file, if it is damaged or something else."""
    what = f"The {file.name} of '{name or file.parent.name}'"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HubError(f"{what} is damaged. Choose another checkpoint, or get this one again.", str(error)) from error
    if not isinstance(values, dict):
        raise HubError(f"{what} is not a model's: it holds no JSON object. Choose another checkpoint.")
    return values


def _check_kind(config: dict[str, Any], name: str) -> None:
    """Refuse what could not classify videos as a ViViT."""
    kind = config.get("model_type")
    if kind != "vivit":
        what = f"a {kind!r} model" if kind else "no model that says its type"
        raise HubError(f"'{name}' is {what}, not a ViViT. Choose a ViViT such as '{KINETICS_CHECKPOINT}'.")
    architectures = config.get("architectures")
    if architectures and not any("VideoClassification" in str(a) for a in architectures):
        raise HubError(f"'{name}' {HEADLESS}")


def _count_labels(config: dict[str, Any]) -> int:
    labels = config.get("id2label") or ()
    return len(labels) or int(config.get("num_labels") or 2)


def _describe(name: str, kind: str, folder: Path, commit: str = "", notices: tuple[str, ...] = ()) -> Checkpoint:
    """A checkpoint whose files are on disk."""
    config = read_json(folder / CONFIG, name)
    _check_kind(config, name)
    weights = _weights(_names(folder))
    if not weights:
        raise HubError(f"'{name}' has no weights, or not all of them. Choose a folder written by save_pretrained.")
    names = [CONFIG, *(n for n in (PROCESSOR,) if (folder / n).is_file()), *weights]
    files = {n: (folder / n).stat().st_size for n in names}
    found = Checkpoint(
        name=name,
        kind=kind,
        commit=commit,
        config=config,
        files=files,
        size_bytes=sum(files.values()),
        missing_bytes=0,
        format="",
        num_labels=_count_labels(config),
        folder=str(folder),
        notices=notices,
    )
    return _complete(found)


def _complete(found: Checkpoint) -> Checkpoint:
    """Add what follows from the weights' names and sizes, or refuse what this machine cannot hold."""
    import psutil

    memory = psutil.virtual_memory().total
    if found.size_bytes > memory:
        raise HubError(
            f"The weights of '{found.name}' take {megabytes(found.size_bytes)}, and this machine has {megabytes(memory)} "
            "of memory. Choose a smaller checkpoint."
        )
    if any(n.endswith(".safetensors") for n in found.files):
        return replace(found, format="safetensors")
    notice = "It has no safetensors, so its .bin is read as plain tensors (weights_only=True); no code in it is run."
    return replace(found, format="bin", notices=(*found.notices, notice))
