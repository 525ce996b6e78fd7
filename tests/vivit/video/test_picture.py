"""Pictures as they are meant to be seen: upright, with square pixels, and all of one size."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.clips import draw_number, read_number, write_clip
from vivit.video import decode, probe, read_frames


def _oriented(picture: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """Move each pixel where the matrix says, by the letter of ISO/IEC 14496-12."""
    a, b, c, d = matrix
    height, width, _ = picture.shape
    moved = {(a * x + c * y, b * x + d * y): picture[y, x] for y in range(height) for x in range(width)}
    left, top = min(x for x, _ in moved), min(y for _, y in moved)
    shown = np.zeros((max(y for _, y in moved) - top + 1, max(x for x, _ in moved) - left + 1, 3), np.uint8)
    for (x, y), pixel in moved.items():
        shown[y - top, x - left] = pixel
    return shown


@pytest.mark.parametrize(
    ("matrix", "rotation", "mirrored"),
    [
        ((1, 0, 0, 1), 0, False),
        ((0, 1, -1, 0), 90, False),
        ((-1, 0, 0, -1), 180, False),
        ((0, -1, 1, 0), 270, False),
        ((-1, 0, 0, 1), 0, True),
        ((0, -1, -1, 0), 90, True),
        ((1, 0, 0, -1), 180, True),
        ((0, 1, 1, 0), 270, True),
    ],
)
def test_pictures_are_turned_and_mirrored_as_the_matrix_says(
    tmp_path: Path, matrix: tuple[int, int, int, int], rotation: int, mirrored: bool
) -> None:
    a, b, c, d = (65536 * entry for entry in matrix)
    pictures = [np.random.default_rng(i).integers(0, 256, (6, 10, 3), np.uint8) for i in range(3)]
    path = write_clip(
        tmp_path / "turned.mov",
        codec="png",
        pix_fmt="rgb24",
        pictures=pictures,
        display_matrix=(a, b, 0, c, d, 0, 0, 0, 1 << 30),
    )
    info = probe(path)
    expected = [_oriented(picture, matrix) for picture in pictures]
    assert (info.rotation, info.mirrored) == (rotation, mirrored)
    assert (info.height, info.width) == expected[0].shape[:2]
    np.testing.assert_array_equal(read_frames(path, 3).frames, expected)
    turned = np.rot90(pictures[0][:, ::-1] if mirrored else pictures[0], -rotation // 90)
    np.testing.assert_array_equal(turned, expected[0])


@pytest.mark.parametrize("matrix", [(0, 0, 0, 0), (46341, 46341, -46341, 46341), (65536, 65536, 65536, 65536)])
def test_unusable_matrices_are_ignored_with_a_warning(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    path = write_clip(tmp_path / "clip.mp4", 3, display_matrix=(0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30))
    data = path.read_bytes()
    turned = b"".join(entry.to_bytes(4, "big", signed=True) for entry in (0, 65536, 0, -65536, 0, 0))
    a, b, c, d = matrix
    unusable = b"".join(entry.to_bytes(4, "big", signed=True) for entry in (a, b, 0, c, d, 0))
    assert data.count(turned) == 1
    path.write_bytes(data.replace(turned, unusable))
    sampled = read_frames(path, 3)
    assert [read_number(frame) for frame in sampled.frames] == [0, 1, 2]
    assert any("rotation is unusable" in warning for warning in sampled.warnings)


@pytest.mark.parametrize(("ratio", "width"), [(Fraction(2), 256), (Fraction(1, 2), 64), (Fraction(64, 51), 161)])
def test_pixels_are_made_square(tmp_path: Path, ratio: Fraction, width: int) -> None:
    path = write_clip(tmp_path / "clip.mp4", 5, sample_aspect_ratio=ratio)
    sampled = read_frames(path, 5)
    assert (sampled.info.width, sampled.info.height) == (width, 96)
    assert sampled.frames.shape == (5, 96, width, 3)
    assert [read_number(frame) for frame in sampled.frames] == [0, 1, 2, 3, 4]


def test_a_picture_size_that_changes(tmp_path: Path) -> None:
    sizes = [(128, 96)] * 4 + [(64, 64)] * 4
    with av.open(str(tmp_path / "clip.mkv"), "w") as output:
        stream = output.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuvj420p"
        for number, (width, height) in enumerate(sizes):
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
            encoder.time_base = Fraction(1, 30)
            frame = av.VideoFrame.from_ndarray(draw_number(number, width, height), format="rgb24")
            for packet in [*encoder.encode(frame), *encoder.encode(None)]:
                packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 30)
                output.mux(packet)
    path = tmp_path / "clip.mkv"
    frames = list(decode(probe(path), range(8)))
    assert [frame.image.shape[1::-1] for frame in frames] == sizes
    assert [read_number(frame.image) for frame in frames] == [*range(8)]
    sampled = read_frames(path, 8)
    assert sampled.frames.shape == (8, 96, 128, 3)
    assert [read_number(frame) for frame in sampled.frames] == [*range(8)]
    assert any("size changes" in warning for warning in sampled.warnings)
    shrunk = read_frames(path, 8, transform=lambda picture: np.asarray(Image.fromarray(picture).resize((32, 32))))
    assert shrunk.frames.shape == (8, 32, 32, 3)
