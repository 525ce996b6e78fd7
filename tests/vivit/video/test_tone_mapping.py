"""PQ, HLG and wide gamuts against the same pictures in BT.709, by the published formulas turned round."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries
from av.video.stream import VideoStream

from tests.clips import write_clip
from vivit.video import probe, read_frames
from vivit.video.tone_mapping import TO_BT709, hlg_to_light, pq_to_light, to_bt709

WHITE = 203.0  # cd/m²
PRIMARIES = {"BT.2020": ColorPrimaries.BT2020, "Display P3": ColorPrimaries.SMPTE432}
PQ, HLG, BT2020_10 = 16, 18, 14


def _pq(light: np.ndarray) -> np.ndarray:
    """cd/m² → signal: SMPTE ST 2084's inverse EOTF."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = np.power(light / 10000, m1)
    return np.power((c1 + c2 * power) / (1 + c3 * power), m2)


def _hlg(light: np.ndarray) -> np.ndarray:
    """cd/m² on a screen of 1000 cd/m² → signal: ITU-R BT.2100's inverse OOTF and OETF."""
    luminance = (light @ np.array([0.2627, 0.6780, 0.0593]))[..., None] / 1000
    scene: np.ndarray = light / 1000 * np.power(np.maximum(luminance, 1e-9), (1 - 1.2) / 1.2)
    upper = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    signal: np.ndarray = np.where(scene <= 1 / 12, np.sqrt(3 * scene), upper)
    return signal


def _ordinary(light: np.ndarray) -> np.ndarray:
    return np.power(np.clip(light / WHITE, 0, 1), 1 / 2.4)


KINDS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int, str, str]] = {
    # how light becomes the signal, FFmpeg's number of the transfer, the gamut, what the warning calls the colours
    "pq": (_pq, PQ, "BT.2020", "PQ"),
    "hlg": (_hlg, HLG, "BT.2020", "HLG"),
    "pq_p3": (_pq, PQ, "Display P3", "PQ"),
    "bt2020": (_ordinary, BT2020_10, "BT.2020", "BT.2020"),
    "p3": (_ordinary, 1, "Display P3", "Display P3"),
}


def _pictures() -> list[np.ndarray]:
    """(32, 48, 3) each in [0, 0.9], of BT.709: ramps and colours, none so light that highlights are drawn together."""
    across, down = np.meshgrid(np.linspace(0, 0.9, 48), np.linspace(0, 0.9, 32))
    return [
        np.stack(channels, -1) for channels in ((across,) * 3, (across, down, 0.4 + 0 * down), (down, across, down))
    ]


