"""Which frames the sampling rules choose, against what the rules promise, transformers itself and the rules' own examples."""

import doctest
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from transformers.video_utils import VideoMetadata, default_sample_indices_fn

from vivit import video
from vivit.video import choose_indices
from vivit.video import sampling as sampling_room


@pytest.mark.parametrize("sampling", video.SAMPLING)
@pytest.mark.parametrize("total", [1, 2, 31, 32, 33, 300])
@pytest.mark.parametrize("stride", [1, 2, 5])
@pytest.mark.parametrize("num_frames", [1, 2, 32])
def test_every_rule_keeps_its_promise(sampling: str, total: int, stride: int, num_frames: int) -> None:
    start = total // 3
    indices = choose_indices(num_frames, total=total, sampling=sampling, stride=stride, start=start)
    assert len(indices) == num_frames
    assert indices == sorted(indices)
    assert 0 <= indices[0] <= indices[-1] < total
    if sampling == "uniform":
        if 1 < num_frames <= total:
            np.testing.assert_allclose(indices, np.linspace(0, total - 1, num_frames), atol=0.5)
            assert (indices[0], indices[-1]) == (0, total - 1)
        elif num_frames > total:
            assert indices == [*range(total), *[total - 1] * (num_frames - total)]
        return
    if sampling == "transformers":
        wanted = np.linspace(0, num_frames * stride - 1, num_frames, dtype=np.int64)  # as its pipeline chooses
        inside = [i for i in wanted.tolist() if i < total]
        assert indices == inside + inside[-1:] * (num_frames - len(inside))
        return
    if sampling == "transformers-torchvision":
        if num_frames <= total:  # else transformers refuses
            told = VideoMetadata(total_num_frames=total)
            assert indices == default_sample_indices_fn(told, num_frames=num_frames).tolist()
        return
    distinct = sorted(set(indices))
    assert all(b - a == stride for a, b in pairwise(distinct))
    assert len(distinct) == num_frames or distinct[-1] + stride >= total
    if sampling == "consecutive":
        assert indices[0] == start
    elif len(distinct) == num_frames:
        assert abs(indices[0] - (total - 1 - indices[-1])) <= 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_frames": 0, "total": 3},
        {"num_frames": 3, "total": 0},
        {"num_frames": 3, "total": 3, "stride": 0},
        {"num_frames": 3, "total": 3, "start": -1},
        {"num_frames": 3, "total": 3, "sampling": "random"},
        {"num_frames": 3, "total": 3, "sampling": "consecutive", "start": 3},
    ],
)
def test_impossible_choices_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        choose_indices(**arguments)


def test_the_worked_examples_are_true() -> None:
    found = doctest.testmod(sampling_room)
    assert found.failed == 0 and found.attempted >= 13
