"""The device that models run on: which it is, and how large."""

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
