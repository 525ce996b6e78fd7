"""Evaluations of several cells on the same clips, kept on disk: one JSON file each, with every record. No torch is used."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from vivit.benchmark.families import model_names
from vivit.csv_lines import csv_lines
from vivit.errors import UserError
from vivit.evaluate.journal import Evaluation
from vivit.evaluate.records import Asked, Record
from vivit.kept_files import keep_text, readable
from vivit.records import from_json

SUFFIX = ".evaluation.json"
FORMAT = 1
REFERENCE = ("eager", "float32", "plain")  # attention, precision and execution that others are compared with


@dataclass(frozen=True)
class Times:
    """Where the wall time went, in seconds.

    Args:
        total: from the first clip that was asked for to the last answer.
        clips: of it, in which the models waited for clips to be downloaded and read.
        others: in which they waited for other visitors' work.
        model: in passes.
    """

    total: float = 0.0
    clips: float = 0.0
    others: float = 0.0
    model: float = 0.0

    @property
    def rest(self) -> float:
        """Loading models, and moving pixels between processes."""
        return max(0.0, self.total - self.clips - self.others - self.model)


@dataclass(frozen=True)
class Kept:
    """Cells that classified the same clips.

    Args:
        evaluations: one a cell, the one that was asked for first.
        errors: why each ended early, a sentence; '' if it did not.
        times: where the time went.
        dataset, commit: of the Hub, whose files the clips are; '' where they are others.
        created: ISO 8601, UTC.
        id: the file's name without `SUFFIX`.
    """

    evaluations: tuple[Evaluation, ...]
    errors: tuple[str, ...]
    times: Times = field(default_factory=Times)
    dataset: str = ""
    commit: str = ""
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    id: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}")

    @property
    def names(self) -> list[str]:
        """What tells the cells apart."""
        return cell_names([evaluation.asked for evaluation in self.evaluations])

    @property
    def clips(self) -> int:
        """How many there are to classify."""
        return self.evaluations[0].source.clips

    @property
    def done(self) -> int:
        """How many clips the cell that has come furthest has a record of."""
        return max(len(evaluation.records) for evaluation in self.evaluations)

    @property
    def whole(self) -> bool:
        """Whether each cell has a record of every clip; a cell that ended early has not."""
        return all(len(evaluation.records) == self.clips for evaluation in self.evaluations)

    @property
    def reference(self) -> int:
        """The place of the cell that others are compared with: eager float32, else the first."""
        kinds = [(e.asked.attention, e.asked.precision, e.asked.execution) for e in self.evaluations]
        return kinds.index(REFERENCE) if REFERENCE in kinds else 0


def cell_names(cells: Sequence[Asked]) -> list[str]:
    """What tells cells apart: 'sdpa float16', with the model in front where there are several."""
    models = model_names(asked.model for asked in cells)
    return [
        ", ".join(
            [
                *filter(None, [models[asked.model]]),
                f"{asked.attention} {asked.precision}",
                *[asked.execution] * (asked.execution != "plain"),
                *[f"{asked.views} views"] * (asked.views != "1x1"),
            ]
        )
        for asked in cells
    ]


def evaluation_file(folder: str | Path, id: str) -> Path:
    """The file of kept evaluations. Args: id: not checked; a stranger's may only be one that `list_kept` gave."""
    return Path(folder) / f"{id}{SUFFIX}"


def save(kept: Kept, folder: str | Path) -> Path:
    """Write evaluations, in the place of an earlier state of them, and return their file."""
    file = evaluation_file(folder, kept.id)
    keep_text(file, as_json(kept) + "\n")
    return file


def as_json(kept: Kept, indent: int | None = None) -> str:
    """Kept evaluations as JSON. Args: indent: spaces of a level; None for one line."""
    # Without copies, which `asdict` makes of everything: there may be 100,000 records.
    return json.dumps({"format": FORMAT, **vars(kept)}, default=vars, allow_nan=False, indent=indent)


def load(file: str | Path) -> Kept:
    """Read kept evaluations.

    Raises:
        UserError: if the file is missing, damaged or of another format.
    """
    try:
        values = json.loads(Path(file).read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT:
            raise ValueError("its format is newer than this code")
        kept = from_json(Kept, values)
        if not kept.evaluations or len(kept.errors) != len(kept.evaluations):
            raise ValueError("it has no cell")
        return replace(kept, id=Path(file).name.removesuffix(SUFFIX))  # a copy is another, and is deleted as such
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"'{Path(file).name}' is no evaluation that can be read. Choose another. ({error})") from error


def list_kept(folder: str | Path) -> list[Kept]:
    """What every readable file of a folder holds, newest first; a folder that does not exist holds none."""
    return sorted(readable(folder, SUFFIX, _load), key=lambda kept: kept.created, reverse=True)


@lru_cache(maxsize=64)
def _load(file: Path, mtime_ns: int, size: int) -> Kept:
    """`load`, once for each state of a file."""
    return load(file)


def as_csv(kept: Kept) -> str:
    """A line a clip and cell."""
    rows = [
        {"cell": name, "model": evaluation.asked.model, **_row(record, evaluation.id2label)}
        for name, evaluation in zip(kept.names, kept.evaluations, strict=True)
        for record in evaluation.records
    ]
    return csv_lines([rows[0] if rows else ["cell"], *(row.values() for row in rows)])


def _row(record: Record, labels: Mapping[int, str]) -> dict[str, Any]:
    best = record.top[0] if record.top else None
    return {
        "path": record.path,
        "label": record.label,
        "class": labels[record.target],
        "answer": best.label if best else "",
        "probability": best.score if best else "",
        "rank": record.rank or "",
        "probability_of_class": "" if record.error else record.score,
        "familiar": "" if record.familiar is None else record.familiar,
        "error": record.error,
        "decode_seconds": record.decode_seconds,
        "model_seconds": record.model_seconds,
    }
