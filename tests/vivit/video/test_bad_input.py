"""Bad and hostile files: `vivit.video` answers each with frames and a warning, or with one sentence."""

import os
import struct
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.clips import read_number, write_clip
from tests.hostile.clips import KEYS
from tests.hostile.matroska import ENCRYPTED, matroska, matroska_track
from tests.vivit.video.test_reading import CLOSED_GOP
from vivit import video
from vivit.video import VideoError, VideoLimits, decoding, probe, read_frames


def _sentence(path: Path, limits: VideoLimits | None = None) -> str:
    """The sentence with which both `probe` and `read_frames` refuse a file."""
    with pytest.raises(VideoError) as probed:
        probe(path, limits=limits)
    with pytest.raises(VideoError) as read:
        read_frames(path, 4, limits=limits)
    assert str(probed.value) == str(read.value)
    assert "\n" not in str(read.value)
    assert isinstance(read.value.details, str)
    return str(read.value)


def test_missing_file(tmp_path: Path) -> None:
    assert _sentence(tmp_path / "gone.mp4") == "There is no file 'gone.mp4'; check its name and folder."
    assert _sentence(tmp_path / "no\0name.mp4").startswith("'no\\x00name.mp4' cannot be opened")


def test_folder(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    assert _sentence(tmp_path / "clips") == "'clips' is a folder; give a video file."


def test_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    assert _sentence(tmp_path / "pipe.mp4") == "'pipe.mp4' is not an ordinary file; give a video file."


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert _sentence(tmp_path / "empty.mp4") == "'empty.mp4' is empty; copy or upload it again."


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"x", "is plain text"),
        (b"hello, world\n" * 1000, "is plain text"),
        (("Größe: 3 µm\n" * 20_000).encode(), "is plain text"),
        (bytes(5000), "is not a video that can be read here, or not all of it"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "is a still picture (PNG)"),
        (b"%PDF-1.7\n" + bytes(50), "is a PDF document"),
        (b"PK\x03\x04" + bytes(50), "is a ZIP archive or an Office document"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><p>404", "is a web page"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "is a still picture (HEIC)"),
        (b"\xef\xbb\xbf#EXTM3U\n#EXTINF:1,\na.ts\n", "is a playlist (M3U), which only names other files"),
        ("\ufeff<html>Größe".encode("utf-16-le"), "is a web page"),
        (b"YUV4MPEG2 W64 H48 F2", "is not a video that can be read here, or not all of it"),
        (b"FORM\0\0\0\x40AIFFCOMM" + bytes(50), "is a sound file (AIFF)"),
        (b"#EXTM3U\n#EXTINF:1,\na.ts\n", "is a playlist (M3U), which only names other files"),
        (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(9), "is a damaged or incomplete WebP file"),
    ],
)
def test_a_refusal_says_what_the_file_is_and_what_would_be_read(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "text.mp4"
    path.write_bytes(content)
    sentence = _sentence(path)
    assert sentence.startswith(f"'text.mp4' {what}; give a whole MP4, MOV")
    assert sentence.endswith("or a raw H.264 stream.")


def test_sound_only(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    assert _sentence(tmp_path / "sound.wav") == "'sound.wav' holds no moving picture; choose a video file."


SCRIPTS = {
    "concat": "ffconcat version 1.0\nfile secret.mp4\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
}


SCRIPT_KINDS = {
    "concat": "is a list of files (ffconcat)",
    "hls": "is a playlist (M3U), which only names other files",
    "sdp": "is plain text",
}


@pytest.mark.parametrize("kind", SCRIPTS)
@pytest.mark.parametrize("suffix", ["mp4", "m3u8", "ffconcat", "sdp"])
def test_a_script_that_poses_as_a_video_opens_nothing(tmp_path: Path, kind: str, suffix: str) -> None:
    write_clip(tmp_path / "secret.mp4", 3)
    write_clip(tmp_path / "secret.ts", 3)
    path = tmp_path / f"script.{suffix}"
    path.write_text(SCRIPTS[kind])
    assert _sentence(path).startswith(f"{path.name!r} {SCRIPT_KINDS[kind]}; give a whole")


def test_the_concat_script_would_work_without_our_list(tmp_path: Path) -> None:
    write_clip(tmp_path / "secret.mp4", 3)
    (tmp_path / "script.mp4").write_text(SCRIPTS["concat"])
    with av.open(str(tmp_path / "script.mp4")) as container:
        assert container.format.name == "concat"
        assert sum(1 for _ in container.decode(video=0)) == 3


@pytest.mark.parametrize("flags", [{}, {"movflags": "frag_keyframe+empty_moov"}], ids=["whole", "in fragments"])
def test_encrypted(tmp_path: Path, flags: dict[str, str]) -> None:
    path = tmp_path / "locked.mp4"
    write_clip(path, 24, codec_options=CLOSED_GOP, container_options=KEYS | flags)
    assert _sentence(path) == "'locked.mp4' is encrypted (copy-protected); use an unprotected copy."


def test_encrypted_webm(tmp_path: Path) -> None:
    """Before each frame stand a byte that says that the frame is encrypted, and the 8 bytes of its initialisation vector."""
    frames = [b"\x01" + bytes(8) + np.random.default_rng(number).bytes(4000) for number in range(12)]
    path = tmp_path / "locked.webm"
    path.write_bytes(matroska(frames, tracks=matroska_track(codec="V_VP8", extra=ENCRYPTED), kind="webm"))
    assert _sentence(path) == "'locked.webm' is encrypted (copy-protected); use an unprotected copy."
    path.write_bytes(matroska(frames, tracks=matroska_track(codec="V_VP8"), kind="webm"))
    assert "encrypted" not in _sentence(path), "that they cannot be decoded alone says nothing"


def test_scrambled_broadcast(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "locked.ts", 30, codec_options=CLOSED_GOP)
    data = bytearray(path.read_bytes())
    for start in range(0, len(data), 188):
        if int.from_bytes(data[start + 1 : start + 3], "big") & 0x1FFF == 0x100:  # the video's packets
            data[start + 3] |= 0x80
            at = start + 4 + (1 + data[start + 4] if data[start + 3] & 0x20 else 0)
            data[at : start + 188] = np.random.default_rng(start).bytes(start + 188 - at)
    path.write_bytes(data)
    assert _sentence(path) == "'locked.ts' is encrypted (copy-protected); use an unprotected copy."


def test_cut_off_before_its_index(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "cut.mp4", 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "not all of it" in _sentence(path)


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.ts", "cut.avi"])
@pytest.mark.parametrize("part", [0.7, 0.9])
def test_cut_off_in_the_pictures(tmp_path: Path, name: str, part: float) -> None:
    options = {"movflags": "faststart"} if name.endswith("mp4") else None
    path = write_clip(tmp_path / name, 60, codec_options=CLOSED_GOP, container_options=options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    sampled = read_frames(path, 8)
    assert 10 < sampled.info.num_frames < 60
    numbers = [read_number(frame) for frame in sampled.frames[:-1]]  # the last one may be half there
    assert numbers == list(sampled.indices[:-1])
    if name.endswith("mp4"):  # the others' headers promise nothing that could be compared
        assert any(f"promises 60 frames; {sampled.info.num_frames}" in warning for warning in sampled.warnings)


def _break_from(path: Path, packet_number: int) -> None:
    """Overwrite that packet and all after it, so that their length fields are impossible; the headers stay whole."""
    with av.open(str(path)) as container:
        packets = [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for position, size in packets[packet_number:]:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)


def test_data_that_breaks_in_the_middle(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "broken.mp4", 60, codec_options=CLOSED_GOP)
    _break_from(path, 36)
    sampled = read_frames(path, 8)
    assert 30 <= sampled.info.num_frames <= 36
    assert [read_number(frame) for frame in sampled.frames] == list(sampled.indices)
    assert sampled.indices[-1] == sampled.info.num_frames - 1
    assert any(f"promises 60 frames; {sampled.info.num_frames} could" in warning for warning in sampled.warnings)


def test_no_picture_can_be_decoded(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "dead.mp4", 60, codec_options=CLOSED_GOP)
    _break_from(path, 0)
    assert _sentence(path).startswith("No picture of 'dead.mp4' can be decoded, though its header promises 60;")


def test_no_decoder(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "odd.mp4", 6)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    assert "no decoder" in _sentence(path)


@pytest.mark.parametrize(("size", "num_frames"), [((2, 2), 5), ((2, 2), 1), ((64, 2), 3), ((1, 1), 2)])
def test_tiny_pictures_are_read(tmp_path: Path, size: tuple[int, int], num_frames: int) -> None:
    pictures = [np.full((size[1], size[0], 3), 40 * i, np.uint8) for i in range(num_frames)]
    path = write_clip(tmp_path / "tiny.mov", codec="png", pix_fmt="rgb24", pictures=pictures)
    sampled = read_frames(path, num_frames)
    np.testing.assert_array_equal(sampled.frames, pictures)


def test_pictures_too_large_or_too_thin(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "large.mp4", 3, size=(640, 480))
    assert "have 640x480 pixels and at most 100000" in _sentence(path, VideoLimits(max_pixels=100_000))
    thin = write_clip(tmp_path / "thin.mp4", 3, size=(1024, 16))
    assert "are 1024x16, more than 32 times as long as wide" in _sentence(thin)
    Image.new("P", (3000, 3000)).save(tmp_path / "bomb.gif")
    assert "more than 1000000 pixels" in _sentence(tmp_path / "bomb.gif", VideoLimits(max_pixels=1_000_000))


def test_pixels_that_would_become_too_wide(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "wide.mp4", 3, sample_aspect_ratio=Fraction(30))
    assert "are 3840x96, more than 32 times as long as wide" in _sentence(path)


def test_too_many_frames(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "long.mp4", 20)
    limits = VideoLimits(max_frames=19)
    assert _sentence(path, limits) == "'long.mp4' has more than 19 frames; cut out a shorter piece."


def test_too_much_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "slow.mp4", 20, codec_options=CLOSED_GOP)
    sentence = "Reading 'slow.mp4' took longer than 1e-09 s, the limit; use a shorter or smaller video."
    assert _sentence(path, VideoLimits(max_seconds=1e-9)) == sentence
    info = probe(path)
    for lanes in (1, 2):
        monkeypatch.setattr(decoding, "MAX_LANES", lanes)
        monkeypatch.setattr("os.cpu_count", lambda: 2)
        with pytest.raises(VideoError, match="took longer than"):
            list(video.decode(info, [0, 15], limits=VideoLimits(max_seconds=1e-9)))


@pytest.mark.parametrize("name", ["max_pixels", "max_aspect_ratio", "max_frames", "max_seconds", "max_cores"])
def test_limits_must_be_positive(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        VideoLimits(**{name: 0})


def test_metadata_that_is_not_utf_8(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "name.mkv"), "w") as output:
        output.metadata["title"] = "QQQQ"
        stream = output.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(3):
            frame = av.VideoFrame(64, 48, "yuvj420p")
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    path = tmp_path / "name.mkv"
    path.write_bytes(path.read_bytes().replace(b"QQQQ", b"\xff\xfe\xff\xfe"))
    assert probe(path).num_frames == 3


def test_a_file_that_changes_after_probing(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 60, codec_options=CLOSED_GOP)
    info = probe(path)
    write_clip(path, 10, codec_options=CLOSED_GOP)
    with pytest.raises(VideoError, match=r"Frame 59 of 'clip\.mp4' cannot be decoded"):
        list(video.decode(info, [59]))
    path.unlink()
    with pytest.raises(VideoError, match="There is no file"):
        list(video.decode(info, [59]))


def test_random_damage_never_escapes_as_another_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a.mp4", "a.mkv", "a.ts", "a.avi"):
        whole = write_clip(tmp_path / name, 24, size=(64, 48), codec_options=CLOSED_GOP).read_bytes()
        for _ in range(25):
            data = bytearray(whole)
            for place in rng.integers(0, len(data), rng.integers(1, 40)):
                data[place] = rng.integers(0, 256)
            if rng.random() < 0.3:
                at = int(rng.integers(0, len(data) - 4))
                struct.pack_into(">I", data, at, 0xFFFFFFFF)
            (tmp_path / f"damaged{name[1:]}").write_bytes(data)
            try:
                sampled = read_frames(tmp_path / f"damaged{name[1:]}", 6, limits=VideoLimits(max_seconds=20))
                assert len(sampled.frames) == 6
                assert list(sampled.seconds) == sorted(sampled.seconds)
            except VideoError as error:
                assert str(error)
