"""Good clips made bad: cut off, filled up, glued together, or with numbers changed in their headers."""

import random
import struct
import tempfile
from collections.abc import Callable
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any

import av
from PIL import Image

from tests.clips import draw_number, write_clip
from tests.hostile.avi import avi
from tests.hostile.gif import gif, gif_frame
from tests.hostile.matroska import matroska
from tests.hostile.mp4 import Track, movie
from tests.hostile.pictures import HEIGHT, WIDTH, Writer, pictures, write

GROUPS_OF_6 = {"x264-params": "keyint=6:min-keyint=6:scenecut=0:bframes=2:b-adapt=0:log-level=none"}
KEYS = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "0123456789abcdef" * 2,
    "encryption_kid": "fedcba9876543210" * 2,
}
GIB = 2**30

# name → options of `write_clip`; the name's ending is the container's.
GOOD: dict[str, dict[str, Any]] = {
    "h264.mp4": {"codec_options": GROUPS_OF_6},
    "faststart.mp4": {"codec_options": GROUPS_OF_6, "container_options": {"movflags": "faststart"}},
    "fragments.mp4": {"codec_options": GROUPS_OF_6, "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "h264.mkv": {"codec_options": GROUPS_OF_6},
    "mjpeg.mkv": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "vp9.webm": {"codec": "libvpx-vp9", "codec_options": {"deadline": "realtime", "cpu-used": "8", "g": "6"}},
    "vp8.webm": {"codec": "libvpx", "codec_options": {"deadline": "realtime", "cpu-used": "8", "g": "6"}},
    "colours.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "h264.ts": {"codec_options": GROUPS_OF_6},
    "mpeg2.mpg": {"codec": "mpeg2video"},
    "flv1.flv": {"codec": "flv1"},
    "vp8.ogg": {"codec": "libvpx", "codec_options": {"deadline": "realtime", "cpu-used": "8"}},
    "wmv2.asf": {"codec": "wmv2"},
    "raw.h264": {"codec_options": GROUPS_OF_6},
    "raw.m2v": {"codec": "mpeg2video", "container": "mpeg2video"},
    "raw.mjpeg": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "vp8.ivf": {"codec": "libvpx", "codec_options": {"deadline": "realtime", "cpu-used": "8"}},
    "frames.y4m": {"codec": "wrapped_avframe", "container": "yuv4mpegpipe"},
    "animated.apng": {"codec": "apng", "pix_fmt": "rgb24"},
    "alpha.webm": {"codec": "libvpx-vp9", "pix_fmt": "yuva420p", "codec_options": {"auto-alt-ref": "0"}},
    "alpha.mov": {"codec": "qtrle", "pix_fmt": "argb"},
    "hdr.mkv": {"codec": "ffv1", "pix_fmt": "yuv420p10le", "colours": {"color_trc": 16, "color_primaries": 9}},
    "fields.ts": {"codec": "mpeg2video", "codec_options": {"flags": "+ildct+ilme"}},
}


@cache
def written(name: str, num_frames: int = 24, size: tuple[int, int] = (WIDTH, HEIGHT), **changes: Any) -> bytes:
    """The bytes of one of the `GOOD` clips, or of an animated WebP, which Pillow writes."""
    if name.endswith(".webp"):
        first, *others = [Image.fromarray(draw_number(number, *size)) for number in range(num_frames)]
        file = BytesIO()
        first.save(file, "WEBP", save_all=True, append_images=others, duration=40)
        return file.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        return write_clip(Path(folder) / name, num_frames, size=size, **GOOD[name] | changes).read_bytes()


def encrypted() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "locked.mp4"
        return write_clip(
            path, 12, size=(WIDTH, HEIGHT), codec_options=GROUPS_OF_6, container_options=KEYS
        ).read_bytes()


def sound(name: str, codec: str) -> bytes:
    """A second of silence."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        with av.open(str(path), "w") as output:
            stream = output.add_stream(codec, rate=48_000, layout="mono")
            assert isinstance(stream, av.AudioStream)
            samples = stream.codec_context.frame_size or 1024
            for number in range(48_000 // samples):
                kind = stream.codec_context.format.name
                frame = av.AudioFrame(kind, "mono", samples)
                frame.planes[0].update(bytes(frame.planes[0].buffer_size))
                frame.sample_rate, frame.pts = 48_000, number * samples
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return path.read_bytes()


def cut(name: str, part: float, path: Path) -> None:
    whole = written(name)
    path.write_bytes(whole[: int(len(whole) * part)])


def with_numbers(name: str, atom: bytes, offset: int, format: str, *values: int) -> Writer:
    """A good clip, with numbers written over at an offset from where an atom's name begins."""

    def change(path: Path) -> None:
        data = bytearray(written(name))
        struct.pack_into(format, data, data.index(atom) + offset, *values)
        path.write_bytes(data)

    return change


def garbled(name: str, path: Path) -> None:
    """The headers whole, every picture's data noise."""
    data = bytearray(written(name))
    path.write_bytes(data)
    noise = random.Random(0)
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size and packet.pos]
    for place, size in places:
        end = min(place + size, len(data))
        if end > place + 8:  # the first bytes stay, so that decoders begin with it
            data[place + 8 : end] = noise.randbytes(end - place - 8)
    path.write_bytes(data)


