"""`python -m vivit bench`: a sweep from a terminal."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vivit.benchmark.measurement import MODES, Measurement
from vivit.benchmark.presets import grid
from vivit.benchmark.side_by_side import other_input
from vivit.benchmark.sweep import BUDGET_SECONDS, PlannedRound, Sweep, run_all
from vivit.benchmark.wording import duration
from vivit.checkpoint import RANDOM_CONFIGS
from vivit.errors import UserError
from vivit.interrupts import heed_interrupts
from vivit.names import EXECUTIONS
from vivit.writing import make_folder

if TYPE_CHECKING:
    import numpy as np

    from vivit.benchmark.results import Result
    from vivit.checkpoint import Checkpoint

BAR = 30  # characters
MODEL = "vivit-mannequin"  # unless another is named


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything `bench` understands."""
    parser.add_argument("--attention", default="eager,sdpa", metavar="A,B,…", help="attention backends")
    parser.add_argument("--precision", default="float32", metavar="A,B,…", help="precisions")
    parser.add_argument(
        "--execution", default="plain", metavar="A,B,…", help=f"how passes run: {', '.join(EXECUTIONS)}"
    )
    parser.add_argument("--batch-sizes", default="1", metavar="1,2,…", help="clips a call")
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME|DIR",
        help=f"embedded, a folder, a Hub name, perhaps with @revision, or one of {', '.join(RANDOM_CONFIGS)}; given several "
        "times, each runs every cell, and all are compared with the first",
    )
    parser.add_argument("--mode", default="inference", choices=MODES, help="a forward pass, or a whole training step")
    parser.add_argument("--clip", metavar="FILE", help="what is classified; random numbers if left out")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write JSON with all samples, CSV and an HTML report")
    parser.add_argument(
        "--budget", default=f"{BUDGET_SECONDS:.0f}", metavar="SECONDS|full", help=f"time limit, {BUDGET_SECONDS:.0f} s"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a cell and line instead of the table")


def bench(options: argparse.Namespace) -> int:
    """Run the sweep that the options describe and print it.

    Returns:
        The exit status: 0; 130 if it was interrupted, what was done being kept.

    Raises:
        ValueError, OSError: for options that cannot be used; the message is for the user.
    """
    from vivit.attention import get_attention
    from vivit.benchmark import first_calls, report, results
    from vivit.benchmark.child import measure_in_child
    from vivit.benchmark.families import model_names, with_model
    from vivit.benchmark.probes import describe
    from vivit.device import default_device
    from vivit.execution import get_execution
    from vivit.precision import get_precision

    attention, precision = _names(options.attention, "--attention"), _names(options.precision, "--precision")
    for name in attention:
        get_attention(name)
    for name in precision:
        get_precision(name)
    executions = _names(options.execution, "--execution")
    for name in executions:
        get_execution(name)
    sizes, budget = _sizes(options.batch_sizes), _budget(options.budget)
    device = default_device()  # whose error comes before a download
    given = options.model or [MODEL]
    # Downloaded once, here, and not by the first process that is timed; and every process loads the same.
    checkpoints = open_models(given)
    if options.out:
        make_folder(options.out)
    pixel_values = read_clip(options.clip, checkpoints[0]) if options.clip else None

    configs = {checkpoint.name: checkpoint.config for checkpoint in checkpoints}
    cells = {name: grid(name, attention, precision, sizes, (options.mode,), executions) for name in configs}
    machine = describe(device)
    known = [first_calls.known_seconds(machine, configs[name], ours) for name, ours in cells.items()]
    sweep = Sweep(
        [cell for ours in cells.values() for cell in ours],
        configs,
        machine,
        budget_seconds=budget,
        first_calls={cell: seconds for ours in known for cell, seconds in ours.items()},
    )
    count, begins = len(sweep.cells), len(sweep.begins)
    of = f"{begins} of " * (begins < count)
    print(f"{of}{count} cells, about {duration(sweep.seconds_left)}", file=sys.stderr)

    def measure(planned: PlannedRound) -> tuple[Measurement, float]:
        of = with_model(planned.cell.name, planned.cell, model_names(configs))
        _show(sweep, f"round {planned.number + 1}: {of}")
        row, seconds = measure_in_child(planned, pixel_values)
        first_calls.keep_row(machine.device_name, machine.versions["torch"], configs[row.cell.checkpoint], row)
        return row, seconds

    heed_interrupts()
    status = 0
    try:
        run_all(sweep, measure)
        _show(sweep, "done")
    except KeyboardInterrupt:
        status = 130
    print(file=sys.stderr)
    clip = Path(options.clip).name if options.clip else ""
    result = results.snapshot(sweep, title=f"{options.mode}, {', '.join(given)}", clip=clip)
    if options.json:
        for row in result.rows:
            print(json.dumps(report.as_json(result, row), allow_nan=False))
    else:
        print(report.as_text(result))
    if options.out:
        _write(result, options.out)
    if not status and result.rows and all(row.status == "failed" for row in result.rows):
        print(f"vivit: {result.rows[0].reason}", file=sys.stderr)
        return 2
    return status


def _write(result: "Result", folder: Path) -> None:
    from vivit.benchmark import report, results

    file = results.save(result, folder)
    (folder / f"{result.id}.csv").write_text(report.as_csv(result), encoding="utf-8")
    (folder / f"{result.id}.html").write_text(report.as_html(result), encoding="utf-8")
    print(f"{file} and, beside it, a CSV file and an HTML report", file=sys.stderr)


def _show(sweep: Sweep, note: str) -> None:
    filled = round(BAR * sweep.progress)
    line = f"[{'#' * filled}{'.' * (BAR - filled)}] {sweep.seconds_left:4.0f} s left, {note}"
    if sys.stderr.isatty():
        print(f"\r{line:100}", end="", file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)


def _names(text: str, option: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ValueError(f"{option} wants names with commas between them, not '{text}'.")
    return names


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(size) for size in text.split(",")]
        if min(sizes) < 1:
            raise ValueError
    except ValueError:
        raise ValueError(f"--batch-sizes wants whole numbers from 1 with commas between them, not '{text}'.") from None
    return sizes


def _budget(text: str) -> float | None:
    if text == "full":
        return None
    try:
        seconds = float(text)
        if not 0 < seconds < float("inf"):
            raise ValueError
    except ValueError:
        raise ValueError(f"--budget wants a number of seconds above 0, or 'full', not '{text}'.") from None
    return seconds


def open_models(names: Sequence[str]) -> "list[Checkpoint]":
    """The checkpoints of those names, each once, all for the same clip.

    Raises:
        ValueError: if one cannot be used, is named twice, or takes something else of a clip than the first.
    """
    from vivit.checkpoint import open_checkpoint

    found: list[Checkpoint] = []
    for name in names:
        other = open_checkpoint(name)
        if any(other.name == checkpoint.name for checkpoint in found):
            raise UserError(f"--model names '{name}' twice. Name each once: its cells are chosen by other options.")
        found.append(other)
        if len(names) > 1 and (differs := other_input(found[0], other)):
            raise UserError(
                f"'{name}' cannot be compared with '{names[0]}' on the same clip: it {differs}. Compare it in a run of its own."
            )
    return found


def read_clip(clip: str, checkpoint: "Checkpoint") -> "np.ndarray":
    """What a model gets of a video file: (T, C, H, W) float32, normalised. Raises VideoError if it cannot be used."""
    from vivit.preparing import prepare_clip

    (pixels,) = prepare_clip(clip, checkpoint.config.num_frames, checkpoint.processor).pixels
    return checkpoint.processor.normalise(pixels)
