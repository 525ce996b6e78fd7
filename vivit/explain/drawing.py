"""A map as pictures: heat over the frames that the model got, all by one scale. No torch and no av is used.

Letters: T frames of h × w pixels, a grid of L time steps of H × W tubelets. A scale goes from 0 to a map's most.
"""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vivit.explain.maps import shares

# Cividis, at equal distances: lightness rises evenly, and to colour-blind people as to others.
# Source: Nuñez, Anderton and Renslow 2018, doi:10.1371/journal.pone.0199239.
COLOURS = ("#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838")
_LEVELS = np.array([[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in COLOURS], np.float64)

MOST = 16  # frames of a strip; of more only the first of each time step
ROW = 8  # frames side by side
CELL = 224  # pixels of a frame's height in a strip
GAP = 8
TEXT = 22
INK, PAPER = "#1f1f1f", "#ffffff"
FEWEST = 720  # pixels of a strip's width, in which the legend has room


def colour(values: np.ndarray) -> np.ndarray:
    """Numbers of the scale as colours. Args: values: (…), [0, 1], others as the nearest. Returns: (…, 3) uint8 RGB."""
    stops = np.linspace(0, 1, len(_LEVELS))
    return np.stack([np.interp(values, stops, level) for level in _LEVELS.T], -1).round().astype(np.uint8)


def heat_png(weights: np.ndarray, most: float) -> bytes:
    """One time step of a map, a pixel for each tubelet, to be enlarged over a frame.

    Args:
        weights: (H, W), not negative.
        most: where the scale ends, the most of all steps.

    Returns:
        A PNG in RGB.
    """
    return _png(Image.fromarray(colour(_scaled(weights, most))))


def overlay(frames: np.ndarray, weights: np.ndarray, opacity: float) -> np.ndarray:
    """Heat over every frame, by one scale for all of them.

    Args:
        frames: (T, h, w, 3) uint8.
        weights: (L, H, W), not negative. A tubelet's colour is that of its middle, with even transitions between middles.
        opacity: of the heat, 0 to 1.

    Returns:
        (T, h, w, 3) uint8.
    """
    height, width = frames.shape[1:3]
    depth = len(frames) // len(weights)
    scaled = _scaled(weights, weights.max()).astype(np.float32)
    found = np.empty_like(frames)
    for step, of_step in enumerate(scaled):
        # PIL takes the middle of a pixel for its place, and beyond the outermost middles it repeats their values.
        smooth = Image.fromarray(of_step).resize((width, height), Image.Resampling.BILINEAR)
        heat = colour(np.asarray(smooth)) * np.float32(opacity)
        for frame in range(step * depth, (step + 1) * depth):
            found[frame] = (frames[frame] * np.float32(1 - opacity) + heat).round()
    return found


def strip_png(frames: np.ndarray, weights: np.ndarray, seconds: Sequence[float], opacity: float) -> bytes:
    """The frames with heat over them and their times below, and what the colours mean.

    Args:
        frames, weights, opacity: as for `overlay`.
        seconds: (T,) when each frame is shown; of frames that have no times empty, and they are numbered instead.

    Returns:
        A PNG.
    """
    count, height, width, _ = frames.shape
    chosen = range(0, count, 1 if count <= MOST else count // len(weights))
    across = max(1, round(width * CELL / height))
    # The frames are enlarged before heat is laid over them, which so stays smooth.
    drawn = overlay(enlarged(frames[chosen], CELL, across), weights, opacity)
    font = ImageFont.load_default(TEXT)
    columns = min(ROW, len(chosen))
    line = TEXT + 2 * GAP  # the height of a line of text
    rows = -(-len(chosen) // columns)
    sheet_width = max(FEWEST, GAP + columns * (across + GAP))
    sheet = Image.new("RGB", (sheet_width, GAP + rows * (CELL + line) + line + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, frame in enumerate(chosen):
        x, y = GAP + place % columns * (across + GAP), GAP + place // columns * (CELL + line)
        sheet.paste(Image.fromarray(drawn[place]), (x, y))
        said = f"{seconds[frame]:.2f} s" if len(seconds) else f"frame {frame + 1}"
        draw.text((x + across / 2, y + CELL + line / 2), said, INK, font, anchor="mm")
    _legend(sheet, draw, font, shares(weights).max(), sheet.height - GAP - line / 2)
    return _png(sheet)


def beside(frames: np.ndarray, overlaid: np.ndarray) -> np.ndarray:
    """Frames and the same with heat over them, side by side. Args: both (T, h, w, 3). Returns: (T, h, 2 w + gap, 3)."""
    gap = np.zeros((*frames.shape[:2], GAP, 3), frames.dtype)
    return np.concatenate([frames, gap, overlaid], axis=2)


def enlarged(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Frames in another size, which may be a smaller one too. Args: frames: (T, h, w, 3). Returns: (T, height, width, 3)."""
    if frames.shape[1:3] == (height, width):
        return frames
    resized = (Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC) for frame in frames)
    return np.stack([np.asarray(picture) for picture in resized])


def _scaled(weights: np.ndarray, most: float) -> np.ndarray:
    return weights / most if most > 0 else np.zeros_like(weights)


def _legend(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    most: float,
    y: float,
) -> None:
    """'0 %', a bar of all colours, and what its other end means, in a line around y. Args: most: a tubelet's share."""
    x = float(GAP)
    draw.text((x, y), "0 %", INK, font, anchor="lm")
    x += draw.textlength("0 %", font) + GAP
    bar = colour(np.linspace(0, 1, CELL))[None].repeat(TEXT, 0)
    sheet.paste(Image.fromarray(bar), (round(x), round(y - TEXT / 2)))
    draw.text((x + bar.shape[1] + GAP, y), f"{most * 100:.3g} % of the map's weight, a tubelet", INK, font, anchor="lm")


def _png(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
