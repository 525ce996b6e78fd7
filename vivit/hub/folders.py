"""Folders of checkpoints: what looks like the path of one, what one is called, and the JSON in it. Makes no request."""

import json
import os
import re
from pathlib import Path
from typing import Any

from vivit.hub.faults import HubError

EXAMPLE = "google/vivit-b-16x2-kinetics400"
# What a file of a checkpoint ends in, and no repository's name does.
SUFFIXES = (".safetensors", ".bin", ".json", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack", ".onnx", ".gguf")
_TRAINED = re.compile(r"checkpoint-\d+")  # how transformers' Trainer names the folders that it writes


def as_path(name: str | Path) -> Path:
    """The path that a name would be, '~' being the user's own folder."""
    return Path(os.path.expanduser(name))  # which leaves an unknown user's '~name' as it is


def is_path(name: str) -> bool:
    """Whether this can only have been meant for a path, by its letters alone: nothing is looked up."""
    owner, _, last = name.partition("/")
    return (
        name.startswith(("/", "~", "."))
        or "\\" in name
        or re.match(r"[A-Za-z]:", name) is not None
        or name.count("/") > 1
        or ("/" in name and not (owner and last))
        or name.lower().endswith(SUFFIXES)
        or _TRAINED.fullmatch(last or owner) is not None
    )


def no_folder(name: str | Path, look: bool) -> str:
    """What to say of a path that is no checkpoint's folder.

    Args:
        name: as the user gave it.
        look: whether to say what lies at the path instead; False for strangers.
    """
    path = as_path(name)
    if look and os.path.isfile(path):
        return f"'{name}' is a file of a checkpoint at most. Give the folder that it is in, '{path.parent}'."
    if str(name).lower().endswith(SUFFIXES):
        place = f"its folder '{path.parent}'" if look and os.path.isdir(path.parent) else "the folder of a checkpoint"
        return f"There is no folder and no file '{name}'. Give {place}, or a Hub repository such as '{EXAMPLE}'."
    return f"There is no folder '{name}'. Give a folder, or a Hub repository such as '{EXAMPLE}'."


def called(folder: Path) -> str:
    """What to call a checkpoint by its folder: the repository's name where that is a commit in the Hub's cache."""
    folder = folder.absolute()
    for repository, snapshots in zip(folder.parents[1:], folder.parents, strict=False):  # it may be a subfolder of one
        if snapshots.name == "snapshots" and repository.name.startswith("models--"):
            return "/".join(repository.name.split("--")[1:])
    return folder.name


def read_json(file: Path, name: str = "") -> dict[str, Any]:
    """A JSON object from a checkpoint's folder. Raises HubError, naming the file, if it is missing or damaged, or no object."""
    what = f"The {file.name} of '{name or called(file.parent)}'"
    if not os.path.lexists(file):  # a link to nothing is a damaged file
        raise HubError(f"{what} is missing. Choose another checkpoint, or get this one again.")
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise HubError(f"{what} is damaged. Choose another checkpoint, or get this one again.", str(error)) from error
    if not isinstance(values, dict):
        raise HubError(f"{what} is not a model's: it holds no JSON object. Choose another checkpoint.")
    return values
