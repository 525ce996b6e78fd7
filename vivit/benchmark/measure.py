"""Time, memory and kernels of one call. Knows no model."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile

from vivit.benchmark.measurement import Round, StoppingRule
from vivit.device import allocator
from vivit.flex_attention import REGION

Result = TypeVar("Result")

FUSED = "aten::_scaled_dot_product_"
PACKAGES = ("flash_attn::", "flash_attn_3::")  # operators of FlashAttention's packages …
PACKAGE_FUNCTION = "FlashAttnFunc"  # … and what those that register none run
COMPILED = "Torch-Compiled Region"
SOFTMAX = "aten::_softmax"


def timed(
    call: Callable[[], Result], device: torch.device, clock: Callable[[], float] = time.perf_counter
) -> tuple[Result, float]:
    """Run `call` once between two synchronised clock reads.

    Args:
        call: does its work on `device`.
        device: an accelerator is timed by its own events, a CPU by `clock`.
        clock: tells the time in seconds.

    Returns:
        What `call` returned, and the time it took in ms.
    """
    if device.type == "cpu":
        start = clock()
        result = call()
        return result, (clock() - start) * 1e3
    begin, end = (torch.Event(device, enable_timing=True) for _ in range(2))
    stream = torch.accelerator.current_stream(device)  # or an event is recorded on the device that is current
    torch.accelerator.synchronize(device)
    begin.record(stream)
    result = call()
    end.record(stream)
    torch.accelerator.synchronize(device)
    return result, begin.elapsed_time(end)


def repeat(time_call: Callable[[], float], rule: StoppingRule) -> Round:
    """Time a call until a rule is satisfied.

    A first call that is too slow for the rule is not repeated: it is the sample, and not a warm one.

    Args:
        time_call: runs the call once and returns the ms it took.
        rule: when to stop.
    """
    first = time_call()
    if rule.too_slow(first):
        return Round(first, (first,), warm=False)
    spent = 0.0
    while spent < rule.warm_up_seconds * 1e3:
        spent += time_call()
    samples: list[float] = []
    while not rule.satisfied(samples):
        samples.append(time_call())
    return Round(first, tuple(samples))


def peak_memory(call: Callable[[], Result], device: torch.device) -> tuple[Result, int | None]:
    """Run `call` once and find the most memory it held at a time, beyond what was held before it.

    On an accelerator this is the caching allocator's own peak. On a CPU it is the highest running sum of the allocations and
    frees that PyTorch's profiler records: the resident size of the process says nothing, since freed pages stay and are reused.

    Returns:
        What `call` returned, and the peak in bytes; None on an accelerator whose allocator counts none.
    """
    if device.type != "cpu":
        return _allocated_peak(call, device)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = call()
    return result, _recorded_peak(_events(profiler))


@dataclass(frozen=True)
class Record:
    """What the profiler saw of one call. Args: peak_bytes: as `peak_memory`; kernel, device_kernels: as `Measurement`."""

    peak_bytes: int | None
    kernel: str
    device_kernels: tuple[str, ...]


def record(call: Callable[[], Result], device: torch.device) -> tuple[Result, Record]:
    """Run `call` once with the profiler on: peak memory, and which attention truly ran. Not for timing."""
    peak: int | None
    if device.type != "cpu":
        its_own = [a for a in (getattr(ProfilerActivity, device.type.upper(), None),) if a]  # Apple's GPUs have none
        with profile(activities=[ProfilerActivity.CPU, *its_own]) as profiler:
            result, peak = _allocated_peak(call, device)
        events = _events(profiler)
    else:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            result = call()
        events = _events(profiler)
        peak = _recorded_peak(events)
    on_device = [e.name() for e in events if e.device_type() != DeviceType.CPU]
    return result, Record(peak, attention_kernel(e.name() for e in events), device_kernels(on_device))


def attention_kernel(names: Iterable[str]) -> str:
    """The attention operator among the names of a profile.

    Returns:
        PyTorch's fused operator; else that of a FlashAttention package; else FlexAttention's compiled kernel, or where that
        has no name of its own, the region that holds it; else '_softmax', which is attention written out; else the
        compiled kernel that holds that; '' if there is none.
    """
    found = set(names)
    fused = sorted(n for n in found if n.startswith((FUSED, *PACKAGES)) and "backward" not in n)
    if fused:
        return ", ".join(n.removeprefix("aten::") for n in fused)
    if PACKAGE_FUNCTION in found:
        return PACKAGE_FUNCTION
    if flex := [n for n in found if n.startswith("triton_") and ("flex_attention" in n or "flex_decoding" in n)]:
        return min(flex)
    if REGION in found and any(n.startswith(COMPILED) for n in found):
        return REGION
    if SOFTMAX in found:
        return SOFTMAX.removeprefix("aten::")
    return min((n for n in found if "softmax" in n and not n.startswith("aten::")), default="")


def device_kernels(names: Iterable[str]) -> tuple[str, ...]:
    """The GPU kernels that compute attention or its softmax, without their arguments, which CuTe's names hold too."""
    words = ("flash", "fmha", "sdpa", "attention", "softmax", "flex_decoding")
    short = {
        name.removeprefix("void ")
        .replace("(anonymous namespace)::", "")
        .split("<")[0]
        .split("(")[0]
        .split("_object_at_")[0]: name
        for name in names
        if name != REGION  # which stands there too, and is no kernel
    }
    return tuple(sorted(s for s in short if any(word in s.lower() for word in words)))


def _allocated_peak(call: Callable[[], Result], device: torch.device) -> tuple[Result, int | None]:
    counting = allocator(device)
    if counting is None:
        return call(), None
    counting.synchronize(device)  # and not torch.accelerator's, which does nothing before the device is started
    counting.reset_peak_memory_stats(device)
    before = counting.memory_allocated(device)
    result = call()
    counting.synchronize(device)
    return result, counting.max_memory_allocated(device) - before


def _events(profiler: Any) -> list[Any]:
    events: list[Any] = profiler.profiler.kineto_results.events()
    return events


def _recorded_peak(events: list[Any]) -> int:
    changes = [e for e in events if e.name() == "[memory]" and e.device_type() == DeviceType.CPU]
    held = peak = 0
    for change in sorted(changes, key=lambda e: e.start_ns()):
        held += change.nbytes()
        peak = max(peak, held)
    return peak
