"""The soak test: visitors come and go, and nothing may break, grow or stay behind.

    python -m benchmarks.soak [--seconds 300] [--visitors 8] [--seed 0] [--log FILE] [--json]

It starts the real server with a folder of its own for temporary files, lets the visitors of `benchmarks.soak_visitors` at it,
then closes every tab, waits until the server has forgotten them all, and says what is different. Exit status 0 only if there
was no unexpected failure and nothing was left over.
"""

import argparse
import asyncio
import json
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from benchmarks.soak_visitors import Tally, Visitor, make_files
from engine.uploads import PREFIX
from tests.app.conftest import Server
from ui.server import WORKERS

LONGER = 6  # times as long
WARM_UP = 0.2  # of the time; what is loaded and cached by then may stay
GRACE_SECONDS = 62.0  # the server forgets a visitor after 60 s without them
MIB = 2**20
# Streamlit keeps a closed tab's session for 2 minutes, the last 128 of them, in case the tab comes back; each has an event
# loop of its own, which takes three descriptors.
KEPT_SESSIONS, KEPT_SECONDS, SESSION_DESCRIPTORS = 128, 120.0, 3
# What Streamlit 1.67 logs, with a traceback, when a tab goes away while a message to it is on its way; it then tidies up.
HUNG_UP = "starlette.websockets.WebSocketDisconnected"
TROUBLE = ("WARNING", "ERROR", "CRITICAL", "Traceback")
TASK_MODULES = {worker.module for worker in WORKERS.values()}
SPARE_DESCRIPTORS = 8  # files and sockets open in passing


@dataclass(frozen=True)
class Snapshot:
    """The server's processes at one moment.

    Args:
        rss_mib: process → MiB.
        descriptors: the server's own.
        workers: process id → module.
        cpu_s: processor time of all of them so far.
    """

    rss_mib: dict[str, float]
    descriptors: int
    workers: dict[int, str]
    cpu_s: float

    @property
    def sum_mib(self) -> float:
        """All the processes together; memory that they share counts in each."""
        return sum(self.rss_mib.values())


def snapshot(pid: int) -> Snapshot:
    """Look at a server and its workers."""
    server = psutil.Process(pid)
    rss, workers, cpu = {"server": server.memory_info().rss / MIB}, {}, sum(server.cpu_times()[:2])
    for child in server.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            command = child.cmdline()
            name = next((word for word in command if word in TASK_MODULES), " ".join(command)[:80])
            workers[child.pid] = name
            same = sum(other == name for other in workers.values())
            rss[name if same == 1 else f"{name} {same}"] = child.memory_info().rss / MIB
            cpu += sum(child.cpu_times()[:2])
    return Snapshot(rss, server.num_fds(), workers, cpu)


