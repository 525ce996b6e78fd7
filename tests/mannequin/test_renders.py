"""Rendered labelled clips: those that the evaluation measures on, made once."""

from pathlib import Path

import pytest
import torch

from mannequin import renders
from mannequin.actions import LABELS
from mannequin.renders import evaluation_seeds
from vivit.errors import UserError
from vivit.evaluate.sources import find_clips
from vivit.video import probe


def test_they_are_those_of_the_evaluation_whatever_their_number() -> None:
    for seed, clips in ((1, 100), (3, 40)):
        listed = renders.planned(clips, seed)
        assert [clip["label"] for clip in listed] == [LABELS[k % 36] for k in range(clips)]
        for label in LABELS:
            assert [clip["seed"] for clip in listed if clip["label"] == label] == evaluation_seeds(label, clips, seed)
        assert renders.planned(10, seed) == listed[:10]


@pytest.mark.full
def test_a_library_asks_for_them_as_a_program_and_they_are_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVIT_RESULTS", str(tmp_path))

    def cancel(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_clips("renders:1:5", progress=cancel)
    assert not [*tmp_path.rglob("*.mp4")]
    told: list[tuple[float, str]] = []
    found = find_clips("renders:1:5", progress=lambda *note: told.append(note))
    assert found.name == "renders:1:5" and [label for _, label in found.clips] == [LABELS[0]]
    assert told[0] == (0.0, "0 of 1 clips rendered")
    clip = Path(found.place(found.clips[0][0]))
    assert (probe(clip).width, probe(clip).height) == (340, 256)
    before = clip.stat()

    def no_frames(*_: object, **__: object) -> torch.Tensor:
        raise AssertionError("it is there")

    monkeypatch.setattr(renders, "render_video", no_frames)
    renders.render_missing(tmp_path / "renders" / "5", 1, 5, "cpu")
    assert (clip.stat().st_mtime_ns, clip.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    # The process that asked has ended: nobody waits for more.
    with pytest.raises(SystemExit, match="has ended"):
        renders.render_missing(tmp_path / "renders" / "5", 2, 5, "cpu", parent=-1)
    assert [*(tmp_path / "renders" / "5").glob("*/*.mp4")] == [clip]
    # What other code has made is not used.
    monkeypatch.setattr(renders, "made_by", lambda: "other")
    with pytest.raises(AssertionError, match="it is there"):
        renders.render_missing(tmp_path / "renders" / "5", 1, 5, "cpu")
    assert not clip.exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VIVIT_RESULTS", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot be rendered in"):
        find_clips("renders:1")
