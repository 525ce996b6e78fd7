"""Which frames a clip gives, beside slow and plain definitions, for any numbers of frames, strides and starts."""

import math
from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.properties import PROPERTY
from vivit.video import choose_indices
from vivit.video.sampling import SAMPLING, choose_views, comes_evenly
from vivit.views import Views

COUNTS, TOTALS, STRIDES = st.integers(1, 40), st.integers(1, 400), st.integers(1, 9)


def plainly(sampling: str, num_frames: int, total: int, stride: int, start: int) -> list[int]:
    """The rules in words, one frame at a time; frames beyond the clip are left out, and the last one is not repeated."""
    if sampling == "uniform":
        if num_frames == 1:
            return [math.floor(Fraction(total - 1, 2))]
        if total <= num_frames:
            return [*range(total)]
        # The nearest frame to each of the moments; the later one if two are as near.
        return [math.floor(Fraction(k * (total - 1), num_frames - 1) + Fraction(1, 2)) for k in range(num_frames)]
    if sampling == "transformers-torchvision":
        return [math.floor(Fraction(k * total, num_frames)) for k in range(num_frames)]
    if sampling == "transformers":  # in its pipeline's own words
        found = np.linspace(0, num_frames * stride - 1, num=num_frames, dtype=np.int64).tolist()
    else:
        if sampling == "center":
            start = max(0, math.floor(Fraction(total - (num_frames - 1) * stride - 1, 2)))
        found = [start + k * stride for k in range(num_frames)]
    return [index for index in found if index < total]


@pytest.mark.parametrize("sampling", SAMPLING)
@PROPERTY
@given(num_frames=COUNTS, total=TOTALS, stride=STRIDES, data=st.data())
def test_every_rule_is_its_plain_definition(
    sampling: str, num_frames: int, total: int, stride: int, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, total - 1), "start") if sampling == "consecutive" else 0
    found = choose_indices(num_frames, total=total, sampling=sampling, stride=stride, start=start)
    wanted = plainly(sampling, num_frames, total, stride, start)
    assert found == wanted + wanted[-1:] * (num_frames - len(wanted))
    assert len(found) == num_frames and found == sorted(found) and found[0] >= 0 and found[-1] < total


@PROPERTY
@given(
    # Sixty-fourths of a second are exact in binary, so that a frame due at the very moment is due without rounding.
    gaps=st.lists(st.integers(1, 300), min_size=3, max_size=60),
    num_frames=st.integers(2, 40),
)
def test_frames_that_come_unevenly_are_those_on_screen(gaps: list[int], num_frames: int) -> None:
    edges = [ticks / 64 for ticks in accumulate(gaps, initial=0)]
    assume(not comes_evenly(edges))
    total = len(gaps)
    found = choose_indices(num_frames, total=total, edges=edges)
    moments = [Fraction(edges[-1]) * k / (num_frames - 1) for k in range(num_frames)]
    assert found == [max(k for k in range(total) if Fraction(edges[k]) <= moment) for moment in moments]


@PROPERTY
@given(
    count=st.integers(2, 200), interval=st.fractions("1/120", 9, max_denominator=120), seed=st.integers(0, 2**32 - 1)
)
def test_times_that_are_off_by_less_than_an_eighth_of_a_frame_come_evenly(
    count: int, interval: Fraction, seed: int
) -> None:
    off = np.random.default_rng(seed).uniform(-0.125, 0.125, count)
    times = ((np.arange(count) + off) * float(interval)).tolist()
    assert comes_evenly([*times, times[-1] + float(interval)])


@PROPERTY
@given(num_frames=COUNTS, total=TOTALS, stride=STRIDES, temporal=st.integers(2, 8))
def test_views_lie_evenly_from_the_first_frame_to_the_last(
    num_frames: int, total: int, stride: int, temporal: int
) -> None:
    found = choose_views(num_frames, total=total, views=Views(temporal), stride=stride)
    views = [found[k : k + num_frames] for k in range(0, len(found), num_frames)]
    assert len(views) == temporal and all(view == sorted(view) and view[-1] < total for view in views)
    last = max(0, total - num_frames * stride)  # the last place from which a whole view fits, its last gap included
    for k, view in enumerate(views):
        assert view[0] == math.floor(Fraction(k * last, temporal - 1))
        assert view == choose_indices(num_frames, total=total, sampling="consecutive", stride=stride, start=view[0])
