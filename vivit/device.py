"""The device that models run on: which it is, and how large."""

from collections.abc import Mapping
from typing import Any

import psutil
import torch


def default_device() -> torch.device:
    """The device models run on: a CUDA GPU if PyTorch sees one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def one_device(device: Any = None, device_map: Any = None) -> torch.device:
    """The device that is named by `device` or, as transformers does, by `device_map`; the CPU by neither.

    Args:
        device: a torch device, its name, or a CUDA index, -1 being the CPU.
        device_map: the same; 'auto' for `default_device`; or a dict, all of whose values are one of these.
    Raises:
        ValueError: if they contradict each other, name several places, or none that there is.
    """
    if isinstance(device_map, Mapping):
        places = {one_device(device_map=place) for place in device_map.values()}
        if len(places) != 1:
            raise ValueError(f"device_map must name one place for the whole model, not {[*device_map.values()]}")
        device_map = places.pop()
    if isinstance(device_map, str) and device_map in ("auto", "balanced", "balanced_low_0", "sequential"):
        device_map = default_device()
    found = []
    for name, value in (("device", device), ("device_map", device_map)):
        if value is None:
            continue
        try:
            place = torch.device(("cpu" if value < 0 else f"cuda:{value}") if isinstance(value, int) else value)
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"{name}={value!r} is no device of PyTorch's: {str(error).splitlines()[0]}") from error
        if place.type == "cuda" and (place.index or 0) >= (count := torch.cuda.device_count()):
            raise ValueError(
                f"{name}={value!r} is not on this machine: PyTorch sees {count} CUDA GPUs; give 'cpu' or 'auto'"
            )
        found.append(place)
    if len(found) == 2 and found[0] != found[1]:
        raise ValueError(f"device={device!r} and device_map={device_map!r} contradict each other; give one of them")
    return found[0] if found else torch.device("cpu")


def memory_bytes(device: torch.device) -> int:
    """All the memory a device has, in use or not: the GPU's own, or the machine's."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return psutil.virtual_memory().total
