"""`python -m vivit bench`: a sweep from a terminal."""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from vivit.benchmark.measurement import MODES, Measurement
from vivit.benchmark.presets import grid
from vivit.benchmark.sweep import BUDGET_SECONDS, PlannedRound, Sweep, run_all
from vivit.benchmark.wording import duration
from vivit.interrupts import heed_interrupts
from vivit.names import EXECUTIONS

if TYPE_CHECKING:
    import numpy as np

    from vivit.benchmark.results import Result
    from vivit.checkpoint import Checkpoint

BAR = 30  # characters


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
        default="vivit-mannequin",
        metavar="NAME|DIR",
        help="embedded, a folder, a Hub name, perhaps with @revision, or vivit-b-16x2-random",
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
    from vivit.benchmark.probes import describe
    from vivit.checkpoint import open_checkpoint
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
    # Downloaded once, here, and not by the first process that is timed; and every process loads the same.
    checkpoint = open_checkpoint(options.model)
    if options.out:
        make_folder(options.out)
    pixel_values = read_clip(options.clip, checkpoint) if options.clip else None

    cells = grid(checkpoint.name, attention, precision, sizes, (options.mode,), executions)
    machine = describe(device)
    sweep = Sweep(
        cells,
        {checkpoint.name: checkpoint.config},
        machine,
        budget_seconds=budget,
        first_calls=first_calls.known_seconds(machine, checkpoint.config, cells),
    )
    count, begins = len(sweep.cells), len(sweep.begins)
    of = f"{begins} of " * (begins < count)
    print(f"{of}{count} cells, about {duration(sweep.seconds_left)}", file=sys.stderr)

    def measure(planned: PlannedRound) -> tuple[Measurement, float]:
        _show(sweep, f"round {planned.number + 1}: {planned.cell.name}")
        row, seconds = measure_in_child(planned, pixel_values)
        first_calls.keep_row(machine.device_name, machine.versions["torch"], checkpoint.config, row)
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
    result = results.snapshot(sweep, title=f"{options.mode}, {options.model}", clip=clip)
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


def make_folder(folder: Path) -> None:
    """Make a folder for results, or find it usable.

    Raises:
        ValueError: if nothing can be written there; the message is for the user.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):  # before the work whose results could not be kept
            pass
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"'{folder}' is no folder that can be written to ({reason}). Give another.") from error


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


def read_clip(clip: str, checkpoint: "Checkpoint") -> "np.ndarray":
    """What a model gets of a video file: (T, C, H, W) float32, normalised. Raises VideoError if it cannot be used."""
    from vivit.preparing import prepare_clip

    return checkpoint.processor.normalise(prepare_clip(clip, checkpoint.config.num_frames, checkpoint.processor).pixels)
