"""What a checkpoint is said to be before it is loaded, from its `config.json` and the names and sizes of its files."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vivit.hub.faults import HubError
from vivit.hub.folders import EXAMPLE, read_json
from vivit.hub.options import USUAL, HubOptions
from vivit.hub.transfer import megabytes

CONFIG = "config.json"
# The files in which a checkpoint may say what happens to frames: transformers 5 nests that in the first.
PROCESSORS = ("processor_config.json", "video_preprocessor_config.json", "preprocessor_config.json")
KINETICS_CHECKPOINT = EXAMPLE
HEADLESS = (  # what follows the name of a checkpoint without a classification head
    "is a ViViT without a classification head, so it cannot name actions. Choose one that was trained for a task, such as "
    f"'{KINETICS_CHECKPOINT}'."
)


@dataclass(frozen=True)
class CheckpointInfo:
    """What is known of a checkpoint before any of its weights are read. `dataclasses.asdict` of it is JSON.

    Args:
        name: as it was asked for, without a revision.
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


def describe_folder(name: str, kind: str, folder: Path, commit: str = "") -> CheckpointInfo:
    """A checkpoint whose files are on disk. Raises HubError if it is no ViViT with a head, or is not whole."""
    config = read_json(folder / CONFIG, name)
    check_kind(config, name)
    weights = weight_files(names_in(folder))
    if not weights:
        raise HubError(f"'{name}' has no weights, or not all of them. Choose a folder written by save_pretrained.")
    names = [CONFIG, *(n for n in PROCESSORS if (folder / n).is_file()), *weights]
    return describe(name, kind, config, {n: (folder / n).stat().st_size for n in names}, commit, str(folder))


def describe(
    name: str, kind: str, config: dict[str, Any], files: dict[str, int], commit: str, folder: str
) -> CheckpointInfo:
    """What is known of a checkpoint. Raises HubError if its weights are larger than this machine's memory."""
    import psutil

    size, memory = sum(files.values()), psutil.virtual_memory().total
    if size > memory:
        raise HubError(
            f"The weights of '{name}' take {megabytes(size)}, and this machine has {megabytes(memory)} of memory. Choose a "
            "smaller checkpoint."
        )
    safe = any(n.endswith(".safetensors") for n in files)
    notice = "It has no safetensors, so its .bin is read as plain tensors (weights_only=True); no code in it is run."
    return CheckpointInfo(
        name=name,
        kind=kind,
        commit=commit,
        config=config,
        files=files,
        size_bytes=size,
        missing_bytes=0,
        format="safetensors" if safe else "bin",
        num_labels=_count_labels(config),
        folder=folder,
        notices=() if safe else (notice,),
    )


def weight_files(names: Iterable[str], options: HubOptions = USUAL) -> list[str]:
    """Which of these files are the weights: safetensors before `.bin`, whole before sharded; [] if incomplete."""
    names = set(names)
    for whole, index, pattern in options.weight_files():
        if whole in names:
            return [whole]
        shards = sorted(n for n in names if re.fullmatch(pattern, n))
        if index in names and shards:
            count = int(re.findall(r"-of-(\d+)", shards[0])[0])
            if len(shards) == count:
                return [index, *shards]
    return []


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if file.is_file()]


def check_kind(config: dict[str, Any], name: str) -> None:
    """Raise HubError for what is no ViViT, or has no classification head by its `architectures`."""
    kind = config.get("model_type")
    if kind != "vivit":
        what = f"a {kind!r} model" if kind else "no model that says its type"
        raise HubError(f"'{name}' is {what}, not a ViViT. Choose a ViViT such as '{KINETICS_CHECKPOINT}'.")
    architectures = config.get("architectures")
    architectures = [architectures] if isinstance(architectures, str) else architectures
    # What is no list of names is no reason to refuse: the weights tell too.
    if (
        architectures
        and isinstance(architectures, list)
        and not any("VideoClassification" in str(a) for a in architectures)
    ):
        raise HubError(f"'{name}' {HEADLESS}")


def _count_labels(config: dict[str, Any]) -> int:
    """How many classes a `config.json` names; whether such labels are possible is found out by `VivitConfig`."""
    labels, count = config.get("id2label"), config.get("num_labels")
    if isinstance(labels, dict) and labels:
        return len(labels)
    return count if isinstance(count, int) and count > 0 else 2
