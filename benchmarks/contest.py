"""A contestant in a process of its own, which does one thing at a time when it is told to, and else sleeps.

The process is told over its standard input, a line of JSON a request, and answers so. It answers a slot only once its threads
have stopped spinning, so that no contestant takes the processors from the next.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contestants import packages
from benchmarks.runtimes import CLIPS, LOAD, Job, Pass, prepare
from vivit.benchmark.side_by_side import SLOT_SECONDS
from vivit.machine import OtherWork
from vivit.records import from_json
from vivit.threads import OWN_WORD, waiting

ROOT = Path(__file__).parents[1]
# By itself glibc gives large tensors back to the system, which clears their memory before it is had again. This keeps it.
KEPT = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=4294967296"
TUNABLES = "GLIBC_TUNABLES"
SETTINGS = (*OWN_WORD, TUNABLES)
NAP_SECONDS, QUIET = 0.005, 0.1  # threads have stopped once a nap takes less than this share of one processor
PATIENCE_SECONDS = 2.0  # with threads that spin on and on


class Ended(RuntimeError):
    """A contestant could not do what it was told, or its process ended; the message says which."""


def environment(*, as_installed: bool) -> dict[str, str]:
    """What a contestant's process is started with: the user's own settings win; 'as installed' has none of `SETTINGS`."""
    inherited = dict(os.environ)
    if as_installed:
        return {name: value for name, value in inherited.items() if name not in SETTINGS}
    return {TUNABLES: KEPT} | waiting() | inherited


class Process:
    """A contestant's process, started by the first request."""

    def __init__(self, job: Job) -> None:
        self._log = Path(job.folder) / "log.txt"
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.contest", json.dumps(asdict(job))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env=environment(as_installed=job.contestant.as_installed),
            )

    def ask(self, what: str, **options: Any) -> dict[str, Any]:
        """Have it do something. Args: what: a key of `DO`; options: of that function.

        Raises:
            Ended: if it could not.
        """
        process = self._process
        assert process.stdin and process.stdout
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps([what, options]) + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            last = self._log.read_text(errors="replace").strip().rpartition("\n")[2]
            raise Ended(f"its process ended with status {process.wait()}; the last that was logged: {last}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise Ended(answer["failed"])
        return answer

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]


@dataclass
class State:
    """A contestant's process. Args: once: a pass of the clip that is timed; rested: its processor time at the last answer."""

    job: Job
    once: Pass | None = None
    rested: float = 0.0


def do_common(state: State, model: str, clips: int) -> dict[str, Any]:
    """Make what all contestants share. Args: model, clips: as `benchmarks.graphs.write_common` takes them."""
    from benchmarks.graphs import write_common

    write_common(Path(state.job.folder), model, clips)
    return {}


def do_prepare(state: State) -> dict[str, Any]:
    """Make the files that are run, in a process that is then ended: what that takes is no contestant's."""
    prepare(state.job)
    return {}


def do_load(state: State) -> dict[str, Any]:
    """Load the model, warm it up, and find its answers and its memory."""
    job, folder = state.job, Path(state.job.folder)
    begin = time.perf_counter()
    loaded = LOAD[job.contestant.runtime](job)
    clips = np.load(folder / CLIPS, mmap_mode="r")

    def enter(clip: np.ndarray) -> Pass:
        return loaded.enter(np.repeat(clip[None], job.batch_size, axis=0))

    state.once = enter(clips[0])
    logits = [state.once()[0]]
    first_seconds = time.perf_counter() - begin
    logits += [enter(clip)()[0] for clip in clips[1:]]
    pass_ms, peak = _peak(partial(_timed, state.once), job.device)
    answer = {
        "versions": {package: version(package) for package in packages(job.contestant)},
        "first_seconds": first_seconds,
        "pass_ms": pass_ms,
        "weights": loaded.weights,
        "peak": peak,
        "logits": [row.tolist() if np.isfinite(row).all() else None for row in logits],
    }
    _rest(state)
    return answer


def do_slot(state: State, warm: bool) -> dict[str, Any]:
    """The median of as many passes as fill a slot. Args: warm: whether an untimed one comes first."""
    assert state.once
    idle = time.process_time() - state.rested
    if warm:
        state.once()
    others = OtherWork()
    samples: list[float] = []
    while sum(samples) < SLOT_SECONDS * 1e3:
        samples.append(_timed(state.once))
    seconds = others.seconds()
    spun = _rest(state)
    return {"ms": statistics.median(samples), "others": seconds, "spun_ms": spun * 1e3, "idle_ms": idle * 1e3}


DO: dict[str, Callable[..., dict[str, Any]]] = {
    "common": do_common,
    "prepare": do_prepare,
    "load": do_load,
    "slot": do_slot,
}


def _timed(once: Pass) -> float:
    """How long a pass takes, in ms."""
    begin = time.perf_counter()
    once()
    return (time.perf_counter() - begin) * 1e3


def _rest(state: State) -> float:
    """Wait until this process's threads have stopped. Returns the seconds of processor time they took meanwhile."""
    begin, ends = time.process_time(), time.monotonic() + PATIENCE_SECONDS
    while True:
        before = time.process_time()
        time.sleep(NAP_SECONDS)
        state.rested = time.process_time()
        if state.rested - before < QUIET * NAP_SECONDS or time.monotonic() > ends:
            return state.rested - begin


def _peak(call: Callable[[], float], device: str) -> tuple[float, int | None]:
    """The most memory held at a time in a call, in bytes: resident, libraries included; on a GPU what PyTorch gave out.

    Returns:
        What the call returned, and the peak; None where the system does not tell.
    """
    if device != "cpu":
        import torch

        from vivit.device import allocator

        counting = allocator(torch.device(device))
        if counting:
            counting.reset_peak_memory_stats(device)
        return call(), counting and counting.max_memory_allocated(device)
    forget, status = (Path("/proc/self") / name for name in ("clear_refs", "status"))
    if not forget.exists():
        return call(), None
    forget.write_text("5")  # the most that was resident so far
    found = call()
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return found, int(line.split()[1]) * 1024


def main() -> None:
    """Answer requests until there are no more. Whatever goes wrong is an answer, too."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    state = State(from_json(Job, json.loads(sys.argv[1])))
    for line in sys.stdin:
        what, options = json.loads(line)
        try:
            answer = DO[what](state, **options)
        except Exception as error:
            traceback.print_exc()
            said = str(error).strip().partition("\n")[0]
            answer = {"failed": f"{type(error).__name__}: {said}"}
        print(json.dumps(answer, allow_nan=False), file=answers, flush=True)


if __name__ == "__main__":
    main()
