"""What this machine has, and which attention backends and precisions run on it."""

import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import psutil
import torch

from vivit.attention import ATTENTION, AttentionUnavailable
from vivit.benchmark.measure import timed
from vivit.linear import linear
from vivit.precision import PRECISIONS


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


class OtherWork:
    """How much of the processors other programs take, from here on."""

    def __init__(self) -> None:
        self._begin = self._seconds()

    def share(self) -> float | None:
        """0 to 1 of all processors' time; None within 0.2 s, since the system's counters advance 100 times a second."""
        wall, all_busy, ours = (now - then for now, then in zip(self._seconds(), self._begin, strict=True))
        if wall < 0.2:
            return None
        return min(max((all_busy - ours) / (wall * (os.cpu_count() or 1)), 0.0), 1.0)

    @staticmethod
    def _seconds() -> tuple[float, float, float]:
        """Wall time, busy time of all processors, and this process's part of it."""
        times = psutil.cpu_times()
        return time.monotonic(), times.user + times.nice + times.system, time.process_time()


@dataclass(frozen=True)
class Support:
    """Whether one attention backend runs in one precision here.

    Args:
        attention, precision: keys of `ATTENTION` and `PRECISIONS`.
        flops_per_second: the rate it reached on a few tokens, 0 where it does not run.
        reason: why it does not run, '' where it does.
        details: PyTorch's own words for it.
    """

    attention: str
    precision: str
    flops_per_second: float = 0.0
    reason: str = ""
    details: str = ""


def check_support(device: torch.device, head_size: int = 64, tokens: int | None = None) -> list[Support]:
    """Try every attention backend in every precision on a few tokens.

    Args:
        device: where to try.
        head_size: the width of one head, which some kernels depend on.
        tokens: how many to attend to; by default as many as keep a GPU busy for longer than a launch takes, and as make
            scores that a CPU takes fresh memory for, as it does in a model.
    """
    heads = 3
    tokens = tokens or (4096 if _roomy(device) else 1024)
    flops = 4 * heads * tokens**2 * head_size
    found: list[Support] = []
    tried: dict[tuple[str, torch.dtype], Support] = {}  # two precisions compute in float32
    for precision, kinds in PRECISIONS.items():
        query = torch.randn(1, heads, tokens, head_size, device=device).to(kinds.compute)
        for attention, attend in ATTENTION.items():
            key = attention, kinds.compute
            if key not in tried:
                try:
                    seconds = _best_seconds(partial(attend, query, query, query, 0.0), device)
                    tried[key] = Support(attention, precision, flops_per_second=flops / seconds)
                except AttentionUnavailable as error:
                    tried[key] = Support(attention, precision, reason=str(error), details=error.details)
            found.append(replace(tried[key], precision=precision))
    return found


def product_rate(device: torch.device, dtype: torch.dtype, size: int | None = None) -> float:
    """FLOP/s of size × size × size products with a weight, multiply and add counted separately."""
    size = size or (8192 if _roomy(device) else 2048 if device.type == "cuda" else 768)
    matrix = torch.randn(size, size, device=device).to(dtype)
    return 2 * size**3 / _best_seconds(partial(linear, matrix, matrix), device)


def copy_rate(device: torch.device) -> float:
    """Bytes/s of a large copy in memory, read and written counted separately; on a CPU into fresh memory."""
    source = torch.ones(2**30 if _roomy(device) else 2**26, dtype=torch.uint8, device=device)
    # A model's tensors are made anew on every call. On a GPU PyTorch keeps memory for them, on a CPU the system clears it.
    copy = partial(torch.empty_like(source).copy_, source) if device.type == "cuda" else source.clone
    return 2 * source.numel() / _best_seconds(copy, device)


def _roomy(device: torch.device) -> bool:
    """Whether this is a GPU with room for probes that keep it busy; another's work may have taken it."""
    return device.type == "cuda" and torch.cuda.mem_get_info(device)[0] > 6 * 2**30


def _best_seconds(call: Callable[[], object], device: torch.device) -> float:
    """The best within 25 ms or more, after one to warm up: these are rates to estimate with, not results to report."""
    call()
    samples: list[float] = []
    while sum(samples) < 25 or (len(samples) < 3 and sum(samples) < 100):
        samples.append(timed(call, device)[1])
    return min(samples) / 1e3


def describe(device: torch.device | None = None) -> dict:
    """Everything 'about this machine', as JSON.

    Returns:
        device (name of the device type), device_name, memory_bytes (of the device), threads, cpu_capability, versions
        (name → version), support (a list of `Support` as dicts), flops_per_second (precision → rate of matrix products,
        which tells what is slow here), training_flops_per_second (the same where gradients are wanted),
        bytes_per_second (of a copy in the device's memory).
    """
    device = device or default_device()
    on_gpu = device.type == "cuda"
    with torch.inference_mode():
        support = check_support(device)
        if on_gpu:
            torch.cuda.empty_cache()
        rates = {name: product_rate(device, kinds.compute) for name, kinds in PRECISIONS.items()}
        bandwidth = copy_rate(device)
        # Once more, and the better of the two: where this is a server's start, much else starts with it.
        pairs = zip(support, check_support(device), strict=True)
        best = [asdict(max(pair, key=lambda found: found.flops_per_second)) for pair in pairs]
    training = dict(rates)
    if not on_gpu:  # float32 with gradients is another library's: see `vivit.linear`
        plain = product_rate(device, torch.float32)
        training |= {name: plain for name, kinds in PRECISIONS.items() if kinds.compute == torch.float32}
    if on_gpu:
        torch.cuda.empty_cache()  # what was tried here takes no room from the models
    return {
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if on_gpu else _cpu_name(),
        "memory_bytes": memory_bytes(device),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "platform": platform.platform(terse=True),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda or "none",
            "driver": _driver(),
        },
        "support": best,
        "flops_per_second": rates,
        "training_flops_per_second": training,
        "bytes_per_second": bandwidth,
    }


def _driver() -> str:
    with suppress(OSError):
        return Path("/sys/module/nvidia/version").read_text(encoding="ascii").strip()
    return "none" if not torch.cuda.is_available() else "unknown"


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
