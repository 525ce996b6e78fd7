"""What is fast, lean or slow on a machine, told before anything is run: by the cost model and the rates of its probes.

No torch is used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vivit.benchmark.cost import estimate
from vivit.benchmark.measurement import Cell
from vivit.benchmark.side_by_side import BUSY_SHARE
from vivit.benchmark.wording import percent
from vivit.config import VivitConfig
from vivit.machine import Machine
from vivit.names import BACKENDS, PRECISIONS

LEAST_RATIO = 1.15  # estimates whose ratio is nearer to 1 are as good as equal
USUAL = "sdpa"


@dataclass(frozen=True)
class Expected:
    """What one cell is expected to take.

    Args:
        attention, precision: keys of `vivit.names.BACKENDS` and `PRECISIONS`.
        latency_ms, peak: of one clip's forward pass; peak in bytes, weights and activations.
    """

    attention: str
    precision: str
    latency_ms: float
    peak: int

    @property
    def name(self) -> str:
        """'sdpa in float32'."""
        return f"{self.attention} in {self.precision}"

    @property
    def exact(self) -> bool:
        """Whether all of it is float32."""
        return PRECISIONS[self.precision].exact


def expect(config: VivitConfig, machine: Machine) -> list[Expected]:
    """Every cell whose backend ran in its precision when the machine was probed, in the usual order.

    Args:
        config: of the checkpoint.
        machine: with the rates of its probes.
    """
    found = []
    for precision in PRECISIONS:
        for attention in BACKENDS:
            support = machine.find(attention, precision)
            if support and support.flops_per_second and precision in machine.flops_per_second:
                guess = estimate(Cell("", attention, precision), config, machine)
                assert guess.latency_ms
                found.append(Expected(attention, precision, guess.latency_ms, guess.peak))
    return found


def fastest_exact(found: Sequence[Expected]) -> Expected | None:
    """The fastest that is float32 throughout, or the usual backend's where that is as good as equal; None if there is none."""
    return _fastest([cell for cell in found if cell.exact])


def leanest(found: Sequence[Expected]) -> Expected | None:
    """The one with the lowest peak, the fastest of those within 1 % of it; None if there is none."""
    least = min((cell.peak for cell in found), default=0)
    return _fastest([cell for cell in found if cell.peak <= 1.01 * least])


def _fastest(cells: Sequence[Expected]) -> Expected | None:
    least = min((cell.latency_ms for cell in cells), default=0.0)
    near = [cell for cell in cells if cell.latency_ms <= LEAST_RATIO * least]
    return min(near, key=lambda cell: (cell.attention != USUAL, cell.latency_ms), default=None)


def slowness(found: Sequence[Expected], attention: str, precision: str) -> float | None:
    """How many times as long a cell takes as its backend in float32; None for float32 itself and for what was not probed."""
    known = {(cell.attention, cell.precision): cell.latency_ms for cell in found}
    ours, base = known.get((attention, precision)), known.get((attention, "float32"))
    return None if ours is None or base is None or precision == "float32" else ours / base


def probed_busy(machine: Machine) -> bool:
    """Whether others had so much of the processors while a machine was probed that its rates mean little."""
    return (machine.probed_beside or 0.0) > BUSY_SHARE and not machine.on_gpu


def advice(found: Sequence[Expected], machine: Machine) -> str:
    """The fastest exact cell, the leanest, and which precisions are slow or fast; '' before any is known.

    Where other programs were busy while the machine was probed, it says why it cannot tell what is fast.
    """
    exact, lean = fastest_exact(found), leanest(found)
    if exact is None or lean is None:
        return ""
    if probed_busy(machine):
        share = percent(machine.probed_beside or 0.0)
        return (
            f"Of what runs here {lean.name} is the leanest cell. What is fast cannot be told: other programs held {share} of "
            "the processors while this one was probed, at the start."
        )
    both = "cell and the leanest" if lean is exact else f"cell, {lean.name} the leanest"
    said = [f"On this {'GPU' if machine.on_gpu else 'processor'} {exact.name} is the fastest exact {both}."]
    ratios = {name: slowness(found, USUAL, name) for name in PRECISIONS}
    slow = {name: ratio for name, ratio in ratios.items() if ratio and ratio >= LEAST_RATIO}
    fast = {name: 1 / ratio for name, ratio in ratios.items() if ratio and ratio <= 1 / LEAST_RATIO}
    clauses = []
    if slow:
        clauses.append(_listed(slow, "takes about {} times as long as float32"))
    if fast:
        clauses.append(_listed(fast, "is about {} times as fast as float32"))
    said += [f"{'; '.join(clauses)}."] * bool(clauses)
    return " ".join(said)


def _listed(ratios: Mapping[str, float], words: str) -> str:
    """'float16 takes about 4.1 times as long as float32, bfloat16 1.7'."""
    (first, ratio), *others = ratios.items()
    return ", ".join([f"{first} {words.format(digits(ratio))}", *(f"{name} {digits(r)}" for name, r in others)])


def digits(ratio: float) -> str:
    """An estimated ratio with as many digits as it is good for."""
    return f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"
