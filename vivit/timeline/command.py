"""`python -m vivit timeline`: what happens when in a film of any length, from a terminal."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from vivit.film import clock
from vivit.progress import show
from vivit.timeline import report
from vivit.timeline.segments import SMOOTHING, Answered, find_segments
from vivit.timeline.windows import STRIDE_SECONDS, Grid

if TYPE_CHECKING:
    from vivit.pipelines import VideoClassificationPipeline
    from vivit.timeline.whole import RunningFilm

USUAL_SMOOTHING = next(iter(SMOOTHING))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `timeline` understands beyond what `classify` does too."""
    parser.add_argument(
        "--window", type=float, metavar="S", help="seconds of a window; what the checkpoint was trained on if left out"
    )
    parser.add_argument(
        "--stride",
        dest="stride_seconds",  # others have a stride of frames
        type=float,
        default=STRIDE_SECONDS,
        metavar="S",
        help=f"seconds from one window to the next, {STRIDE_SECONDS:g} if left out",
    )
    parser.add_argument(
        "--smoothing",
        choices=list(SMOOTHING),
        help=f"of segments: {'; '.join(f'{name}, {what}' for name, what in SMOOTHING.items())}; {USUAL_SMOOTHING} if left out",
    )
    parser.add_argument(
        "--ignore-cuts", action="store_true", help="let windows reach over cuts, instead of keeping within each shot"
    )
    parser.add_argument("--windows", action="store_true", help="tell windows, as they come, instead of segments")
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="windows of a pass; what the device takes if left out"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a segment, or window, and line")
    form.add_argument("--csv", action="store_true", help="one line of CSV a segment, or window, below a header")


def timeline(options: argparse.Namespace) -> int:
    """Say what happens when in the film that the options name.

    Returns:
        The exit status, 0.

    Raises:
        ValueError, OSError: for what cannot be used; the message is for the user. If that is found out in the middle of the
            film, what came before it has been printed.
        KeyboardInterrupt: after Ctrl-C; likewise.
    """
    if options.batch_size is not None and options.batch_size < 1:
        raise ValueError(f"--batch-size wants a whole number from 1, not {options.batch_size}.")
    if options.windows and options.smoothing:
        raise ValueError("--smoothing is of segments: leave it out with --windows.")
    from vivit.batching import clips_at_once
    from vivit.checkpoint import open_checkpoint
    from vivit.device import default_device
    from vivit.fetching import fetched, is_address
    from vivit.options import load_pipeline
    from vivit.timeline.trained import trained_window
    from vivit.timeline.whole import WindowClassifier, classify_film

    device = default_device()  # whose error comes before a download
    checkpoint = open_checkpoint(options.model, options.revision)
    trained = trained_window(checkpoint)
    seconds = trained.seconds if options.window is None else options.window
    grid = Grid(seconds, options.stride_seconds, checkpoint.config.num_frames, not options.ignore_cuts)
    loaded = load_pipeline(options, checkpoint, device)
    at_once = options.batch_size
    if at_once is None:
        at_once = clips_at_once(checkpoint.config, options.attention, options.precision, device, options.execution)
    classifier = WindowClassifier(loaded.model, loaded.image_processor, loaded.familiarity)
    is_far = is_address(options.film)
    with (
        fetched(options.film, progress=lambda _, note: show(note)) if is_far else nullcontext(options.film) as path,
        classify_film(path, classifier, grid, at_once, options.geometry) as running,
    ):
        _tell(running, grid, loaded, [trained.outside(seconds)], options)
    return 0


def _tell(
    running: "RunningFilm",
    grid: Grid,
    loaded: "VideoClassificationPipeline",
    warnings: Sequence[str],
    options: argparse.Namespace,
) -> None:
    """Print everything about a film. Args: warnings: of what was known before it; empty ones are none."""
    from vivit import heap
    from vivit.interrupts import one_interrupt

    labels, warn_on = loaded.model.config.id2label, sys.stderr if options.json or options.csv else sys.stdout
    windows: list[Answered] = []
    fault: BaseException | None = None
    try:
        with one_interrupt():
            for some in running.answers:
                windows += some
                heap.give_back()  # batches differ in size, and what they leave scattered would add up over a long film
                show()
                if options.windows:
                    first = len(windows) == len(some)
                    _print([report.window_row(window, labels) for window in some], options, first)
                show(_progress(running, windows[-1].end))
    except BrokenPipeError:
        raise  # there is nobody to print for
    except (Exception, KeyboardInterrupt) as error:
        fault = error
    show()
    if windows:
        if not options.windows:
            segments = find_segments(windows, options.smoothing or USUAL_SMOOTHING)
            _print([report.segment_row(segment, labels) for segment in segments], options)
        if not (options.json or options.csv):
            how = f"{options.attention}, {options.precision}, {loaded.model.device.type}"
            print(f"  {report.summary(windows[-1].end, len(windows), grid, running.waits)}; {how}")
        for text in filter(None, [*warnings, *running.film.warnings, report.shortened(windows, grid)]):
            print(f"  warning: {text}", file=warn_on, flush=True)
    if fault:
        raise fault


def _print(rows: Sequence[report.Row], options: argparse.Namespace, header: bool = True) -> None:
    """Print rows in the form that the options ask for. Args: header: whether one comes first, where there is one."""
    if options.csv:
        print(report.as_csv(rows, header), end="", flush=True)
        return
    line = report.as_json if options.json else report.as_text
    print("\n".join(map(line, rows)), flush=True)


def _progress(running: "RunningFilm", seconds: float) -> str:
    """How far it is. Args: seconds: of the film that there are answers for."""
    promised, waits = running.film.info.promised_seconds, running.waits
    if not promised:
        return f"{clock(seconds)}, {report.rate_text(seconds, waits)}"
    left = max(0.0, promised - seconds) * waits.total / seconds
    return f"{clock(seconds)} of {clock(promised)}, {report.rate_text(seconds, waits)}, {clock(left)} left"
