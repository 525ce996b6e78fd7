"""The documentation's tables and every kernel on a GPU, beside transformers in the same run.

    python -m benchmarks.speed_gpu OUT [--part 1 2 training] [--model NAME|DIR] [--seconds 550]

Makes two sweeps, ours and transformers', with the same names for the same cells, so that the page and `results.compare` set
them side by side. A process of ours and one of theirs run in turn, so that drift hurts both alike. Other parts that OUT
holds already are kept, if they are of a machine like this one. Prints how many times as fast ours is. Exit status 1 if a
cell of ours is slower.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic

import transformers

from benchmarks.transformers_cells import measure_theirs
from vivit.benchmark import child
from vivit.benchmark.measurement import Cell, Measurement
from vivit.benchmark.presets import TRAINING_RULE, grid
from vivit.benchmark.probes import describe
from vivit.benchmark.ratios import SLOWER
from vivit.benchmark.report import as_text
from vivit.benchmark.results import Result, compare, load, save, snapshot, sweep_file
from vivit.benchmark.sweep import FULL_RULE, PlannedRound, Sweep
from vivit.checkpoint import RANDOM, open_checkpoint
from vivit.machine import Machine

SIZES = (1, 2, 4, 8, 16, 32)
KERNELS = ("sdpa-math", "sdpa-flash", "sdpa-efficient", "sdpa-cudnn")
KERNEL_SIZES = (1, 2, 4, 8)  # as the time on a lent GPU allows
TRAINING = "training"
PARTS = (*map(str, SIZES), TRAINING)
RULES = {"inference": replace(FULL_RULE, seconds=1.0), TRAINING: TRAINING_RULE}  # as the time on a lent GPU allows
THEIRS = ("eager", "sdpa")  # which transformers has, and only in the two precisions that the documentation timed
PRECISIONS = ("float32", "float16")


class TimeIsUp(Exception):
    """Of the whole run. No OSError, which `in_child` takes for the end of its process."""


def cells_of(model: str) -> list[Cell]:
    """All cells of ours, in reading order."""
    cells = grid(model, THEIRS, PRECISIONS, SIZES)
    cells += grid(model, KERNELS, ("float16",), KERNEL_SIZES) + grid(model, ("sdpa",), ("bfloat16",), KERNEL_SIZES)
    cells += grid(model, ("sdpa-math", "sdpa-efficient"), ("float32",), (1, 8))
    return cells + grid(model, THEIRS, modes=(TRAINING,))


def part_of(cell: Cell) -> str:
    """Cells of one part are compared with each other, so they are measured together."""
    return TRAINING if cell.mode == TRAINING else str(cell.batch_size)


def measure_both(ours: Sweep, theirs: Sweep, ends: float, changed: Callable[[int], object]) -> None:
    """A process of ours, then one of theirs, in turn, and no round before both have ended the last.

    Args:
        ends: by `monotonic`; what has not run by then becomes rows that say so.
        changed: called with the number of a round before it begins.
    """

    def tick() -> None:
        if monotonic() > ends:
            raise TimeIsUp

    sweeps, measures = (ours, theirs), (measure_ours, measure_theirs)
    waiting = [sweep.next() for sweep in sweeps]
    last, number = 1, -1
    try:
        while left := [(p.number, (i - last) % 2 == 0, i, p) for i, p in enumerate(waiting) if p]:
            _, _, last, planned = min(left, key=lambda entry: entry[:3])
            if planned.number > number:
                changed(number := planned.number)
            sweeps[last].record(*measures[last](planned, tick))
            waiting[last] = sweeps[last].next()
    except TimeIsUp:
        for sweep in sweeps:
            sweep.cancel("Left out: the time of the run was up.")


def measure_ours(planned: PlannedRound, tick: Callable[[], object]) -> tuple[Measurement, float]:
    return child.measure_in_child(planned, tick=tick)


def short(number: float, digits: int = 4) -> float:
    return float(f"{number:.{digits}g}")


def small(row: Measurement) -> Measurement:
    """With no more digits than a measurement has."""
    logits = tuple(short(x, 7) for x in row.logits) if row.logits else None
    if not row.latency:
        return replace(row, logits=logits)
    rounds = tuple(
        replace(r, first_ms=short(r.first_ms), samples_ms=tuple(map(short, r.samples_ms))) for r in row.latency.rounds
    )
    return replace(row, logits=logits, latency=replace(row.latency, rounds=rounds))


def join(earlier: Result | None, later: Result, order: list[Cell]) -> Result:
    """Both parts of one sweep, as short as they can be."""
    rows = {r.cell: small(r) for r in later.rows}
    references = {c: tuple(short(x, 7) for x in logits) for c, logits in later.references.items()}
    if earlier:
        if alike(earlier.machine) != alike(later.machine):
            raise SystemExit(f"OUT holds {earlier.id}, {earlier.label}: another machine. Choose another folder.")
        rows = {r.cell: r for r in earlier.rows} | rows
        references = earlier.references | references
    return replace(later, rows=tuple(sorted(rows.values(), key=lambda r: order.index(r.cell))), references=references)


def alike(machine: Machine) -> tuple[object, ...]:
    return machine.device_name, machine.memory_bytes, machine.cores, machine.platform, machine.versions


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS, help="batch sizes of inference, or training")
    parser.add_argument("--model", default=RANDOM)
    parser.add_argument("--seconds", type=float, default=550.0, help="it ends by then, imports not counted")
    parser.add_argument("--id", default="documentation-tables", help="of the files")
    parser.add_argument("--revision", help="of the code, where what runs is a copy of it")
    options = parser.parse_args()
    begin = monotonic()
    child.PRELOAD.append(measure_theirs.__module__)

    def note(text: str) -> None:
        print(f"[{monotonic() - begin:5.1f} s] {text}", flush=True)

    machine = describe()
    rates = {name: f"{rate / 1e12:.1f}" for name, rate in machine.flops_per_second.items()}
    note(f"{machine.device_name}: {rates} TFLOP/s, {machine.bytes_per_second / 1e12:.2f} TB/s")
    order = cells_of(options.model)
    config = {options.model: open_checkpoint(options.model).config}
    names = {
        options.id: "The documentation's tables, ours",
        f"{options.id}-transformers": f"The documentation's tables, transformers {transformers.__version__}",
    }
    results = {}
    for id in names:
        if (file := sweep_file(options.out, id)).exists():
            kept = load(file)  # without what is measured anew: rounds of two runs are not to be taken for the same
            results[id] = replace(kept, rows=tuple(r for r in kept.rows if part_of(r.cell) not in options.part))

    def keep(sweeps: dict[str, Sweep]) -> None:
        for id, sweep in sweeps.items():
            found = join(results.get(id), snapshot(sweep, names[id], id=id), order)
            results[id] = replace(found, revision=options.revision or found.revision)
            save(results[id], options.out)

    for mode, rule in RULES.items():
        chosen = [c for c in order if c.mode == mode and part_of(c) in options.part]
        shared = [c for c in chosen if c.attention in THEIRS and c.precision in PRECISIONS]
        ours, theirs = (Sweep(c, config, machine, budget_seconds=None, rule=rule) for c in (chosen, shared))
        both = dict(zip(names, (ours, theirs), strict=True))

        def changed(number: int, mode: str = mode, both: dict[str, Sweep] = both) -> None:
            note(f"{mode}, round {number}: {sum(s.rounds_done for s in both.values())} processes have run")
            keep(both)

        measure_both(ours, theirs, begin + options.seconds, changed)
        keep(both)

    mine, others = (results[id] for id in names)
    print(
        f"\n{as_text(mine)}\n\n{as_text(others)}\n\nmedian ms a call, peak MB: ours, theirs; times as fast, memory's share"
    )
    slower = False
    for pair in compare(mine, others):
        line = f"{pair.ours.cell.name:36}"
        if pair.ours.latency and pair.theirs.latency:
            line += f"{pair.ours.latency.median:9.3f} {pair.theirs.latency.median:9.3f}"
        if pair.ours.memory and pair.theirs.memory:
            line += f" {pair.ours.memory.peak / 1e6:8.0f} {pair.theirs.memory.peak / 1e6:8.0f}"
        if ratio := pair.ratio:
            line += f"  {ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] {ratio.verdict}"
            slower |= ratio.verdict == SLOWER
        print(line + (f"  {pair.memory_share:.3f}" if pair.memory_share else ""))
    note("done")
    return int(slower)


if __name__ == "__main__":
    sys.exit(main())
