"""Sweeps kept on disk: one JSON file each, with every raw sample and a fingerprint of the machine. No torch is used."""

import json
import os
import secrets
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from vivit.benchmark.measurement import Agreement, Cell, Measurement, agreement
from vivit.benchmark.ratios import SHORT, Ratio, find_ratio, find_ratio_between
from vivit.benchmark.side_by_side import BUSY_SHARE
from vivit.benchmark.sweep import Sweep
from vivit.errors import UserError
from vivit.kept_files import keep_text, readable
from vivit.machine import Machine
from vivit.records import from_json

SUFFIX = ".sweep.json"


@dataclass(frozen=True)
class Result:
    """A sweep as it is kept.

    Args:
        title: what was asked.
        clip: name of the clip; '' for random numbers.
        machine: what it was measured on.
        rows: one a cell, in reading order.
        references: cells of eager float32 → their logits, for the answers of the others to be compared with.
        budget_seconds: None: 'full'.
        revision: of this project's code.
        created: ISO 8601, UTC.
        id: the file's name without `SUFFIX`.
    """

    title: str
    clip: str
    machine: Machine
    rows: tuple[Measurement, ...]
    references: dict[Cell, tuple[float, ...]]
    budget_seconds: float | None
    revision: str
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    id: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}")

    @property
    def label(self) -> str:
        """'recorded on …, date'."""
        return f"recorded on {self.machine.device_name}, {self.created[:10]}"

    @property
    def others_share(self) -> float | None:
        """As `others_share`, of all rows."""
        return others_share(self.rows)

    @property
    def busy(self) -> bool:
        """Whether others had so much of the processors that figures and ratios may be other ones on a quiet machine."""
        return not self.machine.on_gpu and (self.others_share or 0.0) > BUSY_SHARE

    def agreement(self, row: Measurement) -> Agreement | None:
        """A row's answers beside those of eager float32; None where there are not both."""
        reference = self.references.get(row.cell.reference)
        return agreement(row.logits, reference) if row.logits and reference else None

    def matrix_share(self, row: Measurement) -> float | None:
        """A row's arithmetic a second as a share of what matrix products alone reach on the machine."""
        rate = self.machine.flops_per_second.get(row.cell.precision)
        return row.flops_per_second / rate if row.flops_per_second and rate else None


def others_share(rows: Sequence[Measurement]) -> float | None:
    """What other programs had of the processors, 0 to 1, the median of all rounds; None if that is not known."""
    rounds = [r for row in rows if row.latency for r in row.latency.rounds]
    shares = [r.others_share for r in rounds if r.others_share is not None]
    return float(np.median(shares)) if shares else None


def snapshot(sweep: Sweep, title: str = "", clip: str = "", missing: str = "", **identity: str) -> Result:
    """What a sweep has so far.

    Args:
        sweep: what runs or has run.
        title, clip: as in `Result`.
        missing: the reason in 'cancelled' rows for cells that have no row yet; '' leaves them out.
        identity: `id` and `created`, to be the same sweep as before.
    """
    rows = [
        sweep.rows.get(c) or Measurement(c, "cancelled", missing, estimate=sweep.estimates[c])
        for c in sweep.cells
        if missing or c in sweep.rows
    ]
    return Result(
        title=title,
        clip=clip,
        machine=sweep.machine,
        rows=tuple(rows),
        references=dict(sweep.references),
        budget_seconds=sweep.budget_seconds,
        revision=revision(),
        **identity,
    )


def results_folder() -> Path:
    """Where this user's sweeps are kept: $VIVIT_RESULTS, or a folder in the user's cache."""
    return Path(os.environ.get("VIVIT_RESULTS") or Path.home() / ".cache" / "vivit" / "results")


def sweep_file(folder: str | Path, id: str) -> Path:
    """The file of a sweep. Args: id: not checked; a stranger's may only be one that `list_results` gave."""
    return Path(folder) / f"{id}{SUFFIX}"


def save(result: Result, folder: str | Path) -> Path:
    """Write a result, in the place of an earlier state of it, and return its file."""
    file = sweep_file(folder, result.id)
    keep_text(file, json.dumps(to_dict(result), allow_nan=False) + "\n")
    return file


def to_dict(result: Result) -> dict[str, Any]:
    """A result as JSON."""
    values = {k: v for k, v in vars(result).items() if k not in ("machine", "rows", "references")}
    references = [{"cell": asdict(cell), "logits": logits} for cell, logits in result.references.items()]
    rows = [asdict(row) for row in result.rows]
    return {"format": 1, **values, "machine": asdict(result.machine), "rows": rows, "references": references}


