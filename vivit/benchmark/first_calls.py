"""What first calls took on this machine beyond the next ones, measured once and kept in a file. No torch is used.

A first call compiles or captures what the later ones of its process use.
"""

import json
import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from vivit.benchmark.cost import with_frames
from vivit.benchmark.measurement import Cell, Measurement
from vivit.benchmark.results import results_folder
from vivit.config import VivitConfig
from vivit.kept_files import keep_text
from vivit.machine import Machine
from vivit.records import from_json

FILE = "first-calls.json"
MOST = 1000  # that are kept; the oldest go first


@dataclass(frozen=True)
class FirstCall:
    """What a first call took. Args: seconds: beyond a later one, >= 0; date: the day, ISO 8601, UTC.

    Raises:
        ValueError: if seconds are negative or not finite, or the date is none.
    """

    seconds: float
    date: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise ValueError(f"seconds={self.seconds} must be finite and not negative")
        date.fromisoformat(self.date)


def known(machine: Machine, config: VivitConfig, cell: Cell) -> FirstCall | None:
    """What is known of a cell's first call.

    Args:
        machine: what it would run on.
        config: the shape of its checkpoint; another of the same shape is no other question.
        cell: what would run.
    """
    return recall(machine.device_name, machine.versions.get("torch", ""), config, cell)


def recall(device_name: str, torch_version: str, config: VivitConfig, cell: Cell) -> FirstCall | None:
    """The same for who has no `Machine` at hand. Args: as `keep`'s."""
    return _read().get(_key(device_name, torch_version, config, cell)) if cell.prepares else None


def known_seconds(machine: Machine, config: VivitConfig, cells: Iterable[Cell]) -> dict[Cell, float]:
    """The seconds of those cells of one checkpoint that are known, as `vivit.benchmark.sweep.Sweep` takes them."""
    found = {cell: known(machine, config, cell) for cell in cells}
    return {cell: call.seconds for cell, call in found.items() if call}


def keep(device_name: str, torch_version: str, config: VivitConfig, cell: Cell, seconds: float) -> None:
    """Keep what a cell's first call took beyond a later one, unless it is known or the folder cannot be written to.

    Args:
        device_name, torch_version: as `Machine` has them.
        config, cell: as `known`'s.
        seconds: what is not above 0, as of calls that others disturbed, is not kept.
    """
    calls, key = _read(), _key(device_name, torch_version, config, cell)
    if not cell.prepares or key in calls or not 0 < seconds < math.inf:
        return
    calls[key] = FirstCall(seconds, datetime.now(UTC).date().isoformat())
    text = json.dumps({name: asdict(call) for name, call in list(calls.items())[-MOST:]}, indent=1, allow_nan=False)
    with suppress(OSError):
        keep_text(_file(), text + "\n")


def keep_row(device_name: str, torch_version: str, config: VivitConfig, row: Measurement) -> None:
    """The same of what a sweep's process found. Args: row: of one round; nothing is kept of a cold one."""
    if row.latency and row.latency.warm:
        keep(device_name, torch_version, config, row.cell, (row.latency.first_ms - row.latency.median) / 1e3)


def said(call: FirstCall | None, cell: Cell, often: str) -> str:
    """What there is to say of a cell's first call, in one clause; '' where it makes nothing.

    Args:
        call: what is known of it.
        often: when there is a first call, 'once whenever the model is loaded'.
    """
    if not cell.prepares:
        return ""
    what = "compiling" if cell.compiles else "capturing"
    if call:
        return f"{what} took {_seconds(call.seconds)} here on {call.date}"
    usual = "seconds to a minute" if cell.compiles else "less than a second"
    return f"{what} takes {usual}, {often}, not measured here yet"


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.1f} s" if seconds >= 0.1 else f"{1e3 * seconds:.0f} ms"


def _file() -> Path:
    return results_folder() / FILE


def _read() -> dict[str, FirstCall]:
    """Everything that is kept; nothing of a file that is broken, or another's."""
    try:
        values: Any = json.loads(_file().read_text(encoding="utf-8"))
        return from_json(dict[str, FirstCall], values)
    except (OSError, ValueError, RecursionError):
        return {}


def _key(device_name: str, torch_version: str, config: VivitConfig, cell: Cell) -> str:
    shape = config if cell.num_frames is None else with_frames(config, cell.num_frames)
    sizes = (
        *(*shape.clip_size, shape.num_channels, *shape.tubelet_size, shape.hidden_size, shape.num_hidden_layers),
        *(shape.num_attention_heads, shape.intermediate_size, shape.hidden_act, shape.qkv_bias, shape.num_labels),
    )
    what = (cell.attention, cell.precision, cell.execution, cell.batch_size, cell.mode)
    # Model 1 has the key that it had before there were others.
    factorised = (shape.factorization, shape.num_temporal_layers, shape.attention_order)
    others = factorised if shape.factorization != "none" else ()
    return json.dumps([device_name, torch_version, *sizes, *what, *others])
