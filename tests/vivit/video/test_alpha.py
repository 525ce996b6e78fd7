"""Transparent pictures lie on white, whatever stores them: black figures on nothing can be read on white and nowhere else."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from PIL import Image

from tests.clips import cut_out, draw_number, read_number, write_clip, written_once
from vivit.video import alpha, probe, read_frames
from vivit.video.picture import on_ground

FIGURES = [cut_out(draw_number(number)) for number in range(12)]
VPX = {"auto-alt-ref": "0", "deadline": "realtime", "cpu-used": "8", "g": "5"}


def _by_ffmpeg(codec: str, pix_fmt: str, **options: str) -> Callable[[Path], Path]:
    return lambda path: write_clip(path, codec=codec, pix_fmt=pix_fmt, codec_options=options, pictures=FIGURES)


def _by_pillow(path: Path) -> Path:
    first, *others = [Image.fromarray(figure) for figure in FIGURES]
    options = {"lossless": True} if path.suffix == ".webp" else {"disposal": 2}
    first.save(path, save_all=True, append_images=others, duration=100, **options)
    return path


CLIPS: dict[str, Callable[[Path], Path]] = {
    "vp8.webm": _by_ffmpeg("libvpx", "yuva420p", **VPX),
    "vp9.webm": _by_ffmpeg("libvpx-vp9", "yuva420p", **VPX),
    "vp9.mkv": _by_ffmpeg("libvpx-vp9", "yuva420p", **VPX),
    "png.mov": _by_ffmpeg("png", "rgba"),
    "png_grey.mov": _by_ffmpeg("png", "ya8"),
    "png_16_bit.mov": _by_ffmpeg("png", "rgba64be"),
    "qtrle.mov": _by_ffmpeg("qtrle", "argb"),
    "prores_4444.mov": _by_ffmpeg("prores_ks", "yuva444p10le", profile="4444"),
    "ffv1.mkv": _by_ffmpeg("ffv1", "bgra"),
    "animated.apng": _by_ffmpeg("apng", "rgba"),
    "animated.gif": _by_pillow,
    "animated.webp": _by_pillow,
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return written_once(tmp_path_factory.mktemp("alpha"), CLIPS)


@pytest.mark.parametrize("name", CLIPS)
def test_pictures_lie_on_white(clip: Callable[[str], Path], name: str) -> None:
    sampled = read_frames(clip(name), 12)
    assert [read_number(frame) for frame in sampled.frames] == list(range(12))
    assert not sampled.info.plain, "a player shows them on a ground of its own"
    assert sampled.warnings == ()


@pytest.mark.parametrize("name", CLIPS)
def test_one_picture_out_of_order_is_the_same(clip: Callable[[str], Path], name: str) -> None:
    window = read_frames(clip(name), 3, sampling="consecutive", start=7, stride=2)
    np.testing.assert_array_equal(window.frames, read_frames(clip(name), 12).frames[[7, 9, 11]])


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
@pytest.mark.parametrize("options", [{"auto-alt-ref": "0"}, {"auto-alt-ref": "0", "lag-in-frames": "16"}])
def test_pictures_are_those_of_libvpx(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    """The decoder of libvpx puts colours and alpha together itself, so its pictures say what is right."""
    soft = [np.dstack([draw_number(n), np.full((96, 128), 20 * n, np.uint8)]) for n in range(12)]
    path = write_clip(tmp_path / "a.webm", codec=codec, pix_fmt="yuva420p", codec_options=options, pictures=soft)
    with av.open(str(path)) as container:
        decoder = av.CodecContext.create(codec, "r")
        assert isinstance(decoder, VideoCodecContext)
        packets = [packet for packet in container.demux(video=0) if packet.size]
        pictures = [picture for packet in (*packets, None) for picture in decoder.decode(packet)]
    expected = [on_ground(picture.reformat(format="gbrap").to_ndarray()) for picture in pictures]
    np.testing.assert_array_equal(read_frames(path, 12).frames, expected)


def test_pictures_whose_alpha_never_comes_wait_only_so_long(tmp_path: Path) -> None:
    """Every packet brings alpha, and each alpha picture is marked as one that is not to be shown."""
    figures = [FIGURES[number % 12] for number in range(80)]
    path = write_clip(tmp_path / "a.webm", codec="libvpx", pix_fmt="yuva420p", codec_options=VPX, pictures=figures)
    stored = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                place = stored.index(bytes(packet.get_sidedata("matroska_block_additional"))[alpha.ID_BYTES :])
                stored[place] &= ~0x10  # show_frame; Source: RFC 6386, section 9.1
    path.write_bytes(stored)
    given = came = longest = 0
    with av.open(str(path)) as container:
        decoder = alpha.AlphaDecoder(container.streams.video[0].codec_context)
        for packet in container.demux(video=0):
            if packet.size:
                given, came = given + 1, came + len(decoder.decode(packet))
                longest = max(longest, given - came)
        came += len(decoder.decode(None))
    assert (given, came) == (80, 80) and longest == alpha.WAITING


def test_half_transparent_pixels_are_mixed_with_white(tmp_path: Path) -> None:
    colour = np.zeros((16, 16, 4), np.uint8)
    colour[...] = (200, 100, 0, 51)  # a fifth
    path = write_clip(tmp_path / "half.mov", codec="png", pix_fmt="rgba", pictures=[colour] * 2)
    np.testing.assert_array_equal(read_frames(path, 2).frames[0, 0, 0], [244, 224, 204])


@pytest.mark.parametrize("width", [*range(124, 140), 850])
@pytest.mark.parametrize(
    ("codec", "pix_fmt"), [("libvpx-vp9", "yuva420p"), ("ffv1", "yuva420p"), ("ffv1", "yuva422p10le")]
)
def test_every_column_is_right_at_any_width(tmp_path: Path, codec: str, pix_fmt: str, width: int) -> None:
    red = np.full((32, width, 4), (200, 40, 40, 255), np.uint8)
    options = {"auto-alt-ref": "0"} if codec == "libvpx-vp9" else {}
    path = write_clip(tmp_path / "red.mkv", codec=codec, pix_fmt=pix_fmt, pictures=[red] * 3, codec_options=options)
    assert np.abs(read_frames(path, 3).frames.astype(int) - (200, 40, 40)).max() < 8


def test_an_opaque_clip_keeps_its_bytes(tmp_path: Path) -> None:
    pictures = [np.random.default_rng(i).integers(0, 256, (16, 16, 4), np.uint8) | (0, 0, 0, 255) for i in range(3)]
    pictures = [picture.astype(np.uint8) for picture in pictures]
    path = write_clip(tmp_path / "opaque.mov", codec="png", pix_fmt="rgba", pictures=pictures)
    np.testing.assert_array_equal(read_frames(path, 3).frames, [picture[..., :3] for picture in pictures])


def test_a_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "palette.mov"), "w") as output:
        stream = output.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "pal8"
        for number in range(3):
            black = Image.fromarray((draw_number(number)[..., 0] > 128).astype(np.uint8), "P")
            black.putpalette([0, 0, 0, 9, 9, 9])
            file = tmp_path / "one.png"
            black.save(file, transparency=1)
            packet = av.Packet(file.read_bytes())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 10)
            packet.is_keyframe = True
            output.mux(packet)
    assert [read_number(frame) for frame in read_frames(tmp_path / "palette.mov", 3).frames] == [0, 1, 2]


def test_a_decoder_that_drops_alpha_is_told_of(clip: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alpha, "CODECS", {"one that is read with its alpha"})
    (warning,) = probe(clip("vp9.webm")).warnings
    assert warning.startswith("The clip is partly transparent, which the decoder here drops")
