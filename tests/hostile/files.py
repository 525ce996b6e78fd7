"""Every generated bad file, in one dict: what is wrong with it → the function that writes it to a path."""

import gzip
import json
import random
import struct
import tarfile
import zipfile
from functools import partial
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.clips import draw_number
from tests.hostile.avi import AVI
from tests.hostile.clips import CLIPS
from tests.hostile.gif import GIF
from tests.hostile.matroska import MATROSKA
from tests.hostile.mp4 import MP4, Track, movie, one_byte_samples
from tests.hostile.pictures import Writer, picture, write
from tests.hostile.scripts import REFERENCES, SCRIPTS


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("clip.mp4", picture(1) * 20)


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("../../etc/clip.mp4")
        entry.size = len(picture(1))
        archive.addfile(entry, BytesIO(picture(1)))


def _program() -> bytes:
    """The head of a Linux program."""
    numbers = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return b"\x7fELF\2\1\1" + bytes(9) + numbers + bytes(4000)


def _still(kind: str, path: Path) -> None:
    Image.fromarray(draw_number(7, 64, 48)).save(path, kind)


OTHER: dict[str, Writer] = {
    "empty": write(bytes),
    "one byte": write(lambda: b"\0"),
    "zeros": write(lambda: bytes(10**6)),
    "random bytes": write(lambda: random.Random(0).randbytes(10**6)),
    "text": write(lambda: b"This is no video.\n" * 1000),
    "zip": _zip,
    "tar": _tar,
    "gzip": write(lambda: gzip.compress(bytes(10**6), mtime=0)),
    "pdf": write(lambda: b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"),
    "a Linux program": write(_program),
    "a Windows program": write(lambda: b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(4000)),
    "a web page": write(lambda: b"<!DOCTYPE html><html><body><video src=/etc/passwd></video></body></html>\n"),
    "json": write(lambda: json.dumps({"video": [[[0] * 3] * 64] * 48}).encode()),
    "subtitles": write(lambda: b"1\n00:00:00,000 --> 00:00:02,000\nHello.\n\n" * 50),
    **{f"a {kind} picture": partial(_still, kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "ICO")},
    "the first bytes of an MP4": write(lambda: b"\0\0\0\x20ftypisom"),
    "the first bytes of a Matroska file": write(lambda: b"\x1a\x45\xdf\xa3"),
    "the first bytes of an AVI": write(lambda: b"RIFF\xff\xff\xff\xffAVI LIST"),
    "the first bytes of a GIF": write(lambda: b"GIF89a"),
    "the first bytes of an Ogg file": write(lambda: b"OggS\0\2" + bytes(40)),
    "transport stream packets of noise": write(
        lambda: b"".join(b"\x47" + random.Random(n).randbytes(187) for n in range(2000))
    ),
    "program stream of noise": write(lambda: (b"\0\0\1\xba" + bytes(10) + b"\0\0\1\xe0\xff\xff" + bytes(3000)) * 50),
}

# Files of about 1 kB that make FFmpeg fill gigabytes of memory while it opens them: only the worker's limit stops them.
EXHAUSTING: dict[str, Writer] = {
    "mp4: 2 tracks of 80 million samples of one byte": write(
        lambda: movie(*[Track((b"x",), tables=one_byte_samples(80_000_000))] * 2)
    ),
}

FILES: dict[str, Writer] = OTHER | SCRIPTS | REFERENCES | MP4 | MATROSKA | AVI | GIF | CLIPS
