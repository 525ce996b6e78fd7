"""`benchmarks.timeline`: both sides get the same windows, and are compared only if they answer alike."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import timeline
from vivit.timeline.whole import WindowClassifier
from vivit.timeline.windows import Batch

FEW = ["--seconds", "3", "--size", "64", "48", "--window", "1.6", "--stride", "0.4"]
# As where PyAV is not installed: it can neither be imported nor found by `find_spec`.
WITHOUT = """
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *a, **k: None if name.partition(".")[0] == "av" else find(name, *a, **k)
from benchmarks import timeline
options = timeline.parse(sys.argv[1:])
print(*timeline.as_markdown(timeline.measure(options)), sep="\\n")
"""


def test_every_contestant_does_all_windows_in_every_round(classifier: Path) -> None:
    found = timeline.measure(timeline.parse([*FEW, "--model", str(classifier), "--batch-size", "1", "3"]))
    # 3 s at 25 a second, a picture every 0.2 s: 15 of them, in windows of 8 from every second one, and one more at the end.
    assert found["agreed"] == found["agreed"] | {"windows": 5, "same_top1": 10, "of": 10}
    assert found["agreed"]["largest_difference"] < timeline.EXACT
    rivals = ["pipeline, from the file", "pipeline, of decoded frames"]
    names = [f"timeline, {what}, {n} at once" for what in ("from the file", "of decoded frames") for n in (1, 3)]
    assert [row["name"] for row in found["rows"]] == rivals + names
    for row in found["rows"]:
        assert len(row["seconds"]) == 6 and min(row["seconds"]) > 0
        if row["name"] in names:
            assert 0 <= row["model_waited"] <= 1 and 0 <= row["decoder_waited"] <= 1
            assert list(row["times_as_many_as"]) == rivals
    first, last = found["rows"][0], found["rows"][-1]
    ratios = sorted(a / b for a, b in zip(first["seconds"], last["seconds"], strict=True))
    told = last["times_as_many_as"]["pipeline, from the file"]
    assert (told["low"], told["high"]) == (ratios[0], ratios[-1]) and told["low"] <= told["value"] <= told["high"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    text = "\n".join(timeline.as_markdown(found))
    assert all(f"| {row['name']} |" in text for row in found["rows"]) and found["method"] in text


def test_other_answers_are_not_compared(classifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = WindowClassifier.__call__

    def inverted(self: WindowClassifier, batch: Batch) -> object:
        return usual(self, Batch(np.invert(batch.frames), batch.windows))

    monkeypatch.setattr(WindowClassifier, "__call__", inverted)
    with pytest.raises(SystemExit, match="no comparison"):
        timeline.measure(timeline.parse([*FEW, "--model", str(classifier), "--arrays"]))


@pytest.mark.full
def test_without_pyav_frames_are_given(classifier: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, *FEW, "--model", str(classifier)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert "frames in memory" in done.stdout and "timeline, of decoded frames" in done.stdout
    assert "from the file" not in done.stdout
