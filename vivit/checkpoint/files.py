"""Tensor files ↔ named tensors. Knows no model."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vivit.errors import UserError, out_of_memory

SAFETENSORS, BIN = "model.safetensors", "pytorch_model.bin"


def find_files(folder: Path) -> list[Path]:
    """The files that hold a checkpoint's tensors: safetensors before `.bin`, whole before sharded.

    Raises:
        UserError: if there are none, or a shard that the index names is missing.
    """
    for name in (SAFETENSORS, BIN):
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            try:
                names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise UserError(f"{index.name} is damaged. Download the checkpoint again.", str(error)) from error
            # A shard is a file beside its index: a name with a folder in it could point anywhere.
            files = [folder / Path(str(n)).name for n in names]
            if missing := [f.name for f in files if not f.is_file()]:
                raise UserError(f"The checkpoint lacks {', '.join(missing)}. Download it again.")
            return files
    raise UserError(f"'{folder.name}' has no {SAFETENSORS} and no {BIN}. Choose a folder written by save_pretrained.")


def read_tensors(folder: str | Path) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor of a checkpoint with its name on disk, one at a time.

    Args:
        folder: holds `model.safetensors` or `pytorch_model.bin`, whole or as shards with an index.
    Raises:
        UserError: if there is no such file, or one is damaged or holds anything but tensors.
    """
    for file in find_files(Path(folder)):
        try:
            if file.suffix == ".safetensors":
                with safe_open(file, framework="pt") as tensors:
                    for name in tensors.keys():  # noqa: SIM118 - not a dict
                        yield name, tensors.get_tensor(name)
            else:
                # Files of PyTorch before 1.6 are no zip archives and cannot be mapped.
                tensors = torch.load(file, map_location="cpu", weights_only=True, mmap=is_zipfile(file))
                if not all(isinstance(n, str) and isinstance(t, Tensor) for n, t in tensors.items()):
                    raise TypeError("not every value is a tensor with a name")
                yield from tensors.items()
        except Exception as error:
            if out_of_memory(error):
                raise
            if not isinstance(error, SafetensorError | OSError | RuntimeError | ValueError | AttributeError):
                # pickle.UnpicklingError and what a hostile pickle makes of it
                raise UserError(f"{file.name} holds more than tensors, so it was not loaded.", str(error)) from error
            raise UserError(f"{file.name} is damaged or not a tensor file. Download it again.", str(error)) from error


def write_tensors(folder: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Write `model.safetensors`, readable by transformers.

    Args:
        folder: exists.
        tensors: name → tensor of any shape and dtype; none may overlap another in memory.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(whole, str(Path(folder) / SAFETENSORS), metadata={"format": "pt"})
