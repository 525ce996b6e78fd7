"""`benchmarks.rivals`: contestants in processes of their own, what becomes of those that cannot take part, and the table."""

import json
import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks import contest, contestants, rivals
from benchmarks.contest import Ended, Process
from benchmarks.contestants import CONTESTANTS, Contestant
from benchmarks.in_turn import as_text
from benchmarks.rivals import Agreed, Found, Plan, Row
from benchmarks.runtimes import Job
from vivit.benchmark.ratios import Ratio

EXACT = 1e-4  # of a standard deviation of the logits: float32 in another order
LOST = "no-such-package"


def plan(model: Path | str, *names: str, strict: bool = False) -> Plan:
    return Plan(names, str(model), "cpu", "float32", batch_size=2, rounds=6, clips=2, threads=1, seed=0, strict=strict)


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a contestant whose package is missing."""
    monkeypatch.setitem(contestants.PACKAGES, "Lost", (LOST,))
    monkeypatch.setitem(CONTESTANTS, "lost", Contestant("ours", "Lost", "float32"))
    return "lost"


@pytest.mark.full
def test_transformers_and_ours_are_timed_and_agree_and_a_missing_package_is_a_row(classifier: Path, lost: str) -> None:
    found = rivals.run(plan(classifier, "transformers", "ours", lost))
    theirs, ours, missing = found.rows
    for row in (theirs, ours):
        assert not row.reason
        assert len(row.slots_ms) == len(row.spun_ms) == len(row.idle_ms) == 6
        assert min(row.slots_ms) > 0 and row.loaded["weights"] > 0
        assert row.loaded["versions"]["torch"]
        if Path("/proc/self/clear_refs").exists():
            assert row.loaded["peak"] > row.loaded["weights"]
        assert row.agreed and (row.agreed.same, row.agreed.clips) == (2, 2) and row.agreed.difference < EXACT
    assert theirs.loaded["weights"] == ours.loaded["weights"], "the same weights"
    assert LOST in missing.reason and "pip install" in missing.reason and not missing.slots_ms
    ratio = rivals.ratio_to(ours, theirs)
    ratios = sorted(mine / base for mine, base in zip(ours.slots_ms, theirs.slots_ms, strict=True))
    assert ratio and (ratio.low, ratio.high) == pytest.approx((ratios[0], ratios[-1]))
    text = "\n".join(rivals.as_markdown(found))
    assert f"not timed: {missing.reason}" in text and as_text(ratio) in text
    assert all(row.contestant.title in text for row in found.rows)
    told = json.loads(json.dumps(rivals.as_json(found), allow_nan=False))
    assert [row["slots_ms"] for row in told["rows"]] == [theirs.slots_ms, ours.slots_ms, []]
    assert told["rows"][1]["ratios"]["transformers"]["value"] == ratio.value


def test_what_was_asked_for_by_name_and_cannot_be_is_no_row(classifier: Path, lost: str) -> None:
    with pytest.raises(Ended, match=f"lost: {LOST} not installed"):
        rivals.run(plan(classifier, lost, strict=True))


def test_what_goes_wrong_in_a_process_is_said_and_the_process_goes_on(tmp_path: Path) -> None:
    job = Job(replace(CONTESTANTS["ours"], precision="float32"), str(tmp_path), "cpu", 1, 1)
    process = Process(job)
    try:
        for _ in range(2):
            with pytest.raises(Ended, match=r"^HubError: .*weights"):
                process.ask("load")
        with pytest.raises(Ended, match="KeyError: 'dance'"):
            process.ask("dance")
        process._process.kill()
        with pytest.raises(Ended, match="its process ended with status -9"):
            process.ask("load")
    finally:
        process.end()


def test_the_clips_have_to_be_there(classifier: Path) -> None:
    with pytest.raises(Ended, match="--clips wants a number from 1 to 28, not 29"):
        rivals.run(replace(plan(classifier, "ours"), clips=29))


def test_agreement() -> None:
    reference = np.array([[0.0, 2.0, 4.0], [3.0, 0.0, -3.0]])
    assert rivals.compare_answers(reference.tolist(), reference) == Agreed(2, 2, 0.0)
    other = [[0.0, 2.0, 4.5], [0.0, 1.0, -3.0]]  # 0.5 off of 1.633; 3 off of 2.449, and another best
    agreed = rivals.compare_answers(other, reference)
    assert agreed and (agreed.same, agreed.clips) == (1, 2)
    assert agreed.difference == pytest.approx(3 / np.sqrt(6))
    assert rivals.compare_answers([[0.0, 2.0, 4.0], None], reference) is None


def test_ratios_are_of_times_within_rounds() -> None:
    base = Row("transformers", CONTESTANTS["transformers"], slots_ms=[100, 200, 100, 100, 100, 100])
    row = Row("ours", CONTESTANTS["ours"], slots_ms=[50, 100, 50, 80, 40, 50])
    assert rivals.ratio_to(row, base) == Ratio(0.5, 0.4, 0.8)
    assert rivals.ratio_to(row, row) is None and rivals.ratio_to(row, None) is None
    row.fail("it ended")
    assert rivals.ratio_to(row, base) is None


def test_all_but_those_as_installed_start_with_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in contest.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    usual = contest.environment(as_installed=False)
    assert usual["GLIBC_TUNABLES"] == contest.KEPT and usual["GOMP_SPINCOUNT"] == "10000"
    assert contest.environment(as_installed=True) == dict(os.environ)
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=0")
    assert contest.environment(as_installed=False)["GLIBC_TUNABLES"] == "glibc.malloc.check=0"
    assert "GLIBC_TUNABLES" not in contest.environment(as_installed=True)


def test_on_a_gpu_pytorchs_alone() -> None:
    assert {*contestants.usual("cpu")} > {"transformers", "ours", "onnxruntime", "openvino-int8"}
    assert all(not CONTESTANTS[name].artifact for name in contestants.usual("cuda"))
    assert "CPUs alone" in CONTESTANTS["openvino"].missing("cuda")


@pytest.mark.full
def test_every_rival_gives_the_same_answers(classifier: Path) -> None:
    """OpenVINO is installed for `make bench` alone; where it is not, that is what its rows say."""
    names = [name for name in contestants.usual("cpu") if CONTESTANTS[name].execution == "plain"]
    found = rivals.run(plan(classifier, *names))
    for row in found.rows:
        package = contestants.packages(row.contestant)[0]
        if find_spec(package) is None:
            assert package == "openvino" and row.reason.startswith("openvino")
            continue
        assert not row.reason, row.name
        bound = (
            EXACT if row.contestant.precision == "float32" else 1.0
        )  # what is rounded to 8 bit may differ, and is shown
        assert row.agreed and row.agreed.difference < bound, row.name


def test_found_has_every_row_by_name() -> None:
    rows = [Row(name, CONTESTANTS[name]) for name in ("ours", "openvino")]
    found = Found(plan("m"), rows, 0.0, machine=None)  # type: ignore[arg-type]
    assert found.base("openvino") is rows[1] and found.base("transformers") is None
