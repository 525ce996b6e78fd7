"""Two sweeps made by hand: one of every kind of row, and one as the documentation measures."""

from dataclasses import replace

from tests.vivit.benchmark.children import result, row
from vivit.benchmark.measurement import Cell, Measurement

EAGER, SDPA = Cell("m", "eager"), Cell("m", "sdpa")
SIX = tuple((100.0 + k,) for k in range(6))  # what each of six processes' one call took
TWICE = tuple((2 * ms,) for (ms,) in SIX)
WHOLE = result(
    row(EAGER, *TWICE, weights=100, activations=900, logits=(1.0, 2.0, 3.0), kernel="_softmax"),
    row(SDPA, *SIX, weights=100, activations=150, logits=(1.0, 2.0, 3.5), kernel="_scaled"),
    Measurement(Cell("m", "sdpa-cudnn"), "unavailable", "CUDA only", "No viable backend", estimate=None),
    row(replace(EAGER, batch_size=4), (800.0,), activations=3600),
    row(replace(SDPA, batch_size=4), (390.0,), activations=600, warm=False),
)


# As the documentation's preset measures: 4 calls in each of six processes; in float16 21 calls in two, enough for its table.
DOCUMENTED = result(
    row(EAGER, *[(200.0, 210.0, 220.0, 210.0)] * 6, activations=900),
    row(SDPA, *[(100.0, 105.0, 110.0, 105.0)] * 6, activations=150),
    row(replace(EAGER, precision="float16"), (20.0,) * 20, (20.0,)),
    row(replace(SDPA, precision="float16"), (10.0,) * 17, (10.0,) * 4),
)
