"""What this machine is and has been found to do, and how much of it others take. Plain data: no torch is used.

`vivit.benchmark.probes.describe` finds out.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil


@dataclass(frozen=True)
class Support:
    """Whether one attention backend runs in one precision on a machine.

    Args:
        attention, precision: keys of `vivit.names.BACKENDS` and `PRECISIONS`.
        flops_per_second: the rate it reached on a few tokens; 0 where it does not run, and where it would have to be compiled
            to be tried.
        reason: why it does not run, '' where it does.
        details: PyTorch's own words for the reason.
    """

    attention: str
    precision: str
    flops_per_second: float = 0.0
    reason: str = ""
    details: str = ""


@dataclass(frozen=True)
class Probes:
    """What the rates were measured with.

    Args:
        tokens, heads: of the attention.
        size: of the products' square weight.
    """

    tokens: int
    heads: int
    size: int


@dataclass(frozen=True)
class Machine:
    """Everything 'about this machine'.

    Args:
        device: name of the device type as PyTorch has it, 'cpu', 'cuda', …
        device_name: as its maker calls it.
        memory_bytes: all that the device has, in use or not.
        threads: of PyTorch. cores: of the processor.
        cpu_capability: the vector instructions that PyTorch uses.
        platform: operating system and version.
        versions: name → version, of Python, torch, CUDA and the driver.
        support: every attention backend in every precision.
        flops_per_second: precision → rate of matrix products, which tells what is slow here.
        bytes_per_second: of a copy in the device's memory.
        training_flops_per_second: as `flops_per_second`, where gradients are wanted; {} in the first recorded sweeps.
        probes: None in sweeps that were recorded before 0.2.0.
        index: of the GPU among those of its type; None for a CPU, and in sweeps that were recorded before there was a choice.
        devices: every GPU there is, 'cuda:0' and its maker's name; () as for `index`.
        executions: a key of `vivit.names.EXECUTIONS` → why models are not run so here, '' where they are; {} as for `devices`.
        probed_beside: the share of the processors that other programs had while the machine was probed, 0 to 1; None if that is
            not known.
    """

    device: str
    device_name: str
    memory_bytes: int
    threads: int
    cores: int
    cpu_capability: str
    platform: str
    versions: dict[str, str]
    support: tuple[Support, ...]
    flops_per_second: dict[str, float]
    bytes_per_second: float
    training_flops_per_second: dict[str, float] = field(default_factory=dict)
    probes: Probes | None = None
    index: int | None = None
    devices: tuple[str, ...] = ()
    probed_beside: float | None = None
    executions: dict[str, str] = field(default_factory=dict)

    @property
    def on_gpu(self) -> bool:
        """Whether models run on a GPU of whatever make."""
        return self.device != "cpu"

    @property
    def place(self) -> str:
        """The device as it is chosen: 'cpu', 'cuda:1'."""
        return self.device if self.index is None else f"{self.device}:{self.index}"

    @property
    def versions_text(self) -> str:
        """'python 3.11.7, torch 2.13.0, …'."""
        return ", ".join(f"{name} {version}" for name, version in self.versions.items())

    def find(self, attention: str, precision: str) -> Support | None:
        """What is known of one backend in one precision; None if it has not been tried."""
        return next((s for s in self.support if (s.attention, s.precision) == (attention, precision)), None)


class OtherWork:
    """How much of the processors other programs take, from here on.

    Args:
        readings: wall time, busy time of all processors, and this process's part of it, in seconds; the system's if None.
    """

    def __init__(self, readings: Callable[[], tuple[float, float, float]] | None = None) -> None:
        self._readings = readings or _readings
        self._begin = self._readings()

    def seconds(self) -> tuple[float, float, int]:
        """Seconds that have passed, seconds of processor time that others had meanwhile, and how many processors there are.

        The system's counters advance 100 times a second, so what others had is told by many of these together, or by one
        that is long.
        """
        wall, all_busy, ours = (now - then for now, then in zip(self._readings(), self._begin, strict=True))
        return wall, all_busy - ours, os.cpu_count() or 1

    def share(self) -> float | None:
        """The share of all processors' time that others had, 0 to 1; None within the first 0.2 s."""
        wall, others, processors = self.seconds()
        return min(max(others / (wall * processors), 0.0), 1.0) if wall >= 0.2 else None


def _readings() -> tuple[float, float, float]:
    times = psutil.cpu_times()
    return time.monotonic(), times.user + times.nice + times.system, time.process_time()
