"""Clips a second of an evaluation, and of `pipeline` given a list, beside a loop over `pipeline` and the bound.

    python -m benchmarks.evaluate [--model NAME|DIR] [--precision bfloat16] [--device cuda] [--batch-size N]
        [--decoders N …] [--clips N] [--folder DIR] [--json FILE]

In each round, in fresh random order, each contestant does all clips, from the files to answers; decoders are started anew, and
that counts. The bound is of a CPU alone: seconds of processor time of decoding and of the model, each measured alone in the
same round, by the number of processors. Before that all answers are compared. The weights may be random: they are as fast as
others.
"""

import argparse
import json
import math
import os
import random
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psutil

from benchmarks.in_turn import ROUNDS, Contestant, about_ratios, as_line, as_text, if_busy, ratio_of
from vivit import heap
from vivit.benchmark.ratios import Ratio
from vivit.checkpoint import open_checkpoint
from vivit.decoders import Reading, read_clip, usual_processes
from vivit.device import default_device
from vivit.evaluate.local import Spent, evaluate_locally
from vivit.evaluate.passes import Classifier
from vivit.evaluate.records import LabelledClip, Record
from vivit.machine import OtherWork
from vivit.model import VivitForVideoClassification
from vivit.names import PRECISIONS, VIDEO_SUFFIXES
from vivit.pipelines import Predictions, VideoClassificationPipeline
from vivit.threads import waiting

CLIPS = Path(__file__).parents[1] / "vivit" / "assets" / "clips"
LOOP = "pipeline, one by one"
# The largest difference of two log-probabilities of a clip's best classes: float32 in another order, where all is float32. In
# other precisions a batch's kernels round otherwise than one clip's: a bound that a mistake would not keep.
EXACT, ROUNDED = 1e-3, 0.5


@dataclass(frozen=True)
class Alone:
    """Both halves of the work, one after the other. Args: decode, model: s of processor time; model_wall: s of wall time."""

    decode: float
    model: float
    model_wall: float

    def bound(self) -> float:
        """The least seconds of wall time that all processors could need."""
        return (self.decode + self.model) / _processors()


