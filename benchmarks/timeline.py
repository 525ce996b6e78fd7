"""Windows a second of a timeline beside the same windows through `pipeline` one by one, in turn in one run.

    python -m benchmarks.timeline [--model NAME|DIR] [--precision bfloat16] [--device cuda] [--batch-size 1 2 4 8] [--json FILE]
    python -m benchmarks.timeline --memory MINUTES

In each round, in fresh random order, each contestant does all windows of one film: the timeline, from the file to answers; and
`pipeline`, which is given a window's frames as an array: they are decoded for it from the file, those and no others; or they
are decoded already, and nobody counts that. Both begin from frames where PyAV is not there, or with --arrays. Before that all
windows' answers are compared. The weights may be random: they are as fast as others.

With --memory: `python -m vivit timeline` over 1080p, its resident memory at minute 3 of the film and at the end.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.absent import stand_in
from benchmarks.in_turn import ROUNDS, Contestant, about_ratios, as_line, as_text, if_busy, ratio_of
from benchmarks.timeline_memory import memory
from vivit import heap
from vivit.benchmark.ratios import Ratio
from vivit.device import default_device
from vivit.film import Tick
from vivit.machine import OtherWork
from vivit.names import PRECISIONS
from vivit.threads import waiting

NO_FILES = stand_in("av")

from vivit.batching import clips_at_once  # noqa: E402
from vivit.benchmark.measurement import agreement  # noqa: E402
from vivit.checkpoint import Checkpoint, open_checkpoint  # noqa: E402
from vivit.model import VivitForVideoClassification  # noqa: E402
from vivit.pipelines import VideoClassificationPipeline  # noqa: E402
from vivit.timeline import STRIDE_SECONDS, Answered, Grid  # noqa: E402
from vivit.timeline.trained import trained_window  # noqa: E402
from vivit.timeline.whole import WindowClassifier, classify_film  # noqa: E402
from vivit.timeline.work import Waits, follow  # noqa: E402
from vivit.video import VideoInfo, decode, probe  # noqa: E402
from vivit.video.streaming import open_film  # noqa: E402

# The largest difference of two log-probabilities of a class, in standard deviations of them: float32 in another order, where
# all is float32. In other precisions a batch's kernels round otherwise than one clip's: a bound that a mistake would not keep.
EXACT, ROUNDED = 1e-3, 0.5


@dataclass(frozen=True)
class Film:
    """What both sides are given.

    Args:
        pictures: (n, H, W, 3) uint8, those on the grid's times.
        path, info: the file; None where there is none.
        indices: (n,) which of the file's frames the pictures are.
    """

    pictures: np.ndarray
    path: Path | None = None
    info: VideoInfo | None = None
    indices: tuple[int, ...] = ()


def made_up(grid: Grid, seconds: float, size: tuple[int, int]) -> Film:
    """Noise that moves, without a file."""
    width, height = size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    count = int(seconds / grid.tick_seconds)
    return Film(np.stack([np.roll(noise, 3 * k, axis=1) for k in range(count)]))


def from_file(path: Path, grid: Grid) -> Film:
    """Pictures of a file, decoded for those who need not do it themselves."""
    info = probe(path)
    with open_film(path) as film:
        ticks = list(film.ticks(grid.tick_seconds, np.array))
    times = np.array(info.frame_seconds) - info.frame_seconds[0]
    indices = tuple(int(abs(times - tick.seconds).argmin()) for tick in ticks)
    return Film(np.stack([tick.image for tick in ticks]), path, info, indices)


class Contest:
    """A model, a film, and the ways to the windows' answers."""

    def __init__(self, options: argparse.Namespace, checkpoint: Checkpoint, grid: Grid, film: Film) -> None:
        self.grid, self.film, self.precision, device = grid, film, options.precision, default_device()
        model = checkpoint.load(
            VivitForVideoClassification, attn_implementation=options.attention, dtype=options.precision, device=device
        )
        model.set_execution(options.execution)
        self.pipeline = VideoClassificationPipeline(model, checkpoint.processor, checkpoint.familiarity())
        self.classifier = WindowClassifier(model, checkpoint.processor, self.pipeline.familiarity)
        self.answers: list[Answered] = []
        self.usual = clips_at_once(checkpoint.config, options.attention, options.precision, device)
        self.sizes: list[int] = options.batch_size or [self.usual if options.execution == "plain" else 1]
        self.follow(self.sizes[0])

    @property
    def windows(self) -> list[list[int]]:
        """The pictures of each window, as places in the film's."""
        last, count = len(self.film.pictures) - 1, self.grid.num_frames
        firsts = [round(answer.start / self.grid.tick_seconds) for answer in self.answers]
        return [[min(first + k, last) for k in range(count)] for first in firsts]

    def contestants(self) -> list[Contestant[Waits]]:
        """The rivals come first."""
        windows, film = self.windows, self.film
        found: list[Contestant[Waits]] = [
            Contestant("pipeline, of decoded frames", partial(self.one_by_one, windows, film.pictures.__getitem__))
        ]
        if film.info:
            found.insert(0, Contestant("pipeline, from the file", partial(self.one_by_one, windows, self._decoded)))
        kinds = [(self.read, "from the file")] * bool(film.path) + [(self.follow, "of decoded frames")]
        for run, what in kinds:
            found += [Contestant(f"timeline, {what}, {n} at once", partial(run, n)) for n in self.sizes]
        return found

    def read(self, at_once: int) -> Waits:
        """As the command does."""
        assert self.film.path
        with classify_film(self.film.path, self.classifier, self.grid, at_once) as running:
            self._take(running.answers)
        return running.waits

    def follow(self, at_once: int) -> Waits:
        """The same from frames that are decoded."""
        small, step, waits = self.classifier.processor.resize_and_crop, self.grid.tick_seconds, Waits()
        ticks = (Tick(k, k * step, small(picture)) for k, picture in enumerate(self.film.pictures))
        answers = follow(ticks, self.grid, self.classifier, lambda: at_once, waits)
        self._take(answers)
        return waits

    def _take(self, answers: Iterator[list[Answered]]) -> None:
        self.answers = []
        for some in answers:
            self.answers += some
            heap.give_back()  # as the command does

    def one_by_one(self, windows: list[list[int]], frames: Callable[[list[int]], np.ndarray]) -> None:
        """As one does without a timeline."""
        for numbers in windows:
            self.pipeline(frames(numbers))

    def _decoded(self, numbers: list[int]) -> np.ndarray:
        info, indices = self.film.info, self.film.indices
        assert info
        return np.stack([frame.image for frame in decode(info, [indices[n] for n in numbers])])

    def compare(self) -> dict[str, Any]:
        """All windows' answers, from each way to pictures there is.

        Raises:
            SystemExit: if they differ by more than rounding does.
        """
        labels = self.pipeline.model.config.id2label
        windows = self.windows
        theirs = []
        for found in self.pipeline([self.film.pictures[numbers] for numbers in windows], top_k=len(labels)):
            scores = {one["label"]: one["score"] for one in found}
            theirs.append([scores[labels[k]] for k in range(len(labels))])
        same, worst, ways = 0, 0.0, [self.follow] + [self.read] * bool(self.film.path)
        for run in ways:
            run(self.sizes[0])
            for answer, wanted in zip(self.answers, np.log(np.maximum(theirs, 1e-30)), strict=True):
                ours = np.log(np.maximum(answer.scores, 1e-30))
                one = agreement(tuple(ours.tolist()), tuple(wanted.tolist()))
                same, worst = same + one.top1, max(worst, one.max_logit_difference / float(wanted.std()))
        bound = EXACT if PRECISIONS[self.precision].exact else ROUNDED
        if worst > bound:
            raise SystemExit(f"The answers differ by {worst:.2g} standard deviations: this is no comparison.")
        return {"windows": len(windows), "same_top1": same, "of": len(ways) * len(windows), "largest_difference": worst}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything, and how it was measured."""
    checkpoint = open_checkpoint(options.model)
    window = options.window or trained_window(checkpoint).seconds
    grid = Grid(window, options.stride, checkpoint.config.num_frames, cuts=False)  # a film of one shot
    with tempfile.TemporaryDirectory(prefix="vivit-timeline-") as folder:
        if options.arrays or NO_FILES:
            film = made_up(grid, options.seconds, tuple(options.size))
        else:
            from benchmarks.films import write_film

            film = from_file(write_film(Path(folder) / "film.mp4", options.seconds, tuple(options.size)), grid)
        contest = Contest(options, checkpoint, grid, film)
        agreed = contest.compare()
        contestants, order = contest.contestants(), random.Random(options.seed)
        for one in contestants:  # once each, untimed
            one.run()
        others = OtherWork()
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
            for one in order.sample(contestants, len(contestants)):
                one.time()
        share = others.share()
    return report(options, grid, contest, contestants, agreed, share)


def report(
    options: argparse.Namespace,
    grid: Grid,
    contest: Contest,
    contestants: list[Contestant[Waits]],
    agreed: dict[str, Any],
    share: float | None,
) -> dict[str, Any]:
    """What JSON can hold."""
    from vivit.benchmark.probes import describe

    rivals = [one for one in contestants if not one.told]
    rows = []
    for one in contestants:
        rows.append(
            {
                "name": one.name,
                "seconds": one.seconds,
                "windows_a_second": agreed["windows"] / statistics.median(one.seconds),
                "model_waited": statistics.median(w.model_share for w in one.told) if one.told else None,
                "decoder_waited": statistics.median(w.decoder_share for w in one.told) if one.told else None,
                "times_as_many_as": {
                    rival.name: vars(ratio)
                    for rival in rivals
                    if one.told and (ratio := ratio_of(rival.seconds, one.seconds))
                },
            }
        )
    machine = describe(contest.pipeline.model.device)
    height, width = contest.film.pictures.shape[1:3]
    return {
        "made": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": f"python -m benchmarks.timeline {' '.join(sys.argv[1:])}",
        "model": options.model,
        "attention": options.attention,
        "precision": options.precision,
        "execution": options.execution,
        "device": machine.device_name,
        "cores": machine.cores,
        "threads": machine.threads,
        "cpu_capability": machine.cpu_capability,
        "platform": machine.platform,
        "versions": machine.versions,
        "others_share": share,
        "film": {"seconds": options.seconds, "width": width, "height": height, "file": bool(contest.film.path)},
        "window_seconds": grid.window_seconds,
        "stride_seconds": grid.stride_seconds,
        "frames": grid.num_frames,
        "batch_size": contest.usual,
        "rounds": options.rounds,
        "method": (
            f"All windows of one film, {options.rounds} rounds in random order (seed {options.seed}), each contestant once "
            f"untimed before. {about_ratios(options.rounds)}"
        ),
        "agreed": agreed,
        "rows": rows,
    }


def as_markdown(found: dict[str, Any]) -> Iterator[str]:
    """The heading, the table and how it was measured."""
    film, agreed, share = found["film"], found["agreed"], found["others_share"]
    yield (
        f"{found['model']}, {found['attention']}, {found['precision']}, {found['execution']}: {agreed['windows']} windows of "
        f"{found['window_seconds']:g} s every {found['stride_seconds']:g} s, {found['frames']} frames each, of "
        f"{film['seconds']:g} s of {film['width']}×{film['height']}"
        f"{' H.264' if film['file'] else ', frames in memory'}. {found['device']}, {found['cpu_capability']}, "
        f"{found['threads']} threads of {found['cores']} processors, {found['platform']}; {found['made']}; "
        f"{', '.join(f'{name} {number}' for name, number in found['versions'].items())}."
    )
    yield ""
    yield (
        f"Best class the same for {agreed['same_top1']} of {agreed['of']} windows, largest difference of log-probabilities "
        f"{agreed['largest_difference']:.1g} σ. Other programs had {share or 0:.0%} of the processors{if_busy(share)}."
    )
    yield ""
    rivals = list(found["rows"][-1]["times_as_many_as"])
    yield as_line(
        [
            "contestant",
            "windows a second",
            "range",
            *(f"times as many as {name}" for name in rivals),
            "model waits",
            "decoder waits",
        ]
    )
    yield as_line(["---"] * (5 + len(rivals)))
    for row in found["rows"]:
        rates = [agreed["windows"] / seconds for seconds in row["seconds"]]
        ratios = [row["times_as_many_as"].get(name) for name in rivals]
        yield as_line(
            [
                row["name"],
                f"{row['windows_a_second']:.3g}",
                f"{min(rates):.3g}–{max(rates):.3g}",
                *(as_text(r and Ratio(**r)) for r in ratios),
                *("–" if row[who] is None else f"{row[who]:.0%}" for who in ("model_waited", "decoder_waited")),
            ]
        )
    yield ""
    yield found["method"]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.timeline", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="vivit-mannequin", metavar="NAME|DIR", help="random weights will do")
    parser.add_argument("--attention", default="sdpa")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--execution", default="plain")
    parser.add_argument("--device", help="as the command line takes it")
    parser.add_argument(
        "--batch-size", type=int, nargs="+", metavar="N", help="each is a contestant; what the app takes"
    )
    parser.add_argument("--window", type=float, metavar="S", help="what the checkpoint was trained on if left out")
    parser.add_argument("--stride", type=float, default=STRIDE_SECONDS, metavar="S")
    parser.add_argument("--seconds", type=float, default=30.0, help="of the film")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(340, 256), metavar=("WIDTH", "HEIGHT"), help="of its pictures"
    )
    parser.add_argument("--arrays", action="store_true", help="no file, though PyAV is there")
    parser.add_argument("--rounds", type=int, default=min(ROUNDS), choices=ROUNDS)
    parser.add_argument("--seed", type=int, default=0, help="of the orders")
    parser.add_argument("--memory", type=int, metavar="MINUTES", help="of 1080p, and nothing else")
    parser.add_argument("--json", type=Path, metavar="FILE", help="to write the figures to as well")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure and print."""
    options = parse()
    if settled := waiting():  # before torch is imported, as for every process of ours that computes
        os.execve(sys.executable, sys.orig_argv, os.environ | settled)
    heap.keep()
    if options.device:
        os.environ["VIVIT_DEVICE"] = options.device
    if options.memory:
        found = memory(options.memory, options.model)
        print(json.dumps({name: value for name, value in found.items() if name != "samples"}, indent=1))
    else:
        found = measure(options)
        print("\n".join(as_markdown(found)))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
