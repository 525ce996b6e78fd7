"""`python -m vivit compare`: cells side by side on one clip, from a terminal."""

import argparse
import json
import os
import secrets
import sys
from collections.abc import Iterator
from time import monotonic

from vivit.benchmark.command import MODEL, open_models, read_clip
from vivit.benchmark.families import explain_models, model_names, with_model
from vivit.benchmark.headline import Labels, headline
from vivit.benchmark.measurement import MIB, Cell
from vivit.benchmark.side_by_side import SECONDS, Examine, SideBySide, Time, as_json
from vivit.errors import UserError
from vivit.names import BACKENDS, EXECUTIONS, PRECISIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything `compare` understands."""
    parser.add_argument("clip", metavar="CLIP", help="a video file")
    parser.add_argument(
        "--cells",
        metavar="A/P[/E],…",
        help="attention/precision or attention/precision/execution of each, the first being what the others are compared with; "
        "eager and sdpa in float32 and in the half precision that pays on this machine if left out",
    )
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME|DIR",
        help="as bench takes it; given several times, each runs every cell, and all are compared with the first",
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="S", help=f"for the rounds, {SECONDS:.0f} s")
    parser.add_argument("--seed", type=int, metavar="N", help="of the order within the rounds; a new one if left out")
    parser.add_argument("--json", action="store_true", help="one JSON object a cell and line instead of the table")


def compare(options: argparse.Namespace) -> int:
    """Run the comparison that the options describe and print it.

    Returns:
        The exit status: 0; 130 if it was interrupted, what was done being kept.

    Raises:
        ValueError, OSError: for options that cannot be used; the message is for the user.
    """
    if not 0 < options.seconds < float("inf"):
        raise ValueError(f"--seconds wants a number above 0, not {options.seconds}.")
    chosen = None if options.cells is None else parse_cells(options.cells)
    os.environ["KINETO_LOG_LEVEL"] = "99"  # or PyTorch's profiler prints lines for every pass
    from vivit.benchmark import passes
    from vivit.benchmark.child import try_attention
    from vivit.benchmark.cost import default_cells
    from vivit.benchmark.probes import describe
    from vivit.device import default_device
    from vivit.execution import ExecutionUnavailable
    from vivit.execution import why_not as execution_lacks
    from vivit.interrupts import heed_interrupts, interrupts_wait
    from vivit.model import VivitForVideoClassification
    from vivit.precision import why_not

    device = default_device()  # whose error comes before a download
    given = options.model or [MODEL]
    opened = open_models(given)
    checkpoints = {checkpoint.name: checkpoint for checkpoint in opened}
    asked_as = {checkpoint.name: name for checkpoint, name in zip(opened, given, strict=True)}
    pixel_values = read_clip(options.clip, opened[0])
    asked = chosen or [(*cell, "plain") for cell in default_cells(opened[0].config, describe(device))]
    cells = [Cell(name, a, p, execution=e) for a, p, e in asked for name in checkpoints]
    for cell in cells:  # before anything is loaded
        if reason := execution_lacks(cell.execution, device.type):
            raise ExecutionUnavailable(reason)
        try_attention(cell, checkpoints[cell.checkpoint].config, device)
        if lacking := why_not(cell.precision, device)[0]:
            raise UserError(lacking)
    models: dict[tuple[str, str], VivitForVideoClassification] = {}
    contestants = []
    seed = secrets.randbits(32) if options.seed is None else options.seed
    comparison = SideBySide(cells, seconds=options.seconds, seed=seed)
    heed_interrupts()
    status = 0
    try:
        while step := comparison.next():
            _show(comparison, step)
            if isinstance(step, Examine):
                cell = comparison.cells[step.place]
                kind = (cell.checkpoint, cell.precision)
                if kind not in models:
                    models[kind] = checkpoints[cell.checkpoint].load(
                        VivitForVideoClassification, dtype=cell.precision, device=device
                    )
                contestants.append(passes.enter(models[kind], cell.attention, pixel_values, cell.execution))
                with interrupts_wait() as heed:  # cut short as it starts or stops, the profiler ends the process
                    found = passes.examine(contestants[-1], lambda *_: heed())
                comparison.examined(step, found)
            else:
                begin = monotonic()
                timed = passes.time_round([contestants[place] for place in step.places])
                comparison.timed(step, timed, monotonic() - begin)
    except KeyboardInterrupt:
        comparison.end()
        status = 130
    finally:
        if sys.stderr.isatty():
            print(file=sys.stderr)
    rows = comparison.rows()
    if options.json:
        for row in rows:
            model = asked_as[row.cell.checkpoint]
            print(json.dumps(as_json(comparison, row, model=model, clip=options.clip), allow_nan=False))
    elif rows:
        labels = {name: checkpoint.labels for name, checkpoint in checkpoints.items() if checkpoint.trained}
        print("\n".join(as_text(comparison, trained=opened[0].trained, labels=labels)))
    return status


def parse_cells(text: str) -> list[tuple[str, str, str]]:
    """'eager/float32,sdpa/float16/compiled' → (attention, precision, execution) of each, 'plain' where none is named.

    Raises:
        ValueError: for what is not so written, or names what is unknown.
    """
    cells = []
    for word in text.split(","):
        attention, *rest = word.strip().split("/")
        if len(rest) not in (1, 2):
            raise ValueError(
                f"--cells wants attention/precision[/execution] with commas between them, not '{word.strip()}'."
            )
        precision, execution = rest[0], rest[1] if len(rest) == 2 else "plain"
        if attention not in BACKENDS:
            raise ValueError(f"The attention backend '{attention}' is unknown; known are {', '.join(BACKENDS)}.")
        if precision not in PRECISIONS:
            raise ValueError(f"The precision '{precision}' is unknown; known are {', '.join(PRECISIONS)}.")
        if execution not in EXECUTIONS:
            raise ValueError(f"The execution '{execution}' is unknown; known are {', '.join(EXECUTIONS)}.")
        cells.append((attention, precision, execution))
    return cells


def _show(comparison: SideBySide, step: Examine | Time) -> None:
    if isinstance(step, Examine):
        cell = comparison.cells[step.place]
        said, models = (
            f"{cell.attention}, {cell.precision}{cell.manner}",
            model_names(c.checkpoint for c in comparison.cells),
        )
        note = f"warming up {with_model(said, cell, models)}"
    else:
        note = f"round {step.number + 1}, about {comparison.seconds_left:.0f} s to the next look"
    if sys.stderr.isatty():
        print(f"\r{note:80}", end="", file=sys.stderr, flush=True)
    elif isinstance(step, Examine) or not step.number & (step.number - 1):  # round 1, 2, 3, 5, 9, …
        print(note, file=sys.stderr, flush=True)


def as_text(comparison: SideBySide, *, trained: bool = True, labels: Labels | None = None) -> Iterator[str]:
    """The verdict, a table, and how it was measured, as lines. Args: trained, labels: as `headline`'s."""
    named = model_names(cell.checkpoint for cell in comparison.cells)
    yield headline(comparison, trained=trained, labels=labels)
    yield ""
    several = len(named) > 1
    of = (" as the first row", " as its model's first") if several else ("", "")
    figures = ("ms", "p5–p95", f"times as fast{of[0]}", "weights", "activations", "peak MiB", f"top 5{of[1]}")
    lines = [(*["model"] * several, "attention", "precision", *figures)]
    for row in comparison.rows():
        ratio, found = row.ratio, row.agreement
        lines.append(
            (
                *[named[row.cell.checkpoint]] * several,
                row.cell.attention,
                row.cell.precision + row.cell.manner,
                f"{row.median:,.1f}" if row.samples_ms else "–",
                f"{row.p5:,.1f}–{row.p95:,.1f}" if row.samples_ms else "–",
                f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})" if ratio else "–",
                f"{row.found.weights / MIB:,.1f}",
                _mib(row.found.activations),
                _mib(row.peak),
                ("same" if found.top5 == 1 else "other") if found else "–",
            )
        )
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    for line in lines:
        yield "  ".join(f"{word:{'<' if k < 2 + several else '>'}{widths[k]}}" for k, word in enumerate(line)).rstrip()
    yield ""
    if explained := explain_models(named):
        yield explained
    yield comparison.method


def _mib(value: int | None) -> str:
    return "not known" if value is None else f"{value / MIB:,.1f}"
