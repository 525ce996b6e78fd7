"""Which files a browser plays as they are, and what is said of the others."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ui import clips, player
from ui.chosen import ChosenClip
from ui.player import why_not_played


@dataclass(frozen=True)
class File:
    container: str = "mp4"
    codec: str = "h264"
    plain: bool = True
    width: int = 32
    height: int = 24


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (File(), ""),
        (File("webm", "vp9"), ""),
        (File("webm", "h264"), "This player takes no h264 in webm"),
        (File("avi", "mpeg4"), "This player takes no mpeg4 in avi"),
        (File(plain=False), "This player would show the film as it is stored, not as the model gets it"),
        (File("avi", "mpeg4", plain=False), "This player takes no mpeg4 in avi"),
    ],
)
def test_what_a_browser_cannot_play_is_said(tmp_path: Path, stored: File, said: str) -> None:
    (tmp_path / "film").write_bytes(b"small")
    assert why_not_played(str(tmp_path / "film"), stored, "film") == said


def test_a_large_file_is_not_played_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "PLAYED_WHOLE_BYTES", 5)
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").write_bytes(b"123456")
    assert [why_not_played(str(tmp_path / name), File(), "clip") for name in "ab"] == ["", "The clip is large"]


@pytest.mark.parametrize("stored", [File(), File("avi", "mpeg4")])
def test_a_clip_that_is_gone_is_said_to_be(tmp_path: Path, stored: File, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(clips, "st", SimpleNamespace(info=lambda text, **_: said.append(text)))
    clips.play(ChosenClip(str(tmp_path / "gone"), "gone", "gone"), cast(Any, SimpleNamespace(result=stored)))
    assert len(said) == 1 and "no longer there" in said[0]
