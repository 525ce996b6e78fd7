"""A checkpoint's name → its files on disk: embedded, a folder, or of the Hugging Face Hub. Knows no model, imports no torch.

A name that is embedded or a folder never leads to a request.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vivit.hub.cache import (
    HubFile,
    ask,
    cache_folder,
    cached_commit,
    known_absent,
    remember_absent,
)
from vivit.hub.description import (
    CONFIG,
    KINETICS_CHECKPOINT,
    PROCESSORS,
    CheckpointInfo,
    check_kind,
    describe,
    describe_folder,
    names_in,
    weight_files,
)
from vivit.hub.faults import HubError
from vivit.hub.folders import as_path, is_path, no_folder, read_json
from vivit.hub.options import USUAL, HubOptions
from vivit.hub.transfer import fetch, fetch_all
from vivit.progress import Progress

ASSETS = Path(__file__).parents[1] / "assets"
MAX_CONFIG_BYTES = 10_000_000


def embedded_checkpoints() -> tuple[str, ...]:
    """The names of the checkpoints that come with the library."""
    return tuple(sorted(config.parent.name for config in ASSETS.glob(f"*/{CONFIG}")))


def cached_checkpoints() -> dict[str, str]:
    """The Hub repositories whose newest known commit is a ViViT and whole on this machine → that commit. Makes no request."""
    from huggingface_hub import constants

    found = {}
    for folder in sorted(Path(constants.HF_HUB_CACHE).glob("models--*--*")):
        name = "/".join(folder.name.split("--")[1:])
        snapshot = _snapshot(name, USUAL)
        if snapshot and _usable(snapshot, USUAL):
            with suppress(HubError):
                check_kind(read_json(snapshot / CONFIG, name), name)
                found[name] = snapshot.name
    return found


def split_name(name: str, revision: str | None = None) -> tuple[str, str | None]:
    """'owner/name@revision' → ('owner/name', 'revision'); a revision that is given apart comes before the one in the name."""
    if Path(name).is_absolute():  # a folder, whatever it is called
        return name, revision
    repository, _, asked = name.partition("@")
    return repository, revision or asked or None


def find_checkpoint(name: str | Path, *, weights: bool = True, here: bool = False, **options: Any) -> Path:
    """The folder of a checkpoint, downloaded into the user's ordinary Hub cache if it is neither embedded nor local.

    Args:
        name: a folder, '~' being the user's own; the name of an embedded checkpoint; or a Hub repository such as
            `KINETICS_CHECKPOINT`, which may end in '@' and a revision. What can only be a path never leads to a request.
        weights: fetch the tensor files too, not only the configuration.
        here: make do with what is on this machine, and take a name for a folder only where it is an absolute path: for
            servers, where names come from visitors and nobody waits on a network.
        options: of `HubOptions`: revision, token, cache_dir and others.

    Returns:
        A folder with `config.json`.

    Raises:
        HubError: if there is no such checkpoint, or it cannot be reached.
    """
    return locate(name, HubOptions(**options), weights=weights, here=here)[1]


def locate(
    name: str | Path, options: HubOptions = USUAL, *, weights: bool = True, here: bool = False
) -> tuple[str, Path]:
    """As `find_checkpoint`; first a name that goes on meaning the same: 'owner/name@commit', or a folder's whole path."""
    folder = _on_disk(name, absolute=here, subfolder=options.subfolder)
    if folder:
        return folder.name if folder.parent == ASSETS else str(folder.absolute()), folder
    repository, revision = split_name(str(name), options.revision)
    options = replace(options, revision=revision)
    offline = here or options.local_files_only
    try:
        snapshot = _snapshot(repository, options)
    except HubError as error:  # no repository can have such a name
        raise (error if here else _no_folder_either(name, error)) from None
    usable = snapshot is not None and (not weights or _usable(snapshot, options))
    if offline and not usable:
        raise HubError(
            f"'{repository}' is not on this machine, or not all of it. "
            + ("Choose it again to download it." if here else "Leave local_files_only out to download it.")
        )
    # A commit never changes: with all of it here there is nothing to ask.
    whole = snapshot is not None and _commit(snapshot, options) == revision and _knows_processors(snapshot, options)
    if not (usable and (offline or whole)):
        try:
            listed = _ask(repository, options)
        except HubError as error:
            if not usable:
                raise _no_folder_either(name, error) from None
        else:
            snapshot = listed.fetch(weights)
    assert snapshot is not None
    return f"{repository}@{_commit(snapshot, options)}", snapshot