def load(file: str | Path) -> Result:
    """Read a result.

    Raises:
        UserError: if the file is missing, damaged or of another format.
    """
    try:
        values = json.loads(Path(file).read_text(encoding="utf-8"))
        if values.pop("format") != 1:
            raise ValueError("its format is newer than this code")
        machine = from_json(Machine, values.pop("machine"))
        rows, references = values.pop("rows"), values.pop("references")
        for kept in (*rows, *references):
            _bring_up_to_date(kept["cell"])
        rows = from_json(tuple[Measurement, ...], rows)
        references = {from_json(Cell, r["cell"]): tuple(r["logits"]) for r in references}
        return Result(machine=machine, rows=rows, references=references, **values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"'{Path(file).name}' is no sweep that can be read. Choose another. ({error})") from error


def _bring_up_to_date(cell: dict[str, Any]) -> None:
    """Give a cell the fields of today: at first it said whether it was compiled, and there was no third way to run."""
    if "compiled" in cell:
        compiled = cell.pop("compiled")
        if not isinstance(compiled, bool) or "execution" in cell:
            raise ValueError(f"compiled={compiled!r} is neither yes nor no")
        cell["execution"] = "compiled" if compiled else "plain"


def list_results(*folders: str | Path) -> list[Result]:
    """Every readable result in these folders, newest first; folders that do not exist hold none."""
    found = [result for folder in folders for result in readable(folder, SUFFIX, _load)]
    return sorted(sorted(found, key=lambda r: r.id), key=lambda r: r.created, reverse=True)


@lru_cache(maxsize=512)  # more than there are usually: a cache that is too small for one listing is none
def _load(file: Path, mtime_ns: int, size: int) -> Result:
    """`load`, once for each state of a file."""
    return load(file)


def known_latencies(results: Sequence[Result], machine: Machine) -> dict[Cell, float]:
    """What a machine has measured before, with the same versions and while it was quiet: cell → ms, the newest."""

    def what(of: Machine) -> tuple[object, ...]:
        return of.device_name, of.threads, of.platform, of.versions

    known: dict[Cell, float] = {}
    for result in sorted(results, key=lambda r: r.created, reverse=True):
        if what(result.machine) == what(machine) and not result.busy:
            for row in result.rows:
                if row.latency and row.sound and not row.caveats:
                    known.setdefault(row.cell, row.latency.median)
    return known


def find_ratio_of(row: Measurement, baseline: Measurement) -> Ratio | None:
    """How many times as fast a row's cell is as another of its sweep, by the rounds that have warm calls of both.

    Returns:
        The median of the rounds' ratios and its interval; None where both are warm in fewer rounds than tell one.
    """
    ours, theirs = (_by_round(r) for r in (row, baseline))
    return find_ratio([theirs[n] / ours[n] for n in sorted(ours.keys() & theirs.keys())], SHORT)


def _by_round(row: Measurement) -> dict[int, float]:
    """The warm rounds' medians by number; none where numbers repeat: version 0.1.0 did not keep any."""
    warm = [r for r in row.latency.rounds if r.warm] if row.latency else []
    medians = {r.number: float(np.median(r.samples_ms)) for r in warm}
    return medians if len(medians) == len(warm) else {}


def _warm_medians(row: Measurement) -> list[float]:
    return row.latency.round_medians if row.latency and row.latency.warm else []


def memory_share(row: Measurement, baseline: Measurement) -> float | None:
    """A row's peak over another's; None if either was not found."""
    return row.memory.peak / baseline.memory.peak if row.memory and baseline.memory else None


@dataclass(frozen=True)
class Pair:
    """A cell that two sweeps measured.

    Args:
        ours, theirs: its rows.
        ratio: how many times as fast ours is; None where either has too few processes.
    """

    ours: Measurement
    theirs: Measurement
    ratio: Ratio | None

    @property
    def memory_share(self) -> float | None:
        """Our peak over theirs."""
        return memory_share(self.ours, self.theirs)


def compare(ours: Result, theirs: Result) -> list[Pair]:
    """Cells measured in both, in our order. Their processes ran at other times: a change of the machine is in the ratio."""
    other = {r.cell: r for r in theirs.rows if r.latency}
    pairs = [(r, other[r.cell]) for r in ours.rows if r.latency and r.cell in other]
    return [Pair(a, b, find_ratio_between(*map(_warm_medians, (b, a)))) for a, b in pairs]


@cache
def revision() -> str:
    """The git commit of the code that runs, with '+' if files differ from it; 'unknown' outside a repository."""

    def git(*words: str) -> str:
        here = Path(__file__).parent
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, timeout=5, check=True).stdout

    try:
        return git("rev-parse", "--short", "HEAD").strip() + "+" * bool(git("status", "--porcelain").strip())
    except (OSError, subprocess.SubprocessError):
        return "unknown"
