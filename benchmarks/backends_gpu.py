"""Every backend in float16 and every precision with sdpa, at one batch size on a GPU, as a sweep for the Benchmark page.

    python -m benchmarks.backends_gpu OUT [--batch-size 8] [--seconds 330]

ViViT-B/16x2 with random weights, six rounds of one fresh process a cell. FlashAttention's packages and bitsandbytes are
measured where they are installed; what does not run is a row that says why. What is not done when the time is up is left out.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from time import monotonic

from vivit.benchmark.child import measure_in_child
from vivit.benchmark.measurement import Measurement
from vivit.benchmark.presets import grid
from vivit.benchmark.probes import describe
from vivit.benchmark.report import as_text
from vivit.benchmark.results import save, snapshot
from vivit.benchmark.sweep import FULL_RULE, PlannedRound, Sweep, run_all
from vivit.checkpoint import RANDOM, open_checkpoint
from vivit.names import BACKENDS, PRECISIONS


class TimeIsUp(Exception):
    """Of the whole run."""


def main() -> None:
    """Run the sweep, write it to a folder and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="a folder")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N")
    parser.add_argument("--seconds", type=float, default=330.0, metavar="S", help="after which no process is begun")
    options = parser.parse_args()
    ends = monotonic() + options.seconds
    sizes = (options.batch_size,)
    others = [name for name in BACKENDS if name != "sdpa"]
    cells = grid(RANDOM, ("sdpa",), tuple(PRECISIONS), sizes) + grid(RANDOM, others, ("float16",), sizes)
    rule = replace(FULL_RULE, seconds=1.0)
    sweep = Sweep(cells, {RANDOM: open_checkpoint(RANDOM).config}, describe(), budget_seconds=None, rule=rule)

    def measure(planned: PlannedRound) -> tuple[Measurement, float]:
        if monotonic() > ends:
            raise TimeIsUp
        return measure_in_child(planned)

    try:
        run_all(sweep, measure)
    except TimeIsUp:
        print("The time is up: some rounds are missing.")
    result = snapshot(sweep, "every backend in float16, and every precision", id="backends-and-precisions")
    print(save(result, options.out), as_text(result), sep="\n")


if __name__ == "__main__":
    main()
