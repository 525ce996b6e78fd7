"""What the builders of bad files share: small pictures, rude names, and the type of a function that writes a file."""

import struct
import zlib
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.clips import draw_number

Writer = Callable[[Path], object]

WIDTH, HEIGHT = 64, 48  # of an ordinary picture here

RUDE_TEXTS = {
    "not utf-8": b"\xff\xfe\x80\xc0 name \xed\xa0\x80",
    "4,000 characters": b"long " * 800,
    "markup": b"<script>alert(1)</script> [x](javascript:alert(1)) $\\frac{1}{0}$ :red[x] {{7*7}} %s %n",
    "control characters": bytes(range(1, 32)) + b"\x7f\r\nX-Injected: yes\x1b[2J",
    "right to left": "clip\u202e4pm.exe\u2066\u200b\ufeff".encode(),
}


def write(content: Callable[[], bytes]) -> Writer:
    """A function that writes to a path what another one returns."""
    return lambda path: path.write_bytes(content())


@cache
def picture(number: int, size: tuple[int, int] = (WIDTH, HEIGHT), kind: str = "JPEG") -> bytes:
    """A numbered picture as PIL writes it."""
    file = BytesIO()
    Image.fromarray(draw_number(number, *size)).save(file, kind)
    return file.getvalue()


@cache
def pictures(count: int, kind: str = "JPEG") -> tuple[bytes, ...]:
    return tuple(picture(number, kind=kind) for number in range(count))


@cache
def resized_jpeg(width: int, height: int) -> bytes:
    """A small JPEG whose own header declares another size."""
    data = bytearray(picture(0))
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    return bytes(data)


@cache
def png(size: tuple[int, int], *, data: bytes = b"", before: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """A PNG of one bit a pixel that declares a size; without `data` it has all its pixels, black.

    Args:
        size: (width, height).
        data: compressed pixels.
        before: (name, content) of chunks before them.
    """
    data = data or zlib.compress(bytes((1 + (size[0] + 7) // 8) * size[1]), 9)
    chunks = ((b"IHDR", struct.pack(">2I5B", *size, 1, 0, 0, 0, 0)), *before, (b"IDAT", data), (b"IEND", b""))
    made = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)
