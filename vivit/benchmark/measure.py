"""Time and memory of one call. Knows no model."""

import time
from collections.abc import Callable
from typing import TypeVar

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

Result = TypeVar("Result")


def timed(call: Callable[[], Result], device: torch.device) -> tuple[Result, float]:
    """Run `call` once between two synchronised clock reads.

    Args:
        call: does its work on `device`.
        device: 'cuda' is timed by CUDA events, anything else by `perf_counter`.
    Returns:
        What `call` returned, and the time it took in ms.
    """
    if device.type != "cuda":
        start = time.perf_counter()
        result = call()
        return result, (time.perf_counter() - start) * 1e3
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    begin.record()
    result = call()
    end.record()
    torch.cuda.synchronize(device)
    return result, begin.elapsed_time(end)


def peak_memory(call: Callable[[], Result], device: torch.device) -> tuple[Result, int]:
    """Run `call` once and find the most memory it held at a time, beyond what was held before it.

    On CUDA this is the caching allocator's own peak. On a CPU it is the highest running sum of the allocations and frees
    that PyTorch's profiler records: the resident size of the process says nothing, since freed pages stay and are reused.

    Returns:
        What `call` returned, and the peak in bytes.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        result = call()
        torch.cuda.synchronize(device)
        return result, torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = call()
    events = profiler.profiler.kineto_results.events()
    changes = [e for e in events if e.name() == "[memory]" and e.device_type() == DeviceType.CPU]
    held = peak = 0
    for change in sorted(changes, key=lambda e: e.start_ns()):
        held += change.nbytes()
        peak = max(peak, held)
    return result, peak
