"""Pictures of any size resized to any other: what holds of both backends, beside PIL and a plain definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from tests.properties import PROPERTY
from vivit.resizing import RESIZE, resize_pil, resize_torchvision

BILINEAR = 2
SIDES = st.integers(1, 24)
PICTURES = arrays.arrays(np.uint8, st.tuples(SIDES, SIDES, st.sampled_from([1, 3])))
SIZES = st.tuples(SIDES, SIDES)


@pytest.mark.parametrize("backend", RESIZE)
@PROPERTY
@given(frame=PICTURES, size=SIZES, resample=st.sampled_from([2, 3]), level=st.integers(0, 255))
def test_size_kind_and_an_even_picture_are_kept(
    backend: str, frame: np.ndarray, size: tuple[int, int], resample: int, level: int
) -> None:
    before = frame.copy()
    found = RESIZE[backend](frame, size, resample, None)
    assert found.shape == (*size, frame.shape[2]) and found.dtype == frame.dtype
    assert np.array_equal(frame, before)
    if resample == BILINEAR:  # whose weights are of one sign; bicubic's overshoot
        assert frame.min() <= found.min() and found.max() <= frame.max()
    assert (RESIZE[backend](np.full_like(frame, level), size, resample, None) == level).all()


@PROPERTY
@given(frame=PICTURES, size=SIZES, resample=st.integers(0, 5), data=st.data())
def test_pils_pixels_are_pils_channel_by_channel(
    frame: np.ndarray, size: tuple[int, int], resample: int, data: st.DataObject
) -> None:
    height, width = frame.shape[:2]
    left, top = data.draw(st.integers(0, width - 1), "left"), data.draw(st.integers(0, height - 1), "top")
    box = (float(left), float(top), float(width), float(height))
    found = resize_pil(frame, size, resample, box)
    for channel in range(frame.shape[2]):
        wanted = Image.fromarray(frame[..., channel].copy()).resize(size[::-1], resample, box)
        assert np.array_equal(found[..., channel], np.asarray(wanted))


def triangles(old: int, new: int) -> np.ndarray:
    """How much of each old pixel is in each new one, (new, old): triangles over as many as come together, one at least."""
    scale = old / new
    centres, places = (np.arange(new)[:, None] + 0.5) * scale, np.arange(old) + 0.5
    weights = np.maximum(0, 1 - np.abs(places - centres) / max(scale, 1))
    return np.asarray(weights / weights.sum(1, keepdims=True))


@PROPERTY
@given(frame=PICTURES, size=SIZES)
def test_bilinear_is_its_plain_definition_rounded_once_or_twice(frame: np.ndarray, size: tuple[int, int]) -> None:
    down, across = triangles(frame.shape[0], size[0]), triangles(frame.shape[1], size[1])
    exact = np.einsum("yh,hwc,xw->yxc", down, frame.astype(float), across)
    # In float32, which is off by some 1e-5 of a level; PIL rounds after either pass, with weights of 22 bits.
    assert np.abs(resize_torchvision(frame, size, BILINEAR) - exact).max() <= 0.5 + 1e-3
    assert np.abs(resize_pil(frame, size, BILINEAR) - exact).max() <= 1 + 1e-3
