"""Ours beside transformers, torch.compile, ONNX Runtime and OpenVINO, with the same weights and on the same clip.

    python -m benchmarks.rivals [--model NAME|DIR] [--only NAME …] [--device cuda] [--rounds 8] [--out FILE.md|FILE.json]

Every contestant is loaded in a process of its own, and they are timed in turn: in each round, in fresh random order, each
makes as many passes as fill a slot and gives their median. While one runs the others sleep. What cannot take part is a row
that says why, unless it was asked for by name. Prints a table of markdown.
"""

import argparse
import json
import math
import os
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from benchmarks.contest import SETTINGS, Ended, Process, environment
from benchmarks.contestants import BASE, BASE_OPENVINO, CONTESTANTS, Contestant, packages, usual
from benchmarks.in_turn import ROUNDS, about_ratios, as_line, as_text, if_busy, ratio_of
from benchmarks.runtimes import REFERENCE, Job
from vivit.benchmark.measurement import MIB, agreement
from vivit.benchmark.probes import describe
from vivit.benchmark.ratios import Ratio
from vivit.benchmark.side_by_side import SLOT_SECONDS
from vivit.checkpoint import RANDOM
from vivit.machine import Machine

WARM_SECONDS = 1.0  # where no pass takes as long, each slot begins with one that is not timed


@dataclass(frozen=True)
class Agreed:
    """How near a contestant's answers are to the reference's.

    Args:
        same: of how many clips the best class is the same.
        clips: how many there are.
        difference: the largest difference of two logits of a class, in standard deviations of the reference's logits.
    """

    same: int
    clips: int
    difference: float


@dataclass
class Row:
    """What is known of a contestant.

    Args:
        reason: why it is not timed, '' if it is.
        loaded: what `benchmarks.contest.do_load` told.
        slots_ms: one a round.
        spun_ms, idle_ms: processor time that its threads took after their slots, and while others had theirs; one a round.
        agreed: None if it gave no finite logits.
    """

    name: str
    contestant: Contestant
    reason: str = ""
    loaded: dict[str, Any] = field(default_factory=dict)
    slots_ms: list[float] = field(default_factory=list)
    spun_ms: list[float] = field(default_factory=list)
    idle_ms: list[float] = field(default_factory=list)
    agreed: Agreed | None = None

    def fail(self, reason: str) -> None:
        """Leave it out, with all that it did."""
        self.reason, self.slots_ms = reason, []


def compare_answers(logits: Sequence[Sequence[float] | None], reference: np.ndarray) -> Agreed | None:
    """Compare answers to the same clips.

    Args:
        logits: of each clip, (num_labels,); None where they are not finite.
        reference: (clips, num_labels).
    """
    found = [
        (agreement(tuple(ours), tuple(theirs)), float(np.std(theirs)))
        for ours, theirs in zip(logits, reference.tolist(), strict=True)
        if ours is not None
    ]
    if len(found) < len(reference):
        return None
    difference = max(one.max_logit_difference / spread for one, spread in found)
    return Agreed(sum(one.top1 for one, _ in found), len(found), difference)


def ratio_to(row: Row, base: Row | None) -> Ratio | None:
    """How many times as long a contestant takes as another, with its interval; None without both, and of itself."""
    if base is None or base is row or not (row.slots_ms and base.slots_ms):
        return None
    found = ratio_of(base.slots_ms, row.slots_ms)
    return found and found.inverse


@dataclass(frozen=True)
class Plan:
    """What is to be done. Args: as the command line has them; precision: of contestants without one; strict: see `_insist`."""

    names: tuple[str, ...]
    model: str
    device: str
    precision: str
    batch_size: int
    rounds: int
    clips: int
    threads: int
    seed: int
    strict: bool

    def contestant(self, name: str) -> Contestant:
        """With its precision settled."""
        contestant = CONTESTANTS[name]
        return replace(contestant, precision=contestant.precision or self.precision)


@dataclass
class Found:
    """What was measured, and where. Args: others_share: of the processors, that others had while slots were timed."""

    plan: Plan
    rows: list[Row]
    others_share: float
    machine: Machine

    def base(self, name: str) -> Row | None:
        return next((row for row in self.rows if row.name == name), None)


