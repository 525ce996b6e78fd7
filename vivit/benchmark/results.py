"""Sweeps kept on disk: one JSON file each, with every raw sample and a fingerprint of the machine. No torch is used."""

import json
import os
import secrets
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from vivit.benchmark.measurement import Agreement, Cell, Measurement, agreement
from vivit.benchmark.sweep import Sweep
from vivit.errors import UserError
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

    def agreement(self, row: Measurement) -> Agreement | None:
        """A row's answers beside those of eager float32; None where there are not both."""
        reference = self.references.get(row.cell.reference)
        return agreement(row.logits, reference) if row.logits and reference else None

    def matrix_share(self, row: Measurement) -> float | None:
        """A row's arithmetic a second as a share of what matrix products alone reach on the machine."""
        rate = self.machine.flops_per_second.get(row.cell.precision)
        return row.flops_per_second / rate if row.flops_per_second and rate else None


def snapshot(sweep: Sweep, title: str = "", clip: str = "", missing: str = "", **identity: str) -> Result:
    """What a sweep has so far.

    Args:
        sweep, title, clip: as in `Result`.
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


def save(result: Result, folder: str | Path) -> Path:
    """Write a result, in the place of an earlier state of it, and return its file."""
    file = Path(folder) / f"{result.id}{SUFFIX}"
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(to_dict(result), allow_nan=False)
    whole = file.with_suffix(".part")
    whole.write_text(text + "\n", encoding="utf-8")
    whole.replace(file)  # a reader never sees half of one
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
        rows = from_json(tuple[Measurement, ...], values.pop("rows"))
        references = {from_json(Cell, r["cell"]): tuple(r["logits"]) for r in values.pop("references")}
        return Result(machine=machine, rows=rows, references=references, **values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"'{Path(file).name}' is no sweep that can be read. Choose another. ({error})") from error


def list_results(*folders: str | Path) -> list[Result]:
    """Every readable result in these folders, newest first; folders that do not exist hold none."""
    found = []
    for folder in folders:
        for file in sorted(Path(folder).glob(f"*{SUFFIX}")):
            try:
                state = file.stat()
                found.append(_load(file, state.st_mtime_ns, state.st_size))
            except (OSError, UserError):
                continue  # gone, of a later version, or damaged: no reason to hide the others
    return sorted(sorted(found, key=lambda r: r.id), key=lambda r: r.created, reverse=True)


@lru_cache(maxsize=512)  # more than there are usually: a cache that is too small for one listing is none
def _load(file: Path, mtime_ns: int, size: int) -> Result:
    """`load`, once for each state of a file."""
    return load(file)


def speedup(row: Measurement, baseline: Measurement) -> dict[str, float] | None:
    """A row beside a baseline, by the documentation's definitions and by plainer ones; None if either was not measured.

    Returns:
        speedup_percent and memory_saved_percent, (baseline / row - 1) * 100; times_faster, baseline / row;
        less_memory_percent, (1 - row / baseline) * 100.
    """
    if not (row.latency and baseline.latency and row.memory and baseline.memory):
        return None
    time, space = baseline.latency.median / row.latency.median, baseline.memory.peak / row.memory.peak
    return {
        "speedup_percent": (time - 1) * 100,
        "memory_saved_percent": (space - 1) * 100,
        "times_faster": time,
        "less_memory_percent": (1 - 1 / space) * 100,
    }


def baseline_row(
    result: Result, cell: Cell, attention: str = "eager", precision: str | None = None
) -> Measurement | None:
    """What a cell is compared with: the same one with another attention, and with another precision if one is named."""
    wanted = replace(cell, attention=attention, precision=precision or cell.precision)
    return next((r for r in result.rows if r.cell == wanted), None)


def compare(ours: Result, theirs: Result) -> list[dict[str, Any]]:
    """Cells measured in both, side by side.

    Returns:
        cell; latency_ms and peak_bytes, each (ours, theirs); times_faster: theirs over ours.
    """
    other = {r.cell: r for r in theirs.rows}
    pairs: Iterable[tuple[Measurement, Measurement]] = ((r, other[r.cell]) for r in ours.rows if r.cell in other)
    return [
        {
            "cell": a.cell,
            "latency_ms": (a.latency.median, b.latency.median),
            "peak_bytes": (a.memory.peak if a.memory else None, b.memory.peak if b.memory else None),
            "times_faster": b.latency.median / a.latency.median,
        }
        for a, b in pairs
        if a.latency and b.latency
    ]


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
