"""What the tests run in child processes, and what they share: a machine with round figures, and rows made by hand."""

import multiprocessing
import os
import signal
import sys
import time
from dataclasses import replace
from typing import Any

import torch

from vivit.attention import ATTENTION
from vivit.benchmark import measure
from vivit.benchmark.measurement import Cell, Estimate, Latency, Measurement, Memory, Round
from vivit.benchmark.results import Result
from vivit.machine import Machine, Support
from vivit.names import BACKENDS
from vivit.precision import DTYPES

MB = 1_000_000
MIB = 2**20

# 100 GFLOP/s of products and of every attention that runs, 10 GB/s, 1 TB.
MACHINE = Machine(
    device="cpu",
    device_name="Test Machine <1>",
    memory_bytes=10**12,
    threads=2,
    cores=2,
    cpu_capability="TEST",
    platform="Linux-test",
    versions={"python": "3.11", "torch": "2.13", "cuda": "none", "driver": "none"},
    support=tuple(
        Support(attention, precision, reason="CUDA only") if backend.cuda_only else Support(attention, precision, 1e11)
        for attention, backend in BACKENDS.items()
        for precision in DTYPES
    ),
    flops_per_second=dict.fromkeys(DTYPES, 1e11),
    bytes_per_second=1e10,
)


def row(
    cell: Cell,
    *rounds: tuple[float, ...],
    weights: int = 100,
    activations: int = 300,
    first: int = 0,
    warm: bool = True,
    others: float | None = None,
    **more: Any,
) -> Measurement:
    """An 'ok' row with these samples; the first call of a round took 10 times its first sample.

    Args:
        rounds: the samples of each, in ms.
        weights, activations: in MiB.
        first: the number of the first round; the others follow.
        warm: if not, the first sample of each round is its only call.
        others: the share of the processors that other programs had, in [0, 1].
    """
    timed = [
        Round(10 * samples[0] if warm else samples[0], samples if warm else samples[:1], warm, number, others)
        for number, samples in enumerate(rounds, first)
    ]
    return Measurement(
        cell,
        "ok",
        latency=Latency(tuple(timed)),
        memory=Memory(weights * MIB, activations * MIB, None, None, 1000 * MIB),
        estimate=Estimate(3137, 900 * 10**9 * cell.batch_size, 5.0, weights * MIB, activations * MIB),
        **more,
    )


def result(*rows: Measurement, **changes: Any) -> Result:
    references = {r.cell: r.logits for r in rows if r.logits and r.cell == r.cell.reference}
    whole = Result("a title", "clip.mp4", MACHINE, rows, references, 120.0, "abc1234")
    return replace(whole, **changes)


def state(_: object = None) -> dict[str, Any]:
    """What a fresh child finds."""
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "daemon": multiprocessing.current_process().daemon,
        "cuda": torch.cuda.is_initialized(),
        "main": getattr(sys.modules["__main__"], "__file__", None),
        "loaded": [name for name in ("torch", "vivit.model", "streamlit", "pytest", "av") if name in sys.modules],
    }


def die(number: int) -> dict[str, Any]:
    os.kill(os.getpid(), number)
    time.sleep(60)
    return {}


def leave(status: int) -> dict[str, Any]:
    sys.exit(status)


def ignore_everything(file: str) -> dict[str, Any]:
    """Ignore every signal, write this process's id to a file, and add words should the process ever end by itself."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    with open(file, "w", encoding="ascii") as out:
        out.write(str(os.getpid()))
    time.sleep(600)
    with open(file, "a", encoding="ascii") as out:
        out.write(" ended by itself")
    return {}


def allocate(megabytes: int) -> dict[str, Any]:
    """Record a call that holds a known amount at its fullest."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def call() -> None:
        first = torch.empty(megabytes // 4 * MB, dtype=torch.uint8, device=device)
        del first
        parts = [torch.empty(megabytes // 4 * MB, dtype=torch.uint8, device=device) for _ in range(4)]
        del parts

    _, recorded = measure.record(call, device)
    return {"peak_bytes": recorded.peak_bytes}


def attend(attention: str, precision: str) -> dict[str, Any]:
    """Record one call of an attention backend."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    query, key, value = torch.randn(3, 1, 4, 300, 64, device=device).to(DTYPES[precision].compute)
    _, recorded = measure.record(lambda: ATTENTION[attention](query, key, value, 0.0), device)
    return {"kernel": recorded.kernel, "device_kernels": recorded.device_kernels}