def run(plan: Plan, note: Callable[[str], object] = lambda text: None) -> Found:
    """Measure.

    Raises:
        Ended: if the clips or the weights cannot be made; where the plan is strict, if a contestant cannot take part.
    """
    rows = [Row(name, plan.contestant(name)) for name in plan.names]
    for row in rows:
        row.reason = row.contestant.missing(plan.device)
        _insist(plan, row)
    with tempfile.TemporaryDirectory(prefix="vivit-rivals-") as folder, ExitStack() as started:
        note("making weights, clips and the answers to compare with")
        _once(_job(plan, plan.contestant(BASE), folder), "common", model=plan.model, clips=plan.clips)
        reference = np.load(Path(folder) / REFERENCE)
        running: dict[str, Process] = {}
        for row in rows:
            if row.reason:
                continue
            note(f"loading {row.name}")
            try:
                running[row.name] = process = _start(plan, row, folder, reference)
                started.callback(process.end)
            except Ended as ended:
                row.fail(str(ended))
                _insist(plan, row)
        share = _time(plan, rows, running, note)
    return Found(plan, rows, share, describe(torch.device(plan.device)))


def _start(plan: Plan, row: Row, folder: str, reference: np.ndarray) -> Process:
    """Load a contestant in a process of its own, and note what it told.

    Raises:
        Ended: if it could not; its process, which may hold much memory, has ended too.
    """
    job = _job(plan, row.contestant, folder)
    if row.contestant.artifact:
        _once(job, "prepare")
    process = Process(job)
    try:
        row.loaded = process.ask("load")
        row.agreed = compare_answers(row.loaded.pop("logits"), reference)
    except BaseException:
        process.end()
        raise
    return process


def _insist(plan: Plan, row: Row) -> None:
    """Raise where a contestant that was asked for by name cannot take part."""
    if row.reason and plan.strict:
        raise Ended(f"{row.name}: {row.reason}")


def _job(plan: Plan, contestant: Contestant, folder: str) -> Job:
    return Job(contestant, folder, plan.device, plan.batch_size, plan.threads)


def _once(job: Job, what: str, **options: Any) -> None:
    """Do something in a process that is ended then, whose memory is nobody's."""
    process = Process(job)
    try:
        process.ask(what, **options)
    finally:
        process.end()


def _time(plan: Plan, rows: list[Row], running: dict[str, Process], note: Callable[[str], object]) -> float:
    """Make the rounds. Returns what others had of the processors, in [0, 1]."""
    order = random.Random(plan.seed)
    warm = all(row.loaded["pass_ms"] < WARM_SECONDS * 1e3 for row in rows if not row.reason)
    others = available = 0.0
    for number in range(plan.rounds):
        note(f"round {number + 1} of {plan.rounds}")
        left = [row for row in rows if not row.reason]
        for row in order.sample(left, len(left)):
            try:
                slot = running[row.name].ask("slot", warm=warm)
            except Ended as ended:
                row.fail(f"in round {number + 1}: {ended}")
                _insist(plan, row)
                continue
            row.slots_ms.append(slot["ms"])
            row.spun_ms.append(slot["spun_ms"])
            row.idle_ms.append(slot["idle_ms"])
            wall, busy, processors = slot["others"]
            others, available = others + busy, available + wall * processors
    return min(max(others / available, 0.0), 1.0) if available else 0.0


HEAD = (
    "contestant",
    "version",
    "precision",
    "ms a clip",
    "p10–p90",
    "÷ transformers sdpa",
    "÷ OpenVINO float32",
    "weights, MiB",
    "peak, MiB",
    "same top 1",
    "largest logit difference",
)


def as_markdown(found: Found) -> list[str]:
    """The heading, the table and how it was measured, as lines."""
    plan = found.plan
    lines = [*heading(found), "", as_line(HEAD), as_line(["---"] * len(HEAD))]
    lines += [as_line(_cells(found, row)) for row in found.rows]
    return [*lines, "", method(plan)]


def _cells(found: Found, row: Row) -> list[str]:
    package = packages(row.contestant)[0]
    named = [row.contestant.title, str(row.loaded.get("versions", {}).get(package, "")), str(row.contestant.precision)]
    if row.reason:
        return [*named, f"not timed: {row.reason}".replace("|", "/"), *[""] * (len(HEAD) - len(named) - 1)]
    clips = found.plan.batch_size
    low, middle, high = (ms / clips for ms in np.percentile(row.slots_ms, [10, 50, 90]))
    agreed = row.agreed
    return [
        *named,
        _ms(middle),
        f"{_ms(low)}–{_ms(high)}",
        *("1" if name == row.name else as_text(ratio_to(row, found.base(name))) for name in (BASE, BASE_OPENVINO)),
        f"{row.loaded['weights'] / MIB:,.0f}",
        f"{row.loaded['peak'] / MIB:,.0f}" if row.loaded["peak"] else "not known",
        f"{agreed.same} of {agreed.clips}" if agreed else "not finite",
        f"{agreed.difference:.1g} σ" if agreed else "–",
    ]


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def heading(found: Found) -> list[str]:
    """What was measured, on what machine, with what settings."""
    plan, machine = found.plan, found.machine
    known = {package: number for row in found.rows for package, number in row.loaded.get("versions", {}).items()}
    versions = ", ".join(f"{package} {number}" for package, number in sorted(known.items()))
    kept = environment(as_installed=False)
    settings = ", ".join(f"{name}={kept[name]}" for name in SETTINGS if name in kept)
    spun = max((ms for row in found.rows for ms in row.spun_ms), default=math.nan)
    idle = max((ms for row in found.rows for ms in row.idle_ms), default=math.nan)
    return [
        f"{plan.model}, batch size {plan.batch_size}: {machine.device_name}, {machine.cpu_capability}, {plan.threads} threads "
        f"of {machine.cores} processors, {machine.platform}; {datetime.now(UTC):%Y-%m-%d}; python "
        f"{machine.versions['python']}, {versions}.",
        "",
        f"Started with {settings}, but what is 'as installed'. Other programs had {found.others_share:.0%} of the processors "
        f"while slots were timed{if_busy(found.others_share)}. Threads spun for {spun:.0f} ms at the most after a slot, which "
        f"was waited for, and took {idle:.0f} ms of processor time at the most while others ran.",
        "",
        f"`python -m benchmarks.rivals {' '.join(sys.argv[1:])}`",
    ]


