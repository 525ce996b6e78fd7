"""What is fast, lean or slow on a machine, told before anything is run: by the cost model and the rates of its probes.

No torch is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vivit.benchmark.cost import estimate
from vivit.benchmark.measurement import Cell
from vivit.config import VivitConfig
from vivit.machine import Machine
from vivit.names import BACKENDS, PRECISIONS

TOLD = 1.15  # estimates whose ratio is nearer to 1 are as good as equal
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
        kinds = PRECISIONS[self.precision]
        return kinds.weights == kinds.compute == "float32"


def expect(config: VivitConfig, machine: Machine) -> list[Expected]:
    """Every cell whose backend ran in its precision when the machine was probed, in the usual order.

    Args:
        config: of the checkpoint. machine: with the rates of its probes.
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
    """The fastest that is float32 throughout, the usual backend where none is told from it; None if there is none."""
    exact = [cell for cell in found if cell.exact]
    least = min((cell.latency_ms for cell in exact), default=0.0)
    near = [cell for cell in exact if cell.latency_ms <= TOLD * least]
    return min(near, key=lambda cell: (cell.attention != USUAL, cell.latency_ms), default=None)


def leanest(found: Sequence[Expected]) -> Expected | None:
    """The one with the lowest peak, the fastest of those within 1 % of it; None if there is none."""
    least = min((cell.peak for cell in found), default=0)
    near = [cell for cell in found if cell.peak <= 1.01 * least]
    fast = min((cell.latency_ms for cell in near), default=0.0)
    near = [cell for cell in near if cell.latency_ms <= TOLD * fast]
    return min(near, key=lambda cell: (cell.attention != USUAL, cell.latency_ms), default=None)


def slowness(found: Sequence[Expected], attention: str, precision: str) -> tuple[float, str] | None:
    """How many times as long a cell takes as the same backend in float32, or as the usual one, and what to call that.

    Returns:
        None for the usual backend in float32, and for what was not probed.
    """
    known = {(cell.attention, cell.precision): cell for cell in found}
    cell = known.get((attention, precision))
    same, usual = known.get((attention, "float32")), known.get((USUAL, "float32"))
    base = usual if same is cell or same is None else same
    if cell is None or base is None or base is cell:
        return None
    against = base.attention if base.precision == precision else base.name
    return cell.latency_ms / base.latency_ms, base.precision if base.attention == attention else against


def speed(found: Sequence[Expected], attention: str, precision: str) -> str:
    """`slowness` in words, 'takes about 1.7 times as long as float32'; '' where there is none."""
    told = slowness(found, attention, precision)
    if told is None:
        return ""
    ratio, against = told
    if ratio >= TOLD:
        return f"takes about {_digits(ratio)} times as long as {against}"
    if ratio <= 1 / TOLD:
        return f"is about {_digits(1 / ratio)} times as fast as {against}"
    return f"takes about as long as {against}"


def advice(found: Sequence[Expected], device: str) -> str:
    """The fastest exact cell, the leanest, and which precisions are slow or fast, in two sentences; '' before any is known.

    Args:
        device: what to call it: 'processor' or 'GPU'.
    """
    exact, lean = fastest_exact(found), leanest(found)
    if exact is None or lean is None:
        return ""
    both = "cell and the leanest" if lean is exact else f"cell, {lean.name} the leanest"
    said = f"On this {device} {exact.name} is the fastest exact {both}."
    others = []
    for precision in PRECISIONS:
        told = slowness(found, exact.attention, precision)
        if told and told[1] == "float32" and not 1 / TOLD < told[0] < TOLD:
            others.append(f"{precision} {speed(found, exact.attention, precision)}")
    return f"{said} {'; '.join(others)}." if others else said


def _digits(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"
