"""Rows that charts are drawn of, and what a chart that has been drawn shows."""

from typing import Any

from tests.vivit.benchmark.children import row
from vivit.benchmark.measurement import Cell

EAGER, SDPA, HALF = Cell("m", "eager"), Cell("m", "sdpa"), Cell("m", "sdpa", "float16")
Rounds = list[tuple[float, ...]]
STEADY: Rounds = [(1.0,)] * 6
SHAKEN: Rounds = [(1.1,), (0.9,)] * 3


def times(ms: float, rounds: Rounds = STEADY) -> Rounds:
    return [tuple(ms * factor for factor in samples) for samples in rounds]


PLAIN = row(EAGER, *times(200.0), activations=900)
FAST = row(SDPA, *times(100.0), activations=150)
COLD = row(HALF, (40.0,), warm=False, activations=150)
NOISY = row(HALF, *times(50.0, SHAKEN), activations=150)
ALONE = row(Cell("m", "sdpa-math"), (300.0, 300.0), activations=900)


def texts(figure: Any, name: str = "values") -> list[str]:
    """What stands beyond the bars' ends or above the points, from top to bottom."""
    (values,) = (trace for trace in figure.data if trace.name == name)
    return [text.strip() for _, text in sorted(zip(values.y, values.text, strict=True))]


def points(figure: Any) -> list[tuple[float, float]]:
    """Place and value of every ratio, from top to bottom."""
    return sorted(p for trace in figure.data if trace.mode == "markers" for p in zip(trace.y, trace.x, strict=True))


def ratio_symbols(figure: Any) -> list[int]:
    return [symbol for trace in figure.data if trace.mode == "markers" for symbol in trace.marker.symbol]


def hover(figure: Any) -> str:
    return " ".join(text for trace in figure.data for text in trace.hovertext or ())
