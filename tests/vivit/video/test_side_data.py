"""Metadata that FFmpeg hands on and PyAV has no name for: no picture is lost to it, and EXIF's orientation counts."""

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from PIL import Image, ImageOps

from vivit.video import probe, read_frames

COLOURS = np.array([[[230, 20, 20], [20, 230, 20], [20, 20, 230]], [[230, 230, 20], [20, 230, 230], [120, 120, 120]]])
PICTURE = Image.fromarray(COLOURS.astype(np.uint8).repeat(32, 0).repeat(32, 1))


def _photo(orientation: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "A camera"
    file = BytesIO()
    PICTURE.save(file, kind, exif=exif, **({"quality": 95, "subsampling": 0} if kind == "JPEG" else {}))
    return file.getvalue()


def _upright(orientation: int, kind: str) -> np.ndarray:
    with Image.open(BytesIO(_photo(orientation, kind))) as photo:
        return np.asarray(ImageOps.exif_transpose(photo).convert("RGB"))


def _write(path: Path, orientation: int, kind: str) -> Path:
    """Five photos of a camera in a row, as they are."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream({"PNG": "png", "JPEG": "mjpeg"}[kind], rate=10)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = PICTURE.size
        stream.pix_fmt = {"PNG": "rgb24", "JPEG": "yuvj444p"}[kind]
        for number in range(5):
            packet = av.Packet(_photo(orientation, kind))
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 10), number, number
            packet.is_keyframe = True
            output.mux(packet)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("suffix", "kind"), [("mov", "PNG"), ("avi", "PNG"), ("mov", "JPEG"), ("avi", "JPEG")])
def test_photos_in_a_row_are_turned_as_their_camera_was(
    tmp_path: Path, suffix: str, kind: str, orientation: int
) -> None:
    sampled = read_frames(_write(tmp_path / f"photos.{suffix}", orientation, kind), 5)
    assert sampled.info.num_frames == 5
    expected = _upright(orientation, kind)
    assert sampled.frames.shape[1:] == expected.shape == (sampled.info.height, sampled.info.width, 3)
    for frame in sampled.frames:
        assert np.abs(frame.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_webp_is_turned_too(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    PICTURE.save(tmp_path / "a.webp", save_all=True, append_images=[PICTURE], duration=100, lossless=True, exif=exif)
    PICTURE.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    info = probe(tmp_path / "a.webp")
    assert (info.height, info.width) == expected.shape[:2]
    np.testing.assert_array_equal(read_frames(tmp_path / "a.webp", 2).frames[0], expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_animated_png_is_turned_as_a_whole(tmp_path: Path, orientation: int) -> None:
    """FFmpeg tells the orientation with the first picture alone."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    others = [ImageOps.invert(PICTURE), PICTURE]
    PICTURE.save(tmp_path / "a.png", save_all=True, append_images=others, duration=100, exif=exif)
    turned = []
    for number, picture in enumerate((PICTURE, *others)):
        picture.save(tmp_path / f"{number}.png", exif=exif)
        with Image.open(tmp_path / f"{number}.png") as stored:
            turned.append(np.asarray(ImageOps.exif_transpose(stored)))
    np.testing.assert_array_equal(read_frames(tmp_path / "a.png", 3).frames, turned)
    window = read_frames(tmp_path / "a.png", 2, sampling="consecutive", start=1)
    np.testing.assert_array_equal(window.frames, turned[1:])


def test_the_names_that_pyav_has_stay() -> None:
    from av.sidedata.sidedata import Type

    values = [member.value for member in (Type["DISPLAYMATRIX"], Type(31))]
    assert values == [6, 31]  # type: ignore[comparison-overlap]  # the stub takes a member's value for a member
    assert Type(6) is Type.DISPLAYMATRIX and Type(31).name == "UNNAMED_31"
