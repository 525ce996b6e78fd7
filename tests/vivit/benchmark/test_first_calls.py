"""First calls: what they took is kept once, found again by all that it depends on, and no file can break it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.vivit.benchmark.children import MACHINE
from vivit import VivitConfig
from vivit.benchmark.first_calls import FILE, FirstCall, keep, keep_row, known, known_seconds, said
from vivit.benchmark.measurement import Cell, Latency, Measurement, Round
from vivit.names import FACTORIZATIONS

CONFIG = VivitConfig()
CELL = Cell("m", execution="compiled")
PLACE = MACHINE.device_name, MACHINE.versions["torch"]


def today() -> str:
    """Asked for when it is needed: a day may end while the tests run."""
    return datetime.now(UTC).date().isoformat()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIVIT_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


def test_it_is_kept_once_and_found_by_its_shape(folder: Path) -> None:
    assert known(MACHINE, CONFIG, CELL) is None
    keep(*PLACE, CONFIG, CELL, 17.25)
    keep(*PLACE, CONFIG, CELL, 3.0)
    assert known(MACHINE, CONFIG, CELL) == FirstCall(17.25, today())
    assert known(MACHINE, replace(CONFIG), replace(CELL, checkpoint="another of that shape")) == FirstCall(
        17.25, today()
    )
    assert [file.name for file in folder.iterdir()] == [FILE], "nothing half written is left"


@pytest.mark.parametrize(
    "other",
    [
        {"attention": "eager"},
        {"precision": "bfloat16"},
        {"batch_size": 2},
        {"execution": "captured"},
        {"mode": "training"},
        {"num_frames": 8},
    ],
)
def test_another_cell_is_another_question(other: dict[str, str]) -> None:
    keep(*PLACE, CONFIG, CELL, 17.0)
    assert known(MACHINE, CONFIG, replace(CELL, **other)) is None  # type: ignore[arg-type]


def test_another_machine_version_or_shape_too() -> None:
    keep(*PLACE, CONFIG, CELL, 17.0)
    assert known(replace(MACHINE, device_name="another"), CONFIG, CELL) is None
    assert known(replace(MACHINE, versions=MACHINE.versions | {"torch": "9"}), CONFIG, CELL) is None
    assert known(MACHINE, replace(CONFIG, num_hidden_layers=3), CELL) is None


def test_every_factorisation_has_a_first_call_of_its_own_and_that_of_model_1_the_key_it_always_had(
    folder: Path,
) -> None:
    sizes = [32, 224, 224, 3, 2, 16, 16, 768, 12, 12, 3072, "gelu_fast", True, 2]
    key = json.dumps([*PLACE, *sizes, "sdpa", "float32", "compiled", 1, "inference"])
    folder.mkdir()
    (folder / FILE).write_text(json.dumps({key: {"seconds": 17.0, "date": "2026-01-01"}}))
    assert known(MACHINE, CONFIG, CELL) == FirstCall(17.0, "2026-01-01")
    others = [replace(CONFIG, factorization=name) for name in FACTORIZATIONS if name != "none"]
    others += [replace(others[0], num_temporal_layers=1), replace(others[1], attention_order="space_time")]
    for seconds, config in enumerate(others, 1):
        assert known(MACHINE, config, CELL) is None
        keep(*PLACE, config, CELL, seconds)
    found = [known(MACHINE, config, CELL) for config in others]
    assert [call and call.seconds for call in found] == [1, 2, 3, 4, 5]


def test_only_what_makes_something_has_a_first_call(folder: Path) -> None:
    keep(*PLACE, CONFIG, Cell("m"), 17.0)
    assert not folder.exists() and known(MACHINE, CONFIG, Cell("m")) is None
    flex = Cell("m", "flex_attention")
    keep(*PLACE, CONFIG, flex, 9.0)
    assert known_seconds(MACHINE, CONFIG, [flex, CELL, Cell("m")]) == {flex: 9.0}


def test_a_row_gives_what_its_first_call_took_beyond_the_next() -> None:
    def row(warm: bool) -> Measurement:
        return Measurement(CELL, "ok", latency=Latency((Round(12_100.0, (100.0, 90.0, 110.0), warm),)))

    keep_row(*PLACE, CONFIG, row(warm=False))
    keep_row(*PLACE, CONFIG, Measurement(CELL, "failed"))
    assert known(MACHINE, CONFIG, CELL) is None
    keep_row(*PLACE, CONFIG, row(warm=True))
    assert known(MACHINE, CONFIG, CELL) == FirstCall(12.0, today())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"a": 1}',
        '{"a": {"seconds": -1, "date": "2026-11-29"}}',
        '{"a": {"seconds": 1, "date": "now"}}',
        "[",
    ],
)
def test_a_file_that_is_no_such_is_nothing_and_is_replaced(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / FILE).write_text(text * (100_000 if text == "[" else 1))
    assert known(MACHINE, CONFIG, CELL) is None
    keep(*PLACE, CONFIG, CELL, 17.0)
    assert (
        known(MACHINE, CONFIG, CELL) == FirstCall(17.0, today()) and len(json.loads((folder / FILE).read_text())) == 1
    )


def test_a_folder_that_cannot_be_written_to_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIVIT_RESULTS", str(tmp_path / "file" / "results"))
    keep(*PLACE, CONFIG, CELL, 17.0)
    assert known(MACHINE, CONFIG, CELL) is None


def test_what_is_said() -> None:
    often = "once whenever the model is loaded"
    assert said(None, Cell("m"), often) == ""
    assert said(None, CELL, often) == (
        "compiling takes seconds to a minute, once whenever the model is loaded, not measured here yet"
    )
    assert said(FirstCall(17.4, "2026-11-29"), CELL, often) == "compiling took 17 s here on 2026-11-29"
    captured = replace(CELL, execution="captured")
    assert said(None, captured, often).startswith("capturing takes less than a second, once whenever")
    assert said(FirstCall(0.043, "2026-11-29"), captured, often) == "capturing took 43 ms here on 2026-11-29"