def write_with_hole(before: bytes, size: int, after: bytes, path: Path) -> None:
    """A file with zeros up to a size, which take no space on the disk, and something after them."""
    with path.open("wb") as file:
        file.write(before)
        file.truncate(size)
        file.seek(size)
        file.write(after)


# In most of these FFmpeg looks for something more through all of the zeros.
HOLLOW: dict[str, Callable[[], bytes]] = {
    "nothing": bytes,
    "a Matroska file": lambda: matroska(pictures(12)),
    "an AVI file": lambda: avi(pictures(12), riff_size=2**32 - 1),
    "a GIF": lambda: gif((WIDTH, HEIGHT), *[gif_frame()] * 12, end=b""),
    **{
        name: partial(written, name) for name in ("h264.ts", "h264.mp4", "flv1.flv", "mpeg2.mpg", "vp8.ogg", "wmv2.asf")
    },
}


def with_hole_after(name: str, size: int) -> Writer:
    return lambda path: write_with_hole(HOLLOW[name](), size, b"", path)


def _movie_with_hole(path: Path) -> None:
    """A good movie, 3 GiB of nothing between its pictures and its tables."""
    whole = movie(Track(pictures(12)))
    tables = whole.index(b"moov") - 4
    hole = 8 + 3 * GIB
    write_with_hole(whole[:tables] + struct.pack(">I4s", hole, b"free"), tables + hole, whole[tables:], path)


CLIPS: dict[str, Writer] = {
    **{f"cut: {name} after {part:.0%}": partial(cut, name, part) for name in GOOD for part in (0.02, 0.35, 0.8)},
    **{f"cut: h264.mp4 after {part:.1%}": partial(cut, "h264.mp4", part) for part in (0.5, 0.9, 0.995)},
    **{f"garbled: {name}": partial(garbled, name) for name in GOOD},
    "encrypted.mp4": write(encrypted),
    "one frame: h264.mp4": write(lambda: written("h264.mp4", 1)),
    "one frame: vp9.webm": write(lambda: written("vp9.webm", 1)),
    "2x2: h264.mp4": write(lambda: written("h264.mp4", 12, (8, 8)).replace(b"\0\x08\0\x08", b"\0\x02\0\x02")),
    "3,000 frames of 16x16: h264.mkv": write(lambda: written("h264.mkv", 3000, (16, 16))),
    "two sizes: h264.ts": write(lambda: written("h264.ts") + written("h264.ts", 12, (320, 240))),
    "two sizes: flv1.flv": write(lambda: written("flv1.flv") + written("flv1.flv", 12, (320, 240))[13:]),
    "two codecs: h264.ts and mpeg2": write(lambda: written("h264.ts") + written("h264.ts", 12, codec="mpeg2video")),
    "two files in one: mkv and mp4": write(lambda: written("h264.mkv") + written("h264.mp4")),
    "two files in one: webm and gif": write(lambda: written("vp9.webm") + written("colours.gif")),
    "twice: h264.ts": write(lambda: written("h264.ts") * 2),
    "promises: 0 samples": with_numbers("h264.mp4", b"stsz", 12, ">I", 0),
    "promises: 2^31 samples": with_numbers("h264.mp4", b"stsz", 12, ">I", 2**31),
    "promises: 2^32 - 1 rows of sizes": with_numbers("h264.mp4", b"stsz", 12, ">I", 2**32 - 1),
    "promises: no duration": with_numbers("h264.mp4", b"mdhd", 20, ">I", 0),
    "promises: timescale 1": with_numbers("h264.mp4", b"mdhd", 16, ">I", 1),
    "promises: timescale 2^32 - 1": with_numbers("h264.mp4", b"mdhd", 16, ">I", 2**32 - 1),
    "promises: composition offsets of 2^31": with_numbers("h264.mp4", b"ctts", 16, ">I", 2**31),
    "promises: frames that last 2^31 ticks": with_numbers("h264.mp4", b"stts", 16, ">I", 2**31),
    "promises: an edit from 2^31 - 1": with_numbers("h264.mp4", b"elst", 16, ">I", 2**31 - 1),
    "promises: 60000x60000": with_numbers("h264.mp4", b"avc1", 28, ">HH", 60000, 60000),
    "promises: parameters of 64 KiB": with_numbers("h264.mp4", b"avcC", 10, ">H", 2**16 - 1),
    "promises: a fragment's offset of 2^31": with_numbers("fragments.mp4", b"trun", 12, ">I", 2**31),
    "promises: a fragment of 2^24 samples": with_numbers("fragments.mp4", b"trun", 8, ">I", 2**24),
    "sound: wave": write(lambda: sound("sound.wav", "pcm_s16le")),
    "sound: mp3": write(lambda: sound("sound.mp3", "libmp3lame")),
    "sound: flac": write(lambda: sound("sound.flac", "flac")),
    "sound: aac": write(lambda: sound("sound.aac", "aac")),
    "sound: opus in webm": write(lambda: sound("sound.webm", "libopus")),
    "sound: aac in mp4": write(lambda: sound("sound.mp4", "aac")),
    "hole: 4 GiB of zeros": with_hole_after("nothing", 4 * GIB),
    "hole: a good movie with 3 GiB of nothing in it": _movie_with_hole,
    **{f"hole: 30 MB after {name}": with_hole_after(name, 30 * 10**6) for name in HOLLOW},
}
