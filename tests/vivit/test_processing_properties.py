"""Where pictures of any size are resized to and cut: size, aspect, place; the pixels beside PIL's own."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.properties import PROPERTY
from vivit.processing import VivitImageProcessor

SIDES, EDGES = st.integers(1, 3000), st.integers(1, 600)


def processor(edge: int, crop: tuple[int, int]) -> VivitImageProcessor:
    """One that resizes the shorter edge and cuts the middle. Args: crop: (height, width)."""
    return VivitImageProcessor(size={"shortest_edge": edge}, crop_size={"height": crop[0], "width": crop[1]})


@PROPERTY
@given(height=SIDES, width=SIDES, edge=EDGES)
def test_the_shorter_edge_is_as_wanted_and_the_aspect_is_kept(height: int, width: int, edge: int) -> None:
    new = processor(edge, (1, 1)).resized(height, width)
    short, long = sorted((height, width))
    assert min(new) == edge and (new[0] <= new[1]) == (height <= width or new[0] == new[1])
    assert max(new) == math.floor(Fraction(edge * long, short))


@PROPERTY
@given(height=SIDES, width=SIDES, edge=EDGES, crop=st.tuples(EDGES, EDGES), count=st.integers(1, 7))
def test_crops_lie_inside_in_the_middle_and_from_end_to_end(
    height: int, width: int, edge: int, crop: tuple[int, int], count: int
) -> None:
    one = processor(edge, crop)
    new = one.resized(height, width)
    # In pixels of the resized picture, whose corners are whole ones.
    scale = (width / new[1], height / new[0])
    boxes = []
    for k in range(count):
        left, top, right, bottom = one.crop_box(height, width, k, count)
        assert 0 <= left < right <= width * (1 + 1e-12) and 0 <= top < bottom <= height * (1 + 1e-12)
        box = [left / scale[0], top / scale[1], right / scale[0], bottom / scale[1]]
        assert np.abs(np.array(box) - np.rint(box)).max() < 1e-6
        boxes.append([round(place) for place in box])
    for left, top, right, bottom in boxes:
        # A crop larger than the picture keeps all of it.
        assert (bottom - top, right - left) == (min(crop[0], new[0]), min(crop[1], new[1]))
    along = int(new[0] <= new[1])  # the axis on which several lie: 1 is across
    for axis, (side, kept) in enumerate(zip(new, crop, strict=True)):
        room = max(0, side - kept)
        starts = [box[1 - axis] for box in boxes]
        if count == 1 or axis != along:
            assert all(start in (room // 2, room - room // 2) and start == room // 2 for start in starts)
        else:
            assert starts == [math.floor(Fraction(k * room, count - 1)) for k in range(count)]


@PROPERTY
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    edge=st.integers(1, 30),
    data=st.data(),
)
def test_the_pixels_are_those_that_pil_resizes_and_cuts(
    seed: int, size: tuple[int, int], edge: int, data: st.DataObject
) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    crop = data.draw(st.tuples(st.integers(1, edge), st.integers(1, edge)), "crop")
    one = processor(edge, crop)
    height, width = one.resized(*size)
    top, left = (height - crop[0]) // 2, (width - crop[1]) // 2
    whole = Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR)
    wanted = whole.crop((left, top, left + crop[1], top + crop[0]))
    assert np.array_equal(one.resize_and_crop(frame), np.asarray(wanted))
