"""Pictures of a map: colours that everybody tells apart, heat where the tubelets are, and a strip with its legend."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from plotly.colors import sequential

from vivit.explain import drawing
from vivit.explain.drawing import beside, colour, heat_png, overlay, strip_png

COLD = colour(np.zeros(1))[0]

# Machado, Oliveira and Fernandes 2009, doi:10.1109/TVCG.2009.113, severity 1: on linear RGB.
SEEN_BY = {
    "everybody": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def lightness(colours: np.ndarray, seen_by: np.ndarray) -> np.ndarray:
    """CIE L*, 0 to 100, of sRGB colours (…, 3) uint8 as somebody sees them."""
    part = colours / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    luminance = (linear @ np.asarray(seen_by).T).clip(0, 1) @ [0.2126, 0.7152, 0.0722]
    found: np.ndarray = np.where(luminance > 216 / 24389, 116 * np.cbrt(luminance) - 16, luminance * 24389 / 27)
    return found


def opened(png: bytes) -> np.ndarray:
    picture = Image.open(BytesIO(png))
    assert (picture.format, picture.mode) == ("PNG", "RGB")
    return np.asarray(picture)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)


@pytest.mark.parametrize("seen_by", SEEN_BY)
def test_more_is_lighter_whoever_looks(seen_by: str) -> None:
    """64 numbers, so that a step is more than the rounding to 8 bit; from nearly black to nearly white."""
    found = lightness(colour(np.linspace(0, 1, 64)), np.array(SEEN_BY[seen_by]))
    assert (np.diff(found) > 0).all()
    assert found[0] < 20 and found[-1] > 85


def test_colours_are_the_published_ones() -> None:
    assert list(drawing.COLOURS) == sequential.Cividis
    stops = colour(np.linspace(0, 1, len(drawing.COLOURS)))
    assert ["#" + "".join(f"{level:02x}" for level in stop) for stop in stops] == sequential.Cividis
    assert (colour(np.array([-1.0, 2.0])) == stops[[0, -1]]).all()
    assert colour(np.zeros((2, 3))).shape == (2, 3, 3)


def test_heat_is_a_pixel_for_each_tubelet() -> None:
    weights = np.array([[0.0, 0.1, 0.2], [0.4, 0.3, 0.0]], np.float32)
    found = opened(heat_png(weights, 0.4))
    assert found.shape == (2, 3, 3) and (found == colour(weights / np.float32(0.4))).all()
    assert (opened(heat_png(np.zeros((2, 3)), 0.0)) == COLD).all()


@pytest.mark.parametrize(("depth", "height", "width"), [(2, 16, 16), (1, 8, 24), (4, 5, 3)])
def test_heat_lies_on_its_tubelet_and_in_all_of_its_frames(depth: int, height: int, width: int) -> None:
    """One hot tubelet of a grid of 3 × 4 × 5: what is hottest is its middle, and what is farther than a tubelet is cold."""
    weights = np.zeros((3, 4, 5), np.float32)
    weights[1, 2, 3] = 0.25
    frames = noise(3 * depth, 4 * height, 5 * width)
    found = overlay(frames, weights, 1.0)
    assert found.dtype == np.uint8 and found.shape == frames.shape
    heat = lightness(found, np.eye(3)) - lightness(COLD, np.eye(3))
    shown = range(depth, 2 * depth)
    assert all((heat[frame] > 0).any() == (frame in shown) for frame in range(len(frames)))
    for frame in shown:
        rows, columns = np.nonzero(heat[frame] == heat[frame].max())
        # The middle of the hottest pixels, each of which lies half a pixel beyond its index.
        assert (rows.mean() + 0.5, columns.mean() + 0.5) == (2.5 * height, 3.5 * width)
        far = np.ones(heat[frame].shape, bool)
        far[height : 4 * height, 2 * width : 5 * width] = False
        assert (found[frame][far] == COLD).all()
        inner = heat[frame, 2 * height : 3 * height, 3 * width : 4 * width]
        assert np.allclose(inner, inner[::-1], atol=1) and np.allclose(inner, inner[:, ::-1], atol=1)  # by rounding


def test_between_middles_heat_changes_evenly() -> None:
    """Along each axis of one cold and one hot tubelet of 16 pixels: level as far as a middle, then a line to the other."""
    line = ((np.arange(32) + 0.5) / 16 - 0.5).clip(0, 1)
    for weights in (np.array([[[0.0, 3.0]]]), np.array([[[0.0], [3.0]]])):
        height, width = 16 * weights.shape[1], 16 * weights.shape[2]
        found = overlay(noise(1, height, width), weights, 1.0)[0].astype(int)
        along = found if width == 32 else found.swapaxes(0, 1)
        assert np.abs(along - colour(line)).max() <= 1  # float32, rounded to 8 bit


def test_all_frames_have_one_scale() -> None:
    """Each step has one weight, so that nothing is between: 0, a half, and the most."""
    weights = np.array([0.0, 0.01, 0.02], np.float32)[:, None, None].repeat(2, 1).repeat(2, 2)
    found = overlay(noise(6, 8, 8), weights, 1.0)
    for frame, value in enumerate((0, 0, 0.5, 0.5, 1, 1)):
        assert (found[frame] == colour(np.array(value))).all()
    assert (overlay(noise(6, 8, 8), np.zeros_like(weights), 1.0) == COLD).all()


def test_opacity() -> None:
    frames, weights = noise(4, 16, 16), np.random.default_rng(1).random((2, 4, 4), np.float32)
    assert (overlay(frames, weights, 0.0) == frames).all()
    between = (frames.astype(float) + overlay(frames, weights, 1.0)) / 2
    assert np.abs(overlay(frames, weights, 0.5) - between).max() <= 0.5  # rounding to 8 bit


@pytest.mark.parametrize(("count", "steps", "drawn"), [(1, 1, 1), (6, 3, 6), (16, 8, 16), (32, 16, 16), (24, 24, 24)])
def test_a_strip_has_every_frame_or_one_of_each_step(count: int, steps: int, drawn: int) -> None:
    """Grey frames with the heat left out: each cell of the strip is one level, which tells which frame it is."""
    levels = np.arange(count, dtype=np.uint8) * 5 + 20
    frames = levels[:, None, None, None].repeat(32, 1).repeat(48, 2).repeat(3, 3)
    weights = np.ones((steps, 2, 3), np.float32)
    found = opened(strip_png(frames, weights, [k / 10 for k in range(count)], 0.0))
    across = drawing.CELL * 48 // 32
    cells = []
    for top in range(drawing.GAP, len(found) - drawing.CELL, drawing.CELL + drawing.TEXT + 2 * drawing.GAP):
        for left in range(drawing.GAP, found.shape[1] - across, across + drawing.GAP):
            cell = found[top : top + drawing.CELL, left : left + across]
            if (cell != 255).all():
                assert (cell == cell[0, 0]).all()
                cells.append(cell[0, 0, 0])
    assert cells == levels[:: count // drawn].tolist()
    assert found.shape[1] <= drawing.GAP + drawing.ROW * (across + drawing.GAP)


def test_a_strip_tells_times_and_what_its_colours_mean() -> None:
    """Text cannot be read here, so pixels are compared: another time or share changes them, and only where it is written."""
    frames, weights = noise(2, 32, 32), np.ones((1, 2, 2), np.float32)
    below = drawing.GAP + drawing.CELL
    legend = below + drawing.TEXT + 2 * drawing.GAP
    usual = opened(strip_png(frames, weights, [0.0, 0.5], 0.6))
    later = opened(strip_png(frames, weights, [0.0, 0.7], 0.6))
    rows, columns = np.nonzero((usual != later).any(-1))
    assert below <= rows.min() and rows.max() < legend
    assert columns.min() >= 2 * drawing.GAP + drawing.CELL  # the second frame's
    finer = opened(strip_png(frames, np.ones((1, 4, 4), np.float32), [0.0, 0.5], 0.6))
    rows, _ = np.nonzero((usual != finer).any(-1))  # '25 %' and '6.25 %' of the map's weight, and the same heat
    assert rows.min() >= legend
    bar = {tuple(pixel) for pixel in usual[legend:].reshape(-1, 3).tolist()}
    assert {tuple(stop) for stop in colour(np.linspace(0, 1, drawing.CELL)).tolist()} <= bar
    numbered = opened(strip_png(frames, weights, [], 0.6))
    assert (numbered[below:legend] != usual[below:legend]).any()


def test_side_by_side() -> None:
    frames = noise(3, 10, 12)
    found = beside(frames, 255 - frames)
    assert found.shape == (3, 10, 24 + drawing.GAP, 3)
    assert (found[:, :, :12] == frames).all() and (found[:, :, -12:] == 255 - frames).all()
