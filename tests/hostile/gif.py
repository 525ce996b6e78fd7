"""GIFs that lie."""

import struct

from tests.hostile.pictures import RUDE_TEXTS, Writer, write

ONE_DOT = b"\x02\x02\x44\x01\x00"  # the compressed data of a picture of one pixel


def gif_frame(
    hundredths: int = 10, *, size: tuple[int, int] = (1, 1), at: tuple[int, int] = (0, 0), dispose: int = 1
) -> bytes:
    """A frame that declares a size, and holds one pixel."""
    control = struct.pack("<3sBHBB", b"\x21\xf9\x04", dispose << 2, hundredths, 0, 0)
    return control + struct.pack("<B4HB", 0x2C, *at, *size, 0) + ONE_DOT


def gif(size: tuple[int, int], *frames: bytes, loops: int = 0, end: bytes = b";") -> bytes:
    """A GIF with four colours."""
    colours = bytes((0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 255))
    repeat = b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", loops, 0)
    return b"GIF89a" + struct.pack("<2HBBB", *size, 0xF1, 0, 0) + colours + repeat + b"".join(frames) + end


def dots(canvas: tuple[int, int], count: int = 12, **lies: object) -> Writer:
    """Writes a GIF of so many frames of one pixel."""
    return write(lambda: gif(canvas, *[gif_frame(**lies)] * count))  # type: ignore[arg-type]


def code_size(size: int) -> Writer:
    return write(lambda: gif((64, 48), *[gif_frame().removesuffix(ONE_DOT) + bytes((size, 2, 0x44, 1, 0))] * 3))


def commented(text: bytes) -> Writer:
    comment = b"\x21\xfe\x40" + text[:64].ljust(64) + b"\0"
    return write(lambda: gif((64, 48), comment, *[gif_frame()] * 3))


GIF: dict[str, Writer] = {
    "gif: 16000x16000": dots((16000, 16000)),
    "gif: 65535x65535": dots((65535, 65535)),
    "gif: 65535x1": dots((65535, 1)),
    "gif: 8192x16": dots((8192, 16)),
    "gif: 1x1": dots((1, 1)),
    "gif: 0x0": dots((0, 0)),
    "gif: one frame": dots((64, 48), 1),
    "gif: no frames": dots((64, 48), 0),
    "gif: 5,000 frames without a delay": dots((64, 48), 5000, hundredths=0),
    "gif: 10 minutes a frame": dots((64, 48), hundredths=65535),
    "gif: frames larger than the canvas": dots((64, 48), size=(9000, 9000)),
    "gif: frames beside the canvas": dots((64, 48), at=(60000, 60000)),
    "gif: empty frames": dots((64, 48), size=(0, 0)),
    "gif: 6 frames of 36 million pixels each": dots((6000, 6000), 6),
    "gif: 10 frames of 12 million pixels each, each cleared": dots((4000, 3000), 10, dispose=2),
    "gif: an impossible way to go on": dots((64, 48), dispose=7),
    "gif: no end": write(lambda: gif((64, 48), *[gif_frame()] * 12, end=b"")),
    "gif: a comment that never ends": write(lambda: gif((64, 48), gif_frame(), b"\x21\xfe" + b"\xff" * 5000)),
    "gif: blocks of no known kind": write(lambda: gif((64, 48), *[gif_frame(), b"\x77\x21\x00\x05abc"] * 12)),
    **{f"gif: code size {size}": code_size(size) for size in (0, 12, 255)},
    **{f"gif: a comment, {name}": commented(text) for name, text in RUDE_TEXTS.items()},
}
