"""The window that a checkpoint knows."""

import json
import shutil
from pathlib import Path

import pytest

from vivit.checkpoint import open_checkpoint
from vivit.hub import ASSETS, KINETICS_CHECKPOINT
from vivit.timeline.trained import TrainedWindow, trained_window

MANNEQUINS = ["vivit-mannequin", "vivit-mannequin-fe"]


@pytest.mark.parametrize("name", MANNEQUINS)
def test_the_embedded_checkpoints_say_so_and_their_clips_are_so_long(name: str) -> None:
    window = trained_window(open_checkpoint(name, weights=False))
    assert window == TrainedWindow(6.5, True)
    assert window.outside(6.5) == window.outside(6.52) == ""
    said = window.outside(2.56)
    assert "2.56 s is outside what this checkpoint knows" in said and "was trained on clips of about 6.5 s" in said


def altered(tmp_path: Path, **changes: object) -> TrainedWindow:
    folder = tmp_path / "checkpoint"
    shutil.copytree(Path(ASSETS, "vivit-mannequin"), folder, dirs_exist_ok=True)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return trained_window(open_checkpoint(str(folder), weights=False))


@pytest.mark.parametrize("said", [None, "6.5", True, 0, -3, [6.5], float("nan"), float("inf")])
def test_what_is_no_length_is_not_believed(tmp_path: Path, said: object) -> None:
    window = altered(tmp_path, clip_seconds=said)
    assert window.seconds == pytest.approx(32 * 2 / 25) and not window.stated
    assert window.outside(2.56) == window.assumed != "" and "does not say" in window.assumed
    assert "is taken to have been trained" in window.outside(6.5)


def test_a_length_of_its_own_counts(tmp_path: Path) -> None:
    assert altered(tmp_path, clip_seconds=4) == TrainedWindow(4.0, True)


def test_the_published_checkpoints_window_is_the_papers(tmp_path: Path) -> None:
    """32 frames, every other one of 25 a second: 2.56 s."""
    from dataclasses import replace

    plain = open_checkpoint("vivit-mannequin", weights=False)
    extra = {key: value for key, value in plain.config.extra.items() if key != "clip_seconds"}
    config = replace(plain.config, extra=extra)
    for name in (KINETICS_CHECKPOINT, f"{KINETICS_CHECKPOINT}@main"):
        assert trained_window(replace(plain, name=name, config=config)) == TrainedWindow(2.56, True)
    assert trained_window(replace(plain, name="somebody/else", config=config)) == TrainedWindow(2.56, False)
