"""Tensor files ↔ named tensors. Knows no model."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vivit.errors import UserError, out_of_memory
from vivit.hub.options import USUAL, HubOptions

SAFETENSORS = "model.safetensors"


def find_files(folder: Path, options: HubOptions = USUAL) -> list[Path]:
    """The files that hold a checkpoint's tensors: safetensors before `.bin`, whole before sharded.

    Args:
        folder: of a checkpoint.
        options: its `variant` and `use_safetensors` say which count.

    Raises:
        UserError: if there are none, an index is damaged, or a shard that it names is missing.
    """
    for whole, beside, _ in options.weight_files():
        if (folder / whole).is_file():
            return [folder / whole]
        index = folder / beside
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
    wanted = " and no ".join(whole for whole, *_ in options.weight_files())
    raise UserError(f"'{folder.name}' has no {wanted}. Choose a folder written by save_pretrained.")


def read_tensors(folder: str | Path, options: HubOptions = USUAL) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor of a checkpoint with its name on disk, one at a time.

    Args:
        folder: holds `model.safetensors` or `pytorch_model.bin`, whole or as shards with an index.
        options: as `find_files`'.

    Raises:
        UserError: as `find_files`; and if a file is damaged or holds anything but tensors.
    """
    for file in find_files(Path(folder), options):
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
                # pickle.UnpicklingError, and whatever a hostile pickle raises
                raise UserError(f"{file.name} holds more than tensors, so it was not loaded.", str(error)) from error
            raise UserError(f"{file.name} is damaged or not a tensor file. Download it again.", str(error)) from error


def dequantised(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """The same tensors, those that bitsandbytes wrote in 8 bit made float32 again. They may come in any order.

    Args:
        tensors: (name on disk, tensor); of a weight in 8 bit `….weight` (O, I) int8, `….SCB` (O,) float32, the scales of its
            rows, and `….weight_format`.

    Raises:
        UserError: if a weight has no scales, or scales no weight; if their rows differ in number; or for another format.
    """
    halves: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors:
        stem, _, kind = name.rpartition(".")
        if kind == "weight_format":
            if tensor.numel() != 1 or tensor.item() != 0:
                raise UserError(
                    f"'{name}' says another format of 8 bit than rows. Save that checkpoint with a newer bitsandbytes."
                )
        elif kind == "SCB" or tensor.dtype == torch.int8:
            pair = halves.setdefault(stem, {})
            pair["SCB" if kind == "SCB" else "weight"] = tensor
            if len(pair) == 2:
                if pair["weight"].shape[:1] != pair["SCB"].shape:
                    raise UserError(
                        f"'{stem}' is in 8 bit, and its rows and scales are not of one shape. Download it again."
                    )
                # With the product first, the largest magnitude of a row is its scale, bit by bit.
                yield f"{stem}.weight", pair["weight"].float().mul_(pair["SCB"].float()[:, None]).div_(127)
                del halves[stem]
        else:
            yield name, tensor
    if halves:
        raise UserError(f"'{next(iter(halves))}' is in 8 bit, and lacks its weight or its scales. Download it again.")


def write_tensors(folder: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Write `model.safetensors`, readable by transformers.

    Args:
        folder: exists.
        tensors: name → tensor of any shape and dtype; none may overlap another in memory.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(whole, str(Path(folder) / SAFETENSORS), metadata={"format": "pt"})
