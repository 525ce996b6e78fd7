"""Options of a call: what they reach, and what is refused before anything is read."""

import re
from pathlib import Path
from typing import Any

import pytest

from vivit import (
    VideoClassificationPipeline,
    pipeline,
)
from vivit.video import VideoError, VideoLimits


def test_limits_and_progress_reach_the_reader(
    checkpoint: Path, classify: VideoClassificationPipeline, clip_path: Path
) -> None:
    with pytest.raises(VideoError, match="10"):
        classify(clip_path, limits=VideoLimits(max_frames=10))
    told: list[float] = []
    limited = pipeline("video-classification", checkpoint, progress=told.append)
    limited([clip_path, clip_path], num_workers=1)
    assert told and all(0 <= fraction <= 1 for fraction in told)


@pytest.mark.parametrize(
    ("option", "meant"),
    [("topk", "top_k"), ("frame_rate", "frame_sampling_rate"), ("batchsize", "batch_size"), ("devices", "device")],
)
def test_an_unknown_option_is_named_with_the_nearest(
    checkpoint: Path, clip_path: Path, option: str, meant: str
) -> None:
    given: dict[str, Any] = {option: 1}
    with pytest.raises(ValueError, match=f"'{option}', the nearest being '{meant}'"):
        pipeline("video-classification", checkpoint, **given)
    if meant != "device":  # which is no option of the call
        with pytest.raises(ValueError, match=f"'{option}', the nearest being '{meant}'"):
            pipeline("video-classification", checkpoint)(clip_path, **given)


@pytest.mark.parametrize(
    "option",
    [
        {"top_k": 0},
        {"top_k": 2.5},
        {"top_k": True},
        {"num_frames": 0},
        {"frame_sampling_rate": 0},
        {"stride": 0},
        {"start": -1},
        {"batch_size": 0},
        {"num_workers": -1},
        {"function_to_apply": "argmax"},
        {"sampling": "random"},
        {"geometry": "sideways"},
        {"geometry": ["stored"]},
        {"limits": 3},
        {"progress": 3},
    ],
    ids=str,
)
def test_an_impossible_option_is_refused_before_anything_is_read(checkpoint: Path, option: dict[str, Any]) -> None:
    (name, value) = next(iter(option.items()))
    for attempt in (
        lambda: pipeline("video-classification", "no/such-checkpoint", **option),
        lambda: pipeline("video-classification", checkpoint)("no such clip", **option),
    ):
        with pytest.raises(ValueError, match=rf"{name}.*{re.escape(str(value))}"):
            attempt()
