"""How well a timeline finds what joined clips show: `python -m mannequin.timeline`.

Films of bundled clips in random orders, with a cut between each two; what they show when is known.
"""

import argparse
import random
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mannequin.actions import LABELS
from mannequin.film import join_clips
from vivit.benchmark.probes import called
from vivit.checkpoint import open_checkpoint
from vivit.device import default_device
from vivit.model import VivitForVideoClassification
from vivit.timeline import SMOOTHING, STRIDE_SECONDS, Answered, Grid, Segment, find_segments
from vivit.timeline.trained import trained_window
from vivit.timeline.whole import WindowClassifier, classify_film

AT_ONCE = 8  # windows


def segmental_f1(found: Sequence[Segment], truth: Sequence[Segment], overlap: float = 0.5) -> float:
    """How well stretches agree, whatever their number and length.

    Args:
        found: what was answered; its unknown segments count as none.
        truth: what is so.
        overlap: the intersection over the union at which a segment of the right label counts as found, once.

    Returns:
        F1, 0 to 1.

    Source: Lea et al. 2017, 'Temporal Convolutional Networks for Action Segmentation and Detection', arXiv:1611.05267.
    """
    found = [segment for segment in found if segment.label is not None]
    free = list(truth)
    hits = 0
    for segment in found:
        best = max(
            (other for other in free if other.label == segment.label),
            key=lambda other: _overlap(segment, other),
            default=None,
        )
        if best is not None and _overlap(segment, best) >= overlap:
            hits += 1
            free.remove(best)
    return 2 * hits / (len(found) + len(truth)) if found or truth else 1.0


def _overlap(a: Segment, b: Segment) -> float:
    shared = max(0.0, min(a.end, b.end) - max(a.start, b.start))
    return shared / (a.end - a.start + b.end - b.start - shared)


def boundary_errors(found: Sequence[Segment], truth: Sequence[Segment]) -> list[float]:
    """How far the nearest boundary that was found lies from each true one, in seconds; the film's ends are no boundaries."""
    ours = [segment.start for segment in found[1:]]
    return [min((abs(t.start - time) for time in ours), default=float("inf")) for t in truth[1:]]


def windows_of(path: Path, classifier: WindowClassifier, grid: Grid) -> list[Answered]:
    """All windows of a film, answered."""
    with classify_film(path, classifier, grid, AT_ONCE) as running:
        return [answered for some in running.answers for answered in some]


def main() -> None:
    """Print a line a film and smoothing, and what they come to together."""
    parser = argparse.ArgumentParser(prog="python -m mannequin.timeline", description=__doc__)
    parser.add_argument("--model", default="vivit-mannequin", metavar="NAME|DIR")
    parser.add_argument("--films", type=int, default=4, metavar="N")
    parser.add_argument("--clips", type=int, default=18, metavar="N", help="of each film, each of another action")
    parser.add_argument("--stride", type=float, default=STRIDE_SECONDS, metavar="S")
    parser.add_argument("--ignore-cuts", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    checkpoint, device = open_checkpoint(options.model), default_device()
    model = checkpoint.load(VivitForVideoClassification, device=device)
    classifier = WindowClassifier(model, checkpoint.processor, checkpoint.familiarity())
    seconds = trained_window(checkpoint).seconds
    grid = Grid(seconds, options.stride, checkpoint.config.num_frames, not options.ignore_cuts)
    index = {name: k for k, name in checkpoint.labels.items()}
    f1: dict[str, list[float]] = {name: [] for name in SMOOTHING}
    errors: dict[str, list[float]] = {name: [] for name in SMOOTHING}
    for film in range(options.films):
        labels = random.Random(options.seed + film).sample(LABELS, options.clips)
        with tempfile.TemporaryDirectory() as folder:
            joined = join_clips(labels, Path(folder) / "film.mp4")
            windows = windows_of(Path(folder) / "film.mp4", classifier, grid)
        truth = [Segment(start, end, index[label], None) for start, end, label in joined]
        for name in SMOOTHING:
            found = find_segments(windows, name)
            f1[name].append(segmental_f1(found, truth))
            errors[name] += boundary_errors(found, truth)
            print(
                f"film {film}, {name}: {len(windows)} windows, {len(found)} segments, F1 {f1[name][-1]:.3f}", flush=True
            )
    print(f"windows of {seconds:g} s every {options.stride:g} s, {options.model}, {called(device)}")
    for name in SMOOTHING:
        low, high = min(f1[name]), max(f1[name])
        print(f"{name}: F1 at 50 % overlap {statistics.mean(f1[name]):.3f} ({low:.3f} to {high:.3f})")
        print(f"  boundary error, median {statistics.median(errors[name]):.2f} s, of {len(errors[name])} boundaries")


if __name__ == "__main__":
    main()
