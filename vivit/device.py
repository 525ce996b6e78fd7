"""The device that models run on: which, how large, and when it is full."""

import psutil
import torch


def default_device() -> torch.device:
    """The device models run on: a CUDA GPU if PyTorch sees one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def memory_bytes(device: torch.device) -> int:
    """All the memory a device has, in use or not: the GPU's own, or the machine's."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return psutil.virtual_memory().total


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out: on a CPU PyTorch raises a plain RuntimeError for it."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
