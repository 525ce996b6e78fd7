"""Test clips whose every frame carries its own number, in blocks large enough to survive lossy coding."""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

GRID = 4  # 4 x 4 cells: 12 bits of number and 4 of checksum
NUMBER_BITS = 12


def _checksum(number: int) -> int:
    return (number ^ number >> 4 ^ number >> 8 ^ 0b1010) & 15


def draw_number(number: int, width: int = 128, height: int = 96) -> np.ndarray:
    """Draw a picture that says which one it is.

    Args:
        number: in [0, 4096).
        width, height: at least 8.

    Returns:
        (height, width, 3) uint8: black and white cells, from the top left, most significant bit first.
    """
    code = number << 4 | _checksum(number)
    bits = [code >> place & 1 for place in reversed(range(GRID * GRID))]
    rows, columns = np.arange(height) * GRID // height, np.arange(width) * GRID // width
    cells = np.array(bits, np.uint8).reshape(GRID, GRID)[rows][:, columns]
    return np.repeat((16 + 219 * cells)[..., None], 3, axis=2)


def cut_out(picture: np.ndarray) -> np.ndarray:
    """The black cells of a numbered picture without their ground: the number can be read on white, and nowhere else.

    Args:
        picture: (height, width, 3) uint8, from `draw_number`.

    Returns:
        (height, width, 4) uint8, black throughout; what was white is transparent.
    """
    return np.dstack([np.zeros_like(picture), np.where(picture[..., 0] < 128, 255, 0).astype(np.uint8)])


def read_number(picture: np.ndarray) -> int:
    """Read what `draw_number` wrote, at whatever size the picture has now.

    Args:
        picture: (height, width, 3) uint8.

    Returns:
        The number.

    Raises:
        ValueError: if a cell is neither black nor white or the checksum is wrong: a blend of frames, or damage.
    """
    height, width, _ = picture.shape
    code = 0
    for row in range(GRID):
        for column in range(GRID):
            top, left = height * row // GRID, width * column // GRID
            cell = picture[top + height // 16 : top + height * 3 // 16, left + width // 16 : left + width * 3 // 16]
            level = float(cell.mean())
            if 80 < level < 170:
                raise ValueError(f"cell ({row}, {column}) is neither black nor white: {level:.0f}")
            code = code << 1 | (level > 128)
    number, checksum = code >> 4, code & 15
    if checksum != _checksum(number):
        raise ValueError(f"the cells say {number}, but their checksum is wrong")
    return number


def write_clip(
    path: Path,
    num_frames: int = 30,
    *,
    codec: str = "libx264",
    size: tuple[int, int] = (128, 96),
    rate: int | Fraction = 30,
    pix_fmt: str = "yuv420p",
    pts_ms: Sequence[int] | None = None,
    container: str | None = None,
    codec_options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    sample_aspect_ratio: Fraction | None = None,
    display_matrix: Sequence[int] | None = None,
    pictures: Iterable[np.ndarray] | None = None,
    colours: Mapping[str, int] | None = None,
) -> Path:
    """Write a clip of numbered pictures, or of given ones.

    Args:
        path: where to; its suffix names the container unless `container` does.
        num_frames: how many numbered pictures.
        codec, codec_options, pix_fmt: FFmpeg's names.
        size: (width, height) of the numbered pictures.
        rate: frames per second, unless `pts_ms` gives every frame's presentation time in milliseconds.
        container, container_options: FFmpeg's names.
        sample_aspect_ratio: width of one pixel by its height.
        display_matrix: nine integers as in the MP4 track header.
        pictures: (height, width, 3) uint8 each, or 4 with alpha, in place of the numbered ones.
        colours: FFmpeg's numbers of what the pictures are in: color_primaries, color_trc, colorspace, color_range.

    Returns:
        `path`.
    """
    if pictures is None:
        pictures = (draw_number(number, *size) for number in range(num_frames))
    pictures = list(pictures)
    with av.open(str(path), "w", format=container, options=dict(container_options or {})) as output:
        stream = cast(av.VideoStream, output.add_stream(codec, rate=rate, options=dict(codec_options or {})))
        stream.height, stream.width, channels = pictures[0].shape
        stream.pix_fmt = pix_fmt
        stream.codec_context.thread_count = 1
        for name, value in (colours or {}).items():
            setattr(stream.codec_context, name, value)
        if pts_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if sample_aspect_ratio is not None:
            stream.codec_context.sample_aspect_ratio = sample_aspect_ratio
        if display_matrix is not None:
            stream.set_display_matrix(display_matrix)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format={3: "rgb24", 4: "rgba"}[channels])
            frame.time_base = 1 / Fraction(rate) if pts_ms is None else Fraction(1, 1000)
            frame.pts = number if pts_ms is None else pts_ms[number]
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def written_once(folder: Path, writers: Mapping[str, Callable[[Path], Path]]) -> Callable[[str], Path]:
    """A function from a name in `writers` to the clip of that name in `folder`, written when it is first asked for."""

    def written(name: str) -> Path:
        path = folder / name
        return path if path.exists() else writers[name](path)

    return written


def skip_by_edit_list(path: Path, num_frames: int) -> None:
    """Patch an MP4 that `write_clip` wrote so that its edit list starts the clip that many frames later.

    Args:
        path: an MP4 with one edit in a version 0 edit list, all of whose frames last equally long.
        num_frames: how many frames, in display order, are not to be shown; the cut may lie within a group of pictures.
    """
    data = bytearray(path.read_bytes())
    (movie_scale,) = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)
    media_scale, media_duration = struct.unpack_from(">II", data, data.index(b"mdhd") + 16)
    (total,) = struct.unpack_from(">I", data, data.index(b"stsz") + 12)
    entry = data.index(b"elst") + 12
    duration, media_time = struct.unpack_from(">Ii", data, entry)
    ticks = media_duration // total * num_frames
    struct.pack_into(">Ii", data, entry, duration - ticks * movie_scale // media_scale, media_time + ticks)
    path.write_bytes(data)