def _converted(frame: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    """To YUV of BT.2020. FFmpeg gets the last columns of some widths wrong: at these a picture, of one colour, is filled in."""
    options: dict[str, Any] = {"format": pix_fmt, "dst_colorspace": "BT2020", "dst_color_range": "MPEG"}
    if frame.width % 16 == 0:
        return frame.reformat(**options)
    pixel = frame.to_ndarray()[:1, :1]
    square = np.tile(pixel, (16, 16, 1)).astype(np.uint16)
    small = av.VideoFrame.from_ndarray(square, format=frame.format.name).reformat(**options)
    size = 2 if "10" in pix_fmt else 1
    filled = av.VideoFrame(frame.width, frame.height, pix_fmt)
    for plane, like in zip(filled.planes, small.planes, strict=True):
        plane.update(bytes(like)[:size] * (plane.buffer_size // size))
    return filled


def _write(path: Path, kind: str, light: list[np.ndarray], codec: str = "ffv1", pix_fmt: str = "yuv444p10le") -> Path:
    """Write pictures of light, (H, W, 3) of BT.709 in cd/m², as a clip of a kind in `KINDS`."""
    to_signal, transfer, gamut, _ = KINDS[kind]
    to_gamut = np.linalg.inv(TO_BT709[PRIMARIES[gamut]])
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, _ = light[0].shape
        stream.pix_fmt = pix_fmt
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = (
            transfer,
            PRIMARIES[gamut],
            9,
            1,
        )
        for number, picture in enumerate(light):
            signal = np.clip(to_signal(np.maximum(picture @ to_gamut.T, 0)), 0, 1)
            frame = av.VideoFrame.from_ndarray(np.rint(signal * 65535).astype(np.uint16), format="rgb48le")
            frame = _converted(frame, pix_fmt)
            frame.color_trc, frame.color_primaries, frame.colorspace, frame.pts = transfer, PRIMARIES[gamut], 9, number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_brighter_than_white_looks_as_in_ordinary_video(tmp_path: Path, kind: str) -> None:
    pictures = _pictures()
    path = _write(tmp_path / "clip.mkv", kind, [WHITE * np.power(picture, 2.4) for picture in pictures])
    sampled = read_frames(path, len(pictures))
    difference = np.abs(sampled.frames - 255 * np.array(pictures))
    # Between two colours of the table a straight line stands for the curve. The curve is steepest where one channel of a
    # strong colour is next to nothing, and only there is the line further from the curve.
    assert difference.mean() < 1 and np.percentile(difference, 95) < 3
    (warning,) = sampled.warnings
    assert warning == f"The clip is in {KINDS[kind][3]}; it was tone-mapped to BT.709, the colours of ordinary video."
    assert not sampled.info.plain


@pytest.mark.parametrize(("codec", "pix_fmt"), [("libx265", "yuv420p10le"), ("prores_ks", "yuv422p10le")])
def test_as_phones_and_cameras_store_it(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    grey = np.full((128, 128, 3), WHITE * 0.5**2.4)
    path = _write(tmp_path / "clip.mkv", "pq", [grey] * 3, codec, pix_fmt)
    assert read_frames(path, 3).frames == pytest.approx(127.5, abs=3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p10le", "yuv420p"])
@pytest.mark.parametrize("width", [47, 129, 130, 131, 132, 133])
def test_every_column_is_right_at_any_width(tmp_path: Path, kind: str, pix_fmt: str, width: int) -> None:
    colour = np.full((32, width, 3), (0.6, 0.3, 0.2))
    path = _write(tmp_path / "clip.mkv", kind, [WHITE * np.power(colour, 2.4)] * 2, pix_fmt=pix_fmt)
    frame = read_frames(path, 2).frames[1]
    assert frame.shape == colour.shape
    assert np.abs(frame - 255 * colour).max() < (12 if pix_fmt == "yuv420p" else 4)  # of PQ 8 bits are few


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    grey = [np.full((32, 48, 3), 120, np.uint8)] * 2
    path = write_clip(
        tmp_path / "clip.mkv",
        pictures=grey,
        sample_aspect_ratio=Fraction(4, 3) * Fraction(65, 64),
        colours={"color_primaries": 9},
    )
    frame = read_frames(path, 2).frames[0]
    assert frame.shape == (32, 65, 3) and np.abs(frame.astype(int) - 120).max() < 3


@pytest.mark.parametrize("kind", ["pq", "hlg"])
def test_highlights_stay_apart_up_to_1000_candela(tmp_path: Path, kind: str) -> None:
    levels = [np.full((32, 48, 3), float(light)) for light in (160, 203, 300, 500, 1000)]
    shown = [float(frame.mean()) for frame in read_frames(_write(tmp_path / "clip.mkv", kind, levels), 5).frames]
    assert shown == sorted(set(shown)), shown
    assert shown[-1] > 252


def test_published_points_of_the_curves() -> None:
    # ITU-R BT.2408, table 1: reference white is 58 % of PQ and 75 % of HLG; 1000 cd/m² are 75 % of PQ.
    assert pq_to_light(np.array([0.0, 0.5806, 0.7518, 1.0])) == pytest.approx(
        [0, 203, 1000, 10_000], rel=2e-3, abs=1e-6
    )
    greys = np.repeat(np.array([0.0, 0.75, 1.0])[:, None], 3, 1)
    assert hlg_to_light(greys)[:, 0] == pytest.approx([0, 203, 1000], rel=2e-3, abs=1e-6)


def test_black_white_and_grey_have_no_tint() -> None:
    greys = np.repeat(np.linspace(0, 1, 50)[:, None], 3, 1)
    for transfer in (PQ, HLG, BT2020_10):
        mapped = to_bt709(greys, transfer, 9)
        assert np.ptp(mapped, axis=1).max() < 2e-3
        assert np.all(np.diff(mapped[:, 0]) >= -1e-9)


def test_an_ordinary_clip_is_left_alone(tmp_path: Path) -> None:
    info = probe(write_clip(tmp_path / "clip.mp4", 3, colours={"color_trc": 1, "color_primaries": 1, "colorspace": 1}))
    assert info.plain and not info.warnings


def test_transparent_pictures_in_pq_are_mapped_and_lie_on_white(tmp_path: Path) -> None:
    figure = np.zeros((32, 48, 4), np.uint8)
    figure[:, :24] = (148, 148, 148, 255)  # 58 % of PQ: white
    figure[:, 24:] = (0, 0, 0, 0)
    path = write_clip(
        tmp_path / "clip.mkv",
        codec="ffv1",
        pix_fmt="bgra",
        pictures=[figure] * 2,
        colours={"color_trc": PQ, "color_primaries": 9},
    )
    frame = read_frames(path, 2).frames[0]
    assert frame[:, :24].mean() == pytest.approx(242, abs=4) and frame[:, 24:].min() == 255