def method(plan: Plan) -> str:
    """How it was measured."""
    several = "clips" if plan.clips > 1 else "clip"
    clips = f"bundled {several}" if find_spec("av") else f"{several} of random numbers (PyAV is not installed)"
    memory = (
        "resident at the peak of a pass, libraries included"
        if plan.device == "cpu"
        else "given out by PyTorch at the peak"
    )
    return (
        f"A process a contestant, {plan.rounds} rounds in random order (seed {plan.seed}); in each every contestant makes as "
        f"many passes as fill {SLOT_SECONDS * 1e3:.0f} ms, from pixels to logits on the host, and gives their median. "
        f"{about_ratios(plan.rounds, ', so less is faster')} Peak: {memory}. Agreement is with transformers' sdpa "
        f"in float32 on the CPU, on {plan.clips} {clips}; σ is the standard deviation of a clip's "
        "logits. int8: OpenVINO's by NNCF, calibrated by other bundled clips; ONNX Runtime's dynamic, of matrix products alone."
    )


def as_json(found: Found) -> dict[str, Any]:
    """Everything, raw samples included."""
    ratios = {
        row.name: {
            base: ratio and asdict(ratio)
            for base in (BASE, BASE_OPENVINO)
            for ratio in [ratio_to(row, found.base(base))]
        }
        for row in found.rows
    }
    rows = [asdict(row) | {"title": row.contestant.title, "ratios": ratios[row.name]} for row in found.rows]
    return {"heading": heading(found), "method": method(found.plan), "rows": rows, **asdict(found.plan)} | {
        "others_share": found.others_share
    }


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", default=RANDOM, metavar="NAME|DIR", help=f"as `vivit` takes it; {RANDOM} if left out"
    )
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, metavar="NAME", help=", ".join(CONTESTANTS))
    parser.add_argument("--device", default="cpu", metavar="cpu|cuda", help="on a GPU PyTorch's contestants alone")
    parser.add_argument("--precision", choices=("float32", "float16", "bfloat16"), help="float32, on a GPU bfloat16")
    parser.add_argument("--batch-size", type=int, default=1, metavar="N")
    parser.add_argument("--rounds", type=int, default=min(ROUNDS), choices=ROUNDS)
    parser.add_argument("--clips", type=int, default=2, metavar="N", help="to compare answers on; the first is timed")
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or os.cpu_count(), metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the orders")
    parser.add_argument("--out", type=Path, metavar="FILE", help="to write to as well: .md or .json")
    options = parser.parse_args(arguments)
    if options.out and options.out.suffix not in (".md", ".json"):
        parser.error(f"--out wants a file .md or .json, not {options.out}")
    return options


def main() -> None:
    """Measure, print the table, and write it."""
    options = parse()
    plan = Plan(
        names=tuple(options.only or usual(options.device)),
        model=options.model,
        device=options.device,
        precision=options.precision or ("float32" if options.device == "cpu" else "bfloat16"),
        batch_size=options.batch_size,
        rounds=options.rounds,
        clips=options.clips,
        threads=options.threads,
        seed=options.seed,
        strict=bool(options.only),
    )
    try:
        found = run(plan, lambda text: print(text, file=sys.stderr, flush=True))
    except Ended as ended:
        raise SystemExit(str(ended)) from None
    text = "\n".join(as_markdown(found)) + "\n"
    print(text, end="")
    if options.out:
        options.out.write_text(json.dumps(as_json(found), indent=1) if options.out.suffix == ".json" else text)


if __name__ == "__main__":
    main()