def inspect_checkpoint(name: str | Path, revision: str | None = None, *, folders: bool = True) -> CheckpointInfo:
    """Look at a checkpoint before downloading it: of a Hub repository only `config.json` is fetched.

    Args:
        name, revision: as `find_checkpoint` takes them.
        folders: whether the name may be embedded or a folder; False for what strangers type, which never touches the disk.

    Raises:
        HubError: if it is no ViViT, has no classification head or no weights, is larger than this machine's memory, or
            cannot be found.
    """
    return _inspect(str(name), revision, folders)[0]


def _inspect(name: str, revision: str | None, folders: bool) -> tuple[CheckpointInfo, "_Repository | None"]:
    """A checkpoint, and what the Hub lists of it if the Hub answered."""
    folder = _on_disk(name) if folders else None
    if folder:
        return describe_folder(name, "embedded" if folder.parent == ASSETS else "local", folder), None
    asked_for, (name, revision) = name, split_name(name, revision)
    if is_path(name):
        raise HubError(f"'{name}' is a path, not a repository of the Hub. Give one such as '{KINETICS_CHECKPOINT}'.")
    options = HubOptions(revision=revision)
    snapshot = _snapshot(name, options)
    try:
        listed = _ask(name, options)
    except HubError as error:
        if not (snapshot and _usable(snapshot, options)):
            raise (_no_folder_either(asked_for, error) if folders else error) from None
        here = describe_folder(name, "hub", snapshot, snapshot.name)
        notices = [f"{error} The copy on this machine is used."]
        if not _knows_processors(snapshot, options):
            notices.append("Whether it has an image processor of its own is not known here: the usual one is used.")
        return replace(here, notices=(*notices, *here.notices)), None
    if listed.file(CONFIG).size_bytes > MAX_CONFIG_BYTES:
        raise HubError(f"The config.json of '{name}' is too large to be a model's. Choose another checkpoint.")
    folder = fetch(listed.file(CONFIG)).parent
    config = read_json(folder / CONFIG, name)
    check_kind(config, name)
    files = listed.needed(weights=True)
    missing = sum(file.size_bytes for file in files if not file.cached)
    if not missing:
        listed.remember_absent()
    sizes = {file.name: file.size_bytes for file in files}
    found = describe(name, "hub", config, sizes, listed.commit, "" if missing else str(folder))
    return replace(found, missing_bytes=missing, licence=listed.licence), listed


def download(
    name: str | Path, revision: str | None = None, progress: Progress | None = None, *, folders: bool = True
) -> CheckpointInfo:
    """Bring a checkpoint onto this machine, going on from what an earlier attempt left.

    Args:
        name, revision, folders: as `inspect_checkpoint` takes them.
        progress: told the fraction and '124 of 356 MB, 11 MB/s, 20 s left'; what it raises cancels, and what
            has arrived is kept.

    Returns:
        The checkpoint, with its `folder`. What was here already is not fetched again.

    Raises:
        HubError: as `inspect_checkpoint`; and if the disk is full, the connection breaks, or a file arrives damaged.
    """
    found, listed = _inspect(str(name), revision, folders)
    if listed is None:
        return found
    folder = listed.fetch(True, progress)
    return replace(found, folder=str(folder), missing_bytes=0)


@dataclass(frozen=True)
class _Repository:
    """A model repository as the Hub listed it at the time `asked`; its files by their names in the wanted folder."""

    name: str
    commit: str
    licence: str
    files: dict[str, HubFile]
    asked: float
    options: HubOptions

    def file(self, name: str) -> HubFile:
        if name not in self.files:
            raise HubError(f"{self.place} has no {name}, so it is not a model that can be loaded here. Choose another.")
        return self.files[name]

    @property
    def place(self) -> str:
        """What to call the wanted folder."""
        return f"'{self.name}'" + (f" in '{self.options.subfolder}'" if self.options.subfolder else "")

    def needed(self, weights: bool) -> list[HubFile]:
        """The files that loading takes, small ones first."""
        needed = [self.file(CONFIG), *(self.files[n] for n in PROCESSORS if n in self.files)]
        if weights:
            found = weight_files(self.files, self.options)
            if not found:
                raise HubError(f"{self.place} has no {_wanted(self.options)}. Choose another checkpoint.")
            needed += [self.file(name) for name in found]
        return needed

    def fetch(self, weights: bool, progress: Progress | None = None) -> Path:
        """Bring what is needed into the cache, and note which processor files there are not; returns the folder."""
        folder = fetch_all(self.needed(weights), self.options.revision, self.asked, progress)
        self.remember_absent()
        return folder / self.options.subfolder

    def remember_absent(self) -> None:
        """Note which processor files this commit lacks, so that nobody need ask again."""
        lacking = [_inside(self.options, n) for n in PROCESSORS if n not in self.files]
        remember_absent(self.name, "model", self.commit, lacking, self.options.cache_dir)