@dataclass
class Report:
    """What came of it."""

    seconds: float
    visitors: int
    seed: int
    tally: Tally
    before: Snapshot
    warm: Snapshot
    end: Snapshot
    visitors_cpu_s: float
    jobs: dict[str, int] = field(default_factory=dict)  # 'task state' → how many, by the server's log
    job_errors: dict[str, int] = field(default_factory=dict)  # kind → how many, by the server's log
    hung_up: int = 0  # tabs that went away in the middle of a message, by the server's log
    failures: list[str] = field(default_factory=list)  # that nobody meant
    leftovers: list[str] = field(default_factory=list)

    @property
    def restarts(self) -> int:
        """Workers that are not those of the beginning."""
        return len(self.end.workers.keys() - self.before.workers.keys())

    @property
    def ok(self) -> bool:
        return not self.failures and not self.leftovers

    def to_dict(self) -> dict[str, object]:
        """Everything, as JSON."""
        seen = {
            name: dict(n) if isinstance(n, Counter) else n for name, n in vars(self.tally).items() if name != "closed"
        }
        looks = {name: asdict(getattr(self, name)) for name in ("before", "warm", "end")}
        waits = self.tally.waits
        figures = {
            "median_wait_s": statistics.median(waits) if waits else None,
            "worst_wait_s": max(waits, default=None),
        }
        return vars(self) | {"tally": seen} | looks | figures | {"restarts": self.restarts, "ok": self.ok}

    def lines(self) -> list[str]:
        """The same for people."""
        tally, waits = self.tally, self.tally.waits or [0.0]
        done = sum(number for job, number in self.jobs.items() if job.endswith(" done"))
        return [
            f"{self.seconds:g} s, {self.visitors} visitors at a time, seed {self.seed}: {tally.visits} visits",
            f"actions: {_listed(tally.actions)}",
            f"jobs done, by the log: {done} ({_listed(self.jobs)})",
            f"answers seen: {tally.answers}; besides {_listed(tally.shown)}",
            f"failed by design: {sum(tally.sentences.values())} sentences seen for {tally.dropped} bad files; by the log "
            f"{_listed(self.job_errors)}; cancels seen: {_listed(tally.cancels)}",
            *(f"  {number} × {sentence}" for sentence, number in tally.sentences.items()),
            f"from asking to the answer: median {statistics.median(waits):.1f} s, worst {max(waits):.1f} s",
            *(
                f"memory of {name}: {self.warm.rss_mib.get(name, 0):.0f} MiB after warm-up, {size:.0f} MiB at the end"
                for name, size in self.end.rss_mib.items()
            ),
            f"processor time: {self.end.cpu_s - self.before.cpu_s:.0f} s of the server and its workers, "
            f"{self.visitors_cpu_s:.1f} s of the visitors themselves",
            f"memory of all: {self.warm.sum_mib:.0f} MiB after warm-up, {self.end.sum_mib:.0f} MiB at the end",
            f"descriptors of the server: {self.before.descriptors} before the first visitor, "
            f"{self.warm.descriptors} after warm-up, {self.end.descriptors} at the end",
            f"worker processes: {len(self.before.workers)} at first, {len(self.end.workers)} at the end; "
            f"{self.restarts} of them new",
            f"tabs gone in the middle of a message, of which Streamlit logs a traceback: {self.hung_up}",
            f"unexpected failures: {len(self.failures)}",
            *(f"  {failure}" for failure in self.failures),
            f"left over: {len(self.leftovers)}",
            *(f"  {leftover}" for leftover in self.leftovers),
        ]


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "none"


async def visit(server: Server, seconds: float, visitors: int, seed: int, enough: Callable[[Tally], object]) -> Report:
    """Let the visitors come and go, and wait until the server has forgotten them."""
    tally, files = Tally(), make_files(seed)
    before, cpu = snapshot(server.process.pid), time.process_time()
    begin = time.monotonic()
    everyone = [Visitor(number, server.url, seed, files, tally) for number in range(visitors)]
    tasks = [asyncio.create_task(visitor.come_and_go()) for visitor in everyone]
    await asyncio.sleep(WARM_UP * seconds)
    warm = snapshot(server.process.pid)
    await asyncio.sleep((1 - WARM_UP) * seconds)
    while not enough(tally) and time.monotonic() < begin + LONGER * seconds:
        await asyncio.sleep(0.5)
    seconds = time.monotonic() - begin
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(outcome, asyncio.CancelledError):
            tally.faults.append(f"a visitor broke down: {outcome!r}")
    cpu = time.process_time() - cpu
    await asyncio.sleep(GRACE_SECONDS)
    return Report(
        seconds, visitors, seed, tally, before, warm, snapshot(server.process.pid), cpu, failures=tally.faults
    )