class Contest:
    """A model, clips, and the ways to their answers."""

    def __init__(self, options: argparse.Namespace) -> None:
        checkpoint, device = open_checkpoint(options.model), default_device()
        model = checkpoint.load(
            VivitForVideoClassification, attn_implementation=options.attention, dtype=options.precision, device=device
        )
        self.size, self.precision = options.batch_size, options.precision
        self.pipeline = VideoClassificationPipeline(model, checkpoint.processor, checkpoint.familiarity())
        self.classifier = Classifier(model, checkpoint.processor, self.size, self.pipeline.familiarity)
        self.reading = Reading(model.config.num_frames, checkpoint.processor)
        files = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
        if not files:
            raise SystemExit(f"There is no video in {options.folder}.")
        self.paths = [*islice(cycle(map(str, files)), options.clips)]
        self.decoders = options.decoders or [usual_processes()]

    def contestants(self) -> list[Contestant[Spent]]:
        """The rival comes first."""
        found: list[Contestant[Spent]] = [Contestant(LOOP, self.one_by_one)]
        for n in self.decoders:
            found += [
                Contestant(f"pipeline, a list, {n} decoders", partial(self.listed, n)),
                Contestant(f"evaluate, {n} decoders", partial(self.evaluate, n)),
            ]
        return found

    def one_by_one(self) -> None:
        for path in self.paths:
            self.pipeline(path)

    def listed(self, decoders: int) -> None:
        self.pipeline(self.paths, batch_size=self.size, num_workers=decoders)

    def evaluate(self, decoders: int) -> Spent:
        spent = Spent()
        for _ in self.records(decoders, spent):
            pass
        return spent

    def records(self, decoders: int, spent: Spent | None = None) -> Iterator[Record]:
        clips = (LabelledClip(k, path, "", 0) for k, path in enumerate(self.paths))
        for step in evaluate_locally(clips, self.reading, self.classifier, decoders, spent):
            yield from step

    def alone(self) -> Alone:
        """What decoding all clips takes, and then the model, with nothing else beside."""
        begin = time.process_time()
        pixels = [read_clip(path, self.reading).pixels for path in self.paths]
        decoded, wall = time.process_time(), time.perf_counter()
        for k in range(0, len(pixels), self.size):
            self.classifier(pixels[k : k + self.size])
        return Alone(decoded - begin, time.process_time() - decoded, time.perf_counter() - wall)

    def compare(self) -> dict[str, Any]:
        """All clips' answers, from each way.

        Raises:
            SystemExit: if a clip cannot be read, or the answers differ by more than rounding does.
        """
        same, worst = 0, 0.0
        options: dict[str, Any] = {"top_k": self.pipeline.model.config.num_labels}
        listed: list[Predictions] = self.pipeline(self.paths, batch_size=self.size, **options)
        for path, record, some in zip(self.paths, self.records(self.decoders[0]), listed, strict=True):
            if record.error:
                raise SystemExit(record.error)
            for theirs in (some, self.pipeline(path, **options)):
                scores = {one["label"]: one["score"] for one in theirs}
                same += theirs[0]["label"] == record.top[0].label
                ratios = [max(guess.score, 1e-30) / max(scores[guess.label], 1e-30) for guess in record.top]
                worst = max(worst, *(abs(math.log(ratio)) for ratio in ratios))
        if worst > (EXACT if PRECISIONS[self.precision].exact else ROUNDED):
            raise SystemExit(f"The answers differ by {worst:.2g} in their logarithms: this is no comparison.")
        return {"clips": len(self.paths), "same_top1": same, "of": 2 * len(self.paths), "largest_difference": worst}


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _readings() -> tuple[float, float, float]:
    """As `OtherWork` takes them; what decoders did is ours once they have ended."""
    times, ended = psutil.cpu_times(), resource.getrusage(resource.RUSAGE_CHILDREN)
    ours = time.process_time() + ended.ru_utime + ended.ru_stime
    return time.monotonic(), times.user + times.nice + times.system, ours


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything, and how it was measured."""
    contest = Contest(options)
    agreed = contest.compare()
    contestants, order, alone = contest.contestants(), random.Random(options.seed), list[Alone]()
    for one in contestants:  # once each, untimed
        one.run()
    others = OtherWork(_readings)
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        for turn in order.sample([*contestants, None], len(contestants) + 1):
            if turn:
                turn.time()
            else:
                alone.append(contest.alone())
    return report(options, contest, contestants, alone, agreed, others.share())


def report(
    options: argparse.Namespace,
    contest: Contest,
    contestants: list[Contestant[Spent]],
    alone: list[Alone],
    agreed: dict[str, Any],
    share: float | None,
) -> dict[str, Any]:
    """What JSON can hold."""
    from vivit.benchmark.probes import describe

    device, clips, loop = contest.pipeline.device, agreed["clips"], contestants[0].seconds

    def ratio(wanted: list[float], seconds: list[float]) -> dict[str, float] | None:
        found = ratio_of(wanted, seconds)
        return vars(found) if found else None

    rows = []
    for one in contestants:
        waited = [spent.waited / spent.total for spent in one.told]
        rows.append(
            {
                "name": one.name,
                "seconds": one.seconds,
                "clips_a_second": clips / statistics.median(one.seconds),
                "times_as_many_as_the_loop": ratio(loop, one.seconds) if one.seconds is not loop else None,
                "of_the_bound": ratio([a.bound() for a in alone], one.seconds) if device.type == "cpu" else None,
                "model_waited": statistics.median(waited) if waited else None,
            }
        )
    machine = describe(device)
    return {
        "made": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": f"python -m benchmarks.evaluate {' '.join(sys.argv[1:])}",
        "model": options.model,
        "attention": options.attention,
        "precision": options.precision,
        "batch_size": options.batch_size,
        "device": machine.device_name,
        "cores": _processors(),
        "threads": machine.threads,
        "cpu_capability": machine.cpu_capability,
        "platform": machine.platform,
        "versions": machine.versions,
        "others_share": share,
        "agreed": agreed,
        "alone_ms_a_clip": {
            name: statistics.median(vars(one)[name] for one in alone) / clips * 1e3
            for name in ("decode", "model", "model_wall")
        },
        "rounds": options.rounds,
        "method": (
            f"All clips, {options.rounds} rounds in random order (seed {options.seed}), each contestant once untimed before. "
            f"{about_ratios(options.rounds)}"
        ),
        "rows": rows,
    }


def as_markdown(found: dict[str, Any]) -> Iterator[str]:
    """The heading, the table and how it was measured."""
    agreed, share, alone = found["agreed"], found["others_share"], found["alone_ms_a_clip"]
    yield (
        f"{found['model']}, {found['attention']}, {found['precision']}: {agreed['clips']} clips, {found['batch_size']} a pass. "
        f"{found['device']}, {found['cpu_capability']}, {found['threads']} threads, {found['cores']} processors, "
        f"{found['platform']}; {found['made']}; "
        f"{', '.join(f'{name} {number}' for name, number in found['versions'].items())}."
    )
    yield ""
    yield (
        f"Alone, a clip takes {alone['decode']:.3g} ms of a processor to decode, and the model {alone['model']:.3g} ms of one, "
        f"{alone['model_wall']:.3g} ms of wall time. Best class the same for {agreed['same_top1']} of {agreed['of']}, largest "
        f"difference of log-probabilities {agreed['largest_difference']:.1g}. Other programs had {share or 0:.0%} of the "
        f"processors{if_busy(share)}."
    )
    yield ""
    yield as_line(["contestant", "clips a second", "range", "times as many as the loop", "of the bound", "model waits"])
    yield as_line(["---"] * 6)
    for row in found["rows"]:
        rates = [agreed["clips"] / seconds for seconds in row["seconds"]]
        ratios = (row["times_as_many_as_the_loop"], row["of_the_bound"])
        yield as_line(
            [
                row["name"],
                f"{row['clips_a_second']:.3g}",
                f"{min(rates):.3g}–{max(rates):.3g}",
                *(as_text(r and Ratio(**r)) for r in ratios),
                "–" if row["model_waited"] is None else f"{row['model_waited']:.0%}",
            ]
        )
    yield ""
    yield found["method"]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="vivit-mannequin", metavar="NAME|DIR", help="random weights will do")
    parser.add_argument("--attention", default="sdpa")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--device", help="as the command line takes it")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N")
    parser.add_argument(
        "--decoders", type=int, nargs="+", metavar="N", help="each is two contestants; as many as are usual"
    )
    parser.add_argument("--clips", type=int, default=144, metavar="N", help="the files again and again")
    parser.add_argument("--folder", type=Path, default=CLIPS, metavar="DIR", help="of files; the bundled ones")
    parser.add_argument("--rounds", type=int, default=min(ROUNDS), choices=ROUNDS)
    parser.add_argument("--seed", type=int, default=0, help="of the orders")
    parser.add_argument("--json", type=Path, metavar="FILE", help="to write the figures to as well")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure and print."""
    options = parse()
    if settled := waiting():  # before torch computes, as for every process of ours that does
        os.execve(sys.executable, sys.orig_argv, os.environ | settled)
    heap.keep()
    if options.device:
        os.environ["VIVIT_DEVICE"] = options.device
    found = measure(options)
    print("\n".join(as_markdown(found)))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
