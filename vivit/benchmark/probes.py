"""Finds out what this machine does: which attention backends and precisions run, and how fast a few of each are."""

import os
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from vivit.attention import ATTENTION
from vivit.benchmark.measure import repeat, timed
from vivit.benchmark.measurement import PROBE
from vivit.device import accelerators, default_device, device_name, free_bytes, memory_bytes, release_memory
from vivit.errors import AttentionUnavailable
from vivit.execution import why_not as lacks
from vivit.flex_attention import refuse_flex
from vivit.linear import linear
from vivit.machine import Machine, OtherWork, Probes, Support
from vivit.names import BACKENDS, EXECUTIONS
from vivit.precision import DTYPES, LAYERS, TF32, compute_dtype, why_not
from vivit.tf32 import products


def choose_probes(device: torch.device) -> Probes:
    """Sizes that tell a device's rates.

    As many tokens as keep a GPU busy for longer than a launch takes, and as make scores larger than most of a CPU's
    cache.
    """
    if device.type == "cpu":
        return Probes(tokens=1024, heads=3, size=768)
    return Probes(tokens=4096, heads=12, size=8192) if _roomy(device) else Probes(tokens=1024, heads=3, size=2048)


def check_support(device: torch.device, probes: Probes, head_size: int = 64) -> list[Support]:
    """Try every attention backend in every precision on a few tokens; those that are compiled are not run.

    Args:
        device: where to try.
        probes: how many tokens and heads.
        head_size: the width of one head, which some kernels depend on.
    """
    shape = (1, probes.heads, probes.tokens, head_size)
    flops = 4 * probes.heads * probes.tokens**2 * head_size
    found: list[Support] = []
    tried: dict[tuple[str, torch.dtype, bool], Support] = {}  # several precisions compute in float32
    for precision in DTYPES:
        lacking = why_not(precision, device)
        compute = compute_dtype(precision, device)
        query = torch.randn(shape, device=device).to(compute)
        for attention, attend in ATTENTION.items():
            if lacking[0]:
                found.append(Support(attention, precision, 0.0, *lacking))
                continue
            key = attention, compute, precision == TF32
            if key not in tried:
                try:
                    if BACKENDS[attention].compiled:  # compiling takes longer than a server's start may
                        refuse_flex(query)
                        tried[key] = Support(attention, precision)
                    else:
                        with products(precision == TF32):
                            seconds = _best_seconds(partial(attend, query, query, query, 0.0), device)
                        tried[key] = Support(attention, precision, flops_per_second=flops / seconds)
                except AttentionUnavailable as error:
                    tried[key] = Support(attention, precision, reason=str(error), details=error.details)
            found.append(replace(tried[key], precision=precision))
    return found


def product_rate(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """FLOP/s of size × size × size products with a weight, multiply and add counted separately."""
    matrix = torch.randn(size, size, device=device).to(dtype)
    return 2 * size**3 / _best_seconds(partial(linear, matrix, matrix), device)


def eight_bit_rate(device: torch.device, precision: str, tokens: int) -> float:
    """The same of layers in 8 bit of ViViT-B's widths, which also round what they are given and make it floating again.

    How much that takes depends on the widths. In 'int8-bitsandbytes', where some columns hold large numbers, which are
    multiplied apart, it takes up to 1.7 times as long (an H200): here none do, as in a model with random weights.
    """
    hidden, middle = 768, 3072
    wide, narrow = (
        LAYERS[precision](torch.randn(shape, device=device), None).eval()
        for shape in ((middle, hidden), (hidden, middle))
    )
    x, y = (
        torch.randn(1, tokens, width, device=device).to(compute_dtype(precision, device)) for width in (hidden, middle)
    )
    return 4 * tokens * hidden * middle / _best_seconds(lambda: (wide(x), narrow(y)), device)


def copy_rate(device: torch.device) -> float:
    """Bytes/s of a large copy in memory, read and written counted separately; on a CPU into new memory."""
    source = torch.ones(2**30 if _roomy(device) else 2**26, dtype=torch.uint8, device=device)
    # A model's tensors are made anew on every call. On a GPU PyTorch keeps memory for them, on a CPU `vivit.heap`
    # does, in the processes that measure; where it does not, the system clears it here as there.
    copy = partial(torch.empty_like(source).copy_, source) if device.type != "cpu" else source.clone
    return 2 * source.numel() / _best_seconds(copy, device)


def _roomy(device: torch.device) -> bool:
    """Whether this is a GPU with room for probes that keep it busy; another's work may have taken it."""
    return device.type != "cpu" and free_bytes(device) > 6 * 2**30


def _best_seconds(call: Callable[[], object], device: torch.device) -> float:
    """The best of a few after one to warm up: these are rates to estimate with, not results to report."""
    return min(repeat(lambda: timed(call, device)[1], PROBE).samples_ms) / 1e3


def describe(device: torch.device | None = None) -> Machine:
    """Everything 'about this machine', its rates measured now."""
    device = device or default_device()
    on_gpu = device.type != "cpu"
    probes, others = choose_probes(device), OtherWork()
    with torch.inference_mode():
        support = check_support(device, probes)
        release_memory(device)
        runs = {found.precision for found in support if not found.reason}
        rates = {}
        for name in [name for name in DTYPES if name in runs and name not in LAYERS]:
            with products(name == TF32):
                rates[name] = product_rate(device, compute_dtype(name, device), probes.size)
        bandwidth = copy_rate(device)
        # Once more, and the better of the two: where this is a server's start, much else starts with it.
        pairs = zip(support, check_support(device, probes), strict=True)
        best = tuple(max(pair, key=lambda found: found.flops_per_second) for pair in pairs)
        training = dict(rates)
        rates |= {name: eight_bit_rate(device, name, probes.size) for name in LAYERS if name in runs}
    if not on_gpu:  # float32 with gradients is another library's: see `vivit.linear`
        plain = product_rate(device, torch.float32, probes.size)
        training |= {name: plain for name in training if compute_dtype(name, device) == torch.float32}
    release_memory(device)  # what was tried here takes no room from the models
    return replace(
        identify(device),
        support=best,
        flops_per_second=rates,
        bytes_per_second=bandwidth,
        training_flops_per_second=training,
        probes=probes,
        probed_beside=others.share(),
    )


def identify(device: torch.device) -> Machine:
    """'About this machine' without anything that would have to be measured: no backend is tried, and no rate is known."""
    return Machine(
        device=device.type,
        device_name=called(device),
        memory_bytes=memory_bytes(device),
        threads=torch.get_num_threads(),
        cores=os.cpu_count() or 1,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        platform=platform.platform(terse=True),
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda or "none",
            "driver": _driver(),
        },
        support=(),
        flops_per_second={},
        bytes_per_second=0.0,
        index=(device.index or 0) if device.type != "cpu" else None,
        executions={name: lacks(name, device.type) for name in EXECUTIONS},
        devices=tuple(f"{found} {device_name(found)}" for found in accelerators()),
    )


def called(device: torch.device) -> str:
    """A device as its maker calls it."""
    return device_name(device) if device.type != "cpu" else _cpu_name()


def _driver() -> str:
    with suppress(OSError):
        return Path("/sys/module/nvidia/version").read_text(encoding="ascii").strip()
    return "none" if not torch.cuda.is_available() else "unknown"  # NVIDIA's: others' figures have no such part


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