def soak(
    seconds: float = 300.0,
    visitors: int = 8,
    seed: int = 0,
    log: Path | None = None,
    enough: Callable[[Tally], object] = lambda tally: True,
) -> Report:
    """Start a server, let the visitors at it, stop it, and report.

    Args:
        seconds: how long they come and go.
        visitors: how many at a time.
        seed: of what they choose to do.
        log: where the server's log is to stay; None: nowhere.
        enough: whether enough has happened; until then they go on, at most `LONGER` times as long, since a machine that does
            much else is slow.
    """
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder, "tmp")
        temporary.mkdir()
        server = Server(log or Path(folder, "log"), TMPDIR=str(temporary))
        try:
            server.wait_until_up()
            report = asyncio.run(visit(server, seconds, visitors, seed, enough))
            report.leftovers += [f"while the server runs: {name}" for name in _files(temporary)]
        finally:
            server.stop()
        report.leftovers += [f"after the server: {p.name}" for p in temporary.glob(f"{PREFIX}*")]
        report.leftovers += [f"after the server: {name}" for name in _files(temporary)]
        _count_processes(report)
        _read_log(report, server.log.read_text(encoding="utf-8"))
    return report


def _files(folder: Path) -> list[str]:
    """Every file below, by its path from there; PyTorch's cache folder alone, which is always made, is none."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()]


def _count_processes(report: Report) -> None:
    """Add processes and descriptors that the beginning had not to what was left over, and missing processes to the failures."""
    before, end, closed = report.before, report.end, report.tally.closed
    first, last = Counter(before.workers.values()), Counter(end.workers.values())
    report.leftovers += [f"{number} more of the process {name}" for name, number in (last - first).items()]
    report.failures += [f"{number} fewer of the process {name}" for name, number in (first - last).items()]
    kept = min(KEPT_SESSIONS, sum(when > max(closed) - KEPT_SECONDS for when in closed))
    allowed = before.descriptors + SESSION_DESCRIPTORS * kept + SPARE_DESCRIPTORS
    if end.descriptors > allowed:
        report.leftovers.append(f"{end.descriptors} open descriptors, where {kept} kept sessions explain {allowed}")


def _read_log(report: Report, log: str) -> None:
    """Count the log's jobs, compare them with what the visitors saw, and add what should not be in it to the failures."""
    jobs: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for entry in _entries(log):
        _, _, job_line = entry[0].partition(" engine INFO ")
        if job_line.startswith("{"):
            job = json.loads(job_line)
            jobs[f"{job['task']} {job['state']}"] += 1
            if job["state"] == "failed":
                errors[job["error"]] += 1
        if entry[-1].startswith(HUNG_UP) and any("_websocket_endpoint" in line for line in entry):
            report.hung_up += 1
        elif bad := [line for line in entry if any(word in line for word in TROUBLE)]:
            report.failures.append(f"in the log: {bad[0].strip()} … {entry[-1]}")
    report.jobs, report.job_errors = dict(jobs), dict(errors)
    tally = report.tally
    failed, told = sum(errors.values()), sum(tally.sentences.values())
    # The end may come between a bad file and its sentence.
    if not told <= failed <= tally.dropped:
        report.failures.append(f"{failed} jobs failed by the log, {told} sentences seen for {tally.dropped} bad files")
    if tally.answers > jobs["classify done"]:
        report.failures.append(f"{tally.answers} answers seen, but {jobs['classify done']} classifications by the log")


def _entries(log: str) -> list[list[str]]:
    """A log's entries: a line with the time on it or the head of a traceback, and the lines that belong to it."""
    entries: list[list[str]] = [[]]
    for line in filter(str.strip, re.sub(r"\x1b\[[\d;]*m", "", log).splitlines()):  # Streamlit colours its tracebacks
        if re.match(r"\d{4}-\d\d-\d\d |Exception in ", line):
            entries.append([])
        entries[-1].append(line)
    return [entry for entry in entries if entry]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description="Visitors come and go; nothing may break."
    )
    parser.add_argument("--seconds", type=float, default=300.0, help="how long they come and go")
    parser.add_argument("--visitors", type=int, default=8, help="how many at a time")
    parser.add_argument("--seed", type=int, default=0, help="of what they choose to do")
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.add_argument("--log", type=Path, help="where the server's log is to stay")
    options = parser.parse_args()
    report = soak(options.seconds, options.visitors, options.seed, options.log)
    print(json.dumps(report.to_dict(), indent=2) if options.json else "\n".join(report.lines()))
    sys.exit(0 if report.ok else 1)


if __name__ == "__main__":
    main()