def _ask(name: str, options: HubOptions) -> _Repository:
    """A model repository as the Hub lists it.

    Raises:
        HubError: whatever fails.
    """
    from huggingface_hub import HfApi, constants

    def question() -> _Repository:
        asked, timeout = time.time(), constants.HF_HUB_ETAG_TIMEOUT
        api = HfApi(token=options.token)
        info = api.model_info(name, revision=options.revision, files_metadata=True, timeout=timeout)
        files, commit = {}, info.sha or ""
        for file in info.siblings or ():
            inside = file.rfilename.removeprefix(_inside(options, ""))
            if "/" in inside or _inside(options, inside) != file.rfilename:  # nothing that loading needs
                continue
            etag = (file.lfs.sha256 if file.lfs else file.blob_id) or ""
            kept = (options.token, options.cache_dir)
            files[inside] = HubFile(name, "model", commit, file.rfilename, file.size or 0, etag, *kept)
        licence = info.card_data.license or "" if info.card_data else ""
        licence = ", ".join(licence) if isinstance(licence, list) else str(licence)
        return _Repository(name, commit, licence, files, asked, options)

    return ask(name, question)


def _inside(options: HubOptions, name: str) -> str:
    """The path in the repository of a file in the wanted folder."""
    return f"{options.subfolder}/{name}" if options.subfolder else name


def _commit(folder: Path, options: HubOptions) -> str:
    """The commit whose files are in a folder of the cache."""
    return _root(folder, options).name


def _root(folder: Path, options: HubOptions) -> Path:
    return [folder, *folder.parents][options.depth]


def _on_disk(name: str | Path, absolute: bool = False, subfolder: str = "") -> Path | None:
    """The folder of an embedded or local checkpoint; None for what can only be a Hub repository.

    Args:
        absolute: whether a folder counts only if its path is absolute.
        subfolder: where in the folder the files are.

    Raises:
        HubError: for a folder without `config.json`, or what can only be a path and is no folder.
    """
    local = [] if absolute and not Path(name).is_absolute() else [as_path(name)]
    embedded = [ASSETS / str(name)] if str(name) in embedded_checkpoints() else []
    for folder in (*local, *embedded):
        if os.path.isdir(folder):
            folder /= subfolder
            if not (folder / CONFIG).is_file():
                called = folder.absolute().name or str(folder)
                raise HubError(f"The folder '{called}' has no config.json. Choose one written by save_pretrained.")
            return folder
    repository = split_name(str(name))[0]
    if isinstance(name, Path) or "/" not in repository or is_path(repository) or any(map(os.path.isfile, local)):
        raise HubError(no_folder(name, look=bool(local)))
    return None


def _no_folder_either(name: str | Path, error: HubError) -> HubError:
    """The Hub's error for a name; where the name may have been meant for a folder, with what is known of that folder."""
    if not error.unknown:
        return error
    place = as_path(name).parent
    beside = f", though there is '{place}'" if os.path.isdir(place) else " here"
    return HubError(f"There is no folder '{name}'{beside}. {error}", error.details)


def _snapshot(name: str, options: HubOptions) -> Path | None:
    """The wanted folder of a model repository in the cache, perhaps not whole."""
    commit = cached_commit(name, "model", options.revision, options.cache_dir)
    root = cache_folder(name, "model", options.cache_dir)
    folder = root / "snapshots" / commit / options.subfolder if commit else None
    return folder if folder and (folder / CONFIG).is_file() else None


def _knows_processors(snapshot: Path, options: HubOptions) -> bool:
    """Whether each of its processor files is here or known not to exist: other clients fetch only what they look for."""
    root = _root(snapshot, options)
    return all((snapshot / n).is_file() or known_absent(root, _inside(options, n)) for n in PROCESSORS)


def _usable(folder: Path, options: HubOptions) -> bool:
    return bool(weight_files(names_in(folder), options))


def _wanted(options: HubOptions) -> str:
    """What to call the weights that were asked for."""
    if options.variant is None and options.use_safetensors is None:
        return "weights in PyTorch's formats"
    return " and no ".join(whole for whole, *_ in options.weight_files())
