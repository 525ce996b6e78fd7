"""The device that models run on: which it is, how large, and what PyTorch tells of it.

PyTorch is built for one type of accelerator: NVIDIA's or AMD's GPUs ('cuda'), Intel's ('xpu'), Apple's ('mps'), or none.
"""

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import psutil
import torch

from vivit.errors import UserError

CHOSEN = "VIVIT_DEVICE"  # the environment variable that names one; processes that are started from here inherit it


def default_device() -> torch.device:
    """The device models run on: the one that VIVIT_DEVICE names, else an accelerator if PyTorch sees one, else the CPU.

    Starts no CUDA where PYTORCH_NVML_BASED_CUDA_CHECK is set: torch.accelerator asks torch.cuda, which then asks NVML.

    Raises:
        UserError: if VIVIT_DEVICE names none that there is.
    """
    if name := os.environ.get(CHOSEN):
        return _place(f"The device {name!r} (of --device or {CHOSEN})", name, "cpu")
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def accelerators() -> list[torch.device]:
    """Every accelerator that PyTorch sees, with its index."""
    found = torch.accelerator.current_accelerator(check_available=True)
    return [torch.device(found.type, k) for k in range(torch.accelerator.device_count())] if found else []


def one_device(device: Any = None, device_map: Any = None) -> torch.device:
    """The device that is named by `device` or, as transformers does, by `device_map`; the CPU by neither.

    Args:
        device: a torch device, its name, or an accelerator's index, -1 being the CPU.
        device_map: the same; 'auto' for `default_device`; or a dict, all of whose values are one of these.

    Raises:
        ValueError: if they contradict each other, or name several places.
        UserError: if they name none that there is.
    """
    if isinstance(device_map, Mapping):
        places = [one_device(device_map=place) for place in device_map.values()]
        if not _one_place(places):
            raise ValueError(f"device_map must name one place for the whole model, not {[*device_map.values()]}")
        device_map = _clearest(places)
    if isinstance(device_map, str) and device_map in ("auto", "balanced", "balanced_low_0", "sequential"):
        device_map = default_device()
    given = (("device", device), ("device_map", device_map))
    found = [_place(f"{name}={value!r}", value, "cpu", "meta") for name, value in given if value is not None]
    if found and not _one_place(found):
        raise ValueError(f"device={device!r} and device_map={device_map!r} contradict each other; give one of them")
    return _clearest(found) if found else torch.device("cpu")


def _place(said: str, value: Any, *others: str) -> torch.device:
    """The device that a value names. Args: said: how the user gave it; others: types beside the accelerators'."""
    try:
        if type(value) is int:  # which True is not
            place = torch.device("cpu") if value < 0 else next(iter(accelerators()[value:]), None)
        elif isinstance(value, str) and value.isdigit():  # an index, as a command line has it
            place = next(iter(accelerators()[int(value) :]), None)
        else:
            place = torch.device(value)
    except (RuntimeError, TypeError) as error:
        here = ", ".join(map(str, ["cpu", *accelerators()]))
        raise UserError(f"{said} is no device of PyTorch's: it sees {here} here", str(error)) from error
    if place and place.type in others:  # these need no accelerator to be looked for
        return place
    there = accelerators()
    if place is None or torch.device(place.type, place.index or 0) not in there:
        here = ", ".join(map(str, ["cpu", *there]))
        raise UserError(f"{said} is not on this machine: PyTorch sees {here} here; give one of these")
    return place


def _one_place(devices: Collection[torch.device]) -> bool:
    """Whether these are one device: without an index it is the first of its kind."""
    return len({(device.type, device.index or 0) for device in devices}) == 1


def _clearest(devices: Collection[torch.device]) -> torch.device:
    """Of several names of one device, one with an index if there is any."""
    return max(devices, key=lambda device: device.index is not None)


def device_name(device: torch.device) -> str:
    """An accelerator as its maker calls it; its type where PyTorch does not tell, as for Apple's."""
    named = getattr(torch.get_device_module(device), "get_device_name", None)
    return named(device) if named else f"{device.type} device"


def memory_bytes(device: torch.device) -> int:
    """All the memory a device has, in use or not: the GPU's own, or the machine's, which Apple's GPUs share."""
    properties = getattr(torch.get_device_module(device), "get_device_properties", None)
    if device.type == "cpu" or properties is None:
        return psutil.virtual_memory().total
    return int(properties(device).total_memory)


def free_bytes(device: torch.device) -> int:
    """The memory of an accelerator that nobody has taken; 0 where PyTorch does not tell."""
    info = getattr(torch.get_device_module(device), "mem_get_info", None)
    with suppress(RuntimeError):  # of Intel's GPUs some have no such figure
        return info(device)[0] if info else 0
    return 0


def allocator(device: torch.device) -> Any:
    """The module of PyTorch's that counts what tensors take on a device, torch.cuda for CUDA; None where none counts peaks.

    Not torch.accelerator: what it has for this fails an internal assertion on Apple's GPUs, whose allocator counts no peak.
    """
    module = torch.get_device_module(device)
    return module if device.type != "cpu" and hasattr(module, "reset_peak_memory_stats") else None


def release_memory(device: torch.device) -> None:
    """Give back what PyTorch keeps on an accelerator for later; nothing on a CPU."""
    if device.type != "cpu":
        torch.get_device_module(device).empty_cache()
