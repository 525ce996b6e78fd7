"""Whether something is being compiled, and what that takes on this machine."""

import os
import shutil
import sys

import torch


def being_recorded() -> bool:
    """Whether torch.compile or torch.jit.trace is recording what runs now."""
    return torch.compiler.is_compiling() or bool(torch.jit.is_tracing())  # type: ignore[attr-defined,no-untyped-call]


def missing_compiler(device: str = "cpu") -> str:
    """The compiler that PyTorch would call for a device, if it is not on this machine; '' if it is.

    Args:
        device: its type. For a CPU Inductor writes C++; for a GPU Triton compiles C that launches its kernels.
    """
    if device == "cpu":
        wanted = [os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")]  # as Inductor chooses
    else:
        wanted = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang", "cc"]  # as Triton chooses
    return "" if any(map(shutil.which, wanted)) else wanted[0]
