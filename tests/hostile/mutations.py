"""Good clips with seeded damage: the same seed, the same file."""

import random
import struct
from collections.abc import Callable

from tests.hostile.clips import written

Damage = Callable[[random.Random, bytearray, bytes], None]  # what it changes in place, and another clip to take from

SOURCES: dict[str, tuple[str, ...]] = {
    "mp4": ("h264.mp4", "faststart.mp4", "fragments.mp4"),
    "mkv": ("h264.mkv", "mjpeg.mkv"),
    "webm": ("vp9.webm", "vp8.webm"),
    "gif": ("colours.gif",),
    "webp": ("animated.webp",),
    "bare": ("raw.h264", "raw.m2v", "raw.mjpeg", "vp8.ivf", "frames.y4m", "animated.apng"),
    "treated": ("alpha.webm", "alpha.mov", "hdr.mkv", "fields.ts"),
}
# What a reader looks for in them, and finds lengths and other numbers beside.
BOXES = (
    b"ftyp moov mvhd trak tkhd edts elst mdia mdhd hdlr minf dinf dref stbl stsd avc1 avcC pasp stts stss ctts stsc stsz "
    b"stco mvex trex moof mfhd traf tfhd tfdt trun mdat udta meta ilst mfra tfra mfro btrt colr"
)
ELEMENTS = (
    "1a45dfa3 18538067 1549a966 1654ae6b 1f43b675 1c53bb6b 114d9b74 1254c367 2ad7b1 23e383 63a2 4489 4dbb 53ac 73c5 "
    "ae d7 83 86 e0 b0 ba a3 a0 a1 e7 bb b7 f1 ec"
)
SIGNS: dict[str, tuple[bytes, ...]] = {
    "mp4": tuple(BOXES.split()),
    "mkv": tuple(map(bytes.fromhex, ELEMENTS.split())),
    "webm": tuple(map(bytes.fromhex, ELEMENTS.split())),
    "gif": (b"GIF89a", b"\x21\xf9\x04", b"\x21\xff\x0b", b"\x00\x2c", b"\x00\x21", b"\xff"),
    "webp": (b"RIFF", b"WEBP", b"VP8X", b"ANIM", b"ANMF", b"VP8 "),
    "bare": (b"\0\0\1", b"\xff\xd8", b"\xff\xc0", b"DKIF", b"YUV4MPEG2", b"FRAME", b"IHDR", b"acTL", b"fcTL", b"fdAT"),
    "treated": (*map(bytes.fromhex, ELEMENTS.split()), *BOXES.split(), b"\x47", b"\0\0\1"),
}
EXTREMES = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0xFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
HEAD = 1500  # bytes; most of what steers a reader lies in the first or last so many


def _place(chance: random.Random, data: bytearray) -> int:
    """Half of the time anywhere, else near the beginning or the end."""
    if chance.random() < 0.5:
        return chance.randrange(len(data))
    near = chance.randrange(min(HEAD, len(data)))
    return near if chance.random() < 0.7 else len(data) - 1 - near


def _flip_bits(chance: random.Random, data: bytearray, other: bytes) -> None:
    for _ in range(chance.choice((1, 1, 2, 5, 20, 100))):
        data[_place(chance, data)] ^= 1 << chance.randrange(8)


def _overwrite(chance: random.Random, data: bytearray, other: bytes) -> None:
    start = _place(chance, data)
    size = min(chance.choice((1, 4, 16, 64, 500)), len(data) - start)
    data[start : start + size] = chance.choice((bytes(size), b"\xff" * size, chance.randbytes(size)))


def _remove(chance: random.Random, data: bytearray, other: bytes) -> None:
    start = _place(chance, data)
    del data[start : start + chance.choice((1, 2, 4, 30, 1000))]


def _repeat(chance: random.Random, data: bytearray, other: bytes) -> None:
    start = _place(chance, data)
    data[start:start] = data[start : start + chance.choice((1, 4, 30, 1000))] * chance.choice((1, 3, 50))


def _cut(chance: random.Random, data: bytearray, other: bytes) -> None:
    del data[_place(chance, data) :]


def _splice(chance: random.Random, data: bytearray, other: bytes) -> None:
    """The clip's beginning, and the other clip's end."""
    start = _place(chance, data)
    del data[start:]
    data += other[chance.choice((start, chance.randrange(len(other)))) :]


def _lie(signs: tuple[bytes, ...]) -> Damage:
    """Put extreme numbers beside the signs that a reader looks for."""

    def damage(chance: random.Random, data: bytearray, other: bytes) -> None:
        for _ in range(chance.choice((1, 1, 2, 4))):
            if not (left := [sign for sign in signs if sign in data]):
                return
            sign = chance.choice(left)
            places = [place for place in range(len(data)) if data.startswith(sign, place)]
            place = chance.choice(places) + chance.choice(
                (-4, len(sign), len(sign), len(sign) + 4 * chance.randrange(8))
            )
            number = chance.choice((*EXTREMES, chance.getrandbits(32)))
            if 0 <= place <= len(data) - 4:
                size = chance.choice((1, 2, 4))
                data[place : place + size] = struct.pack(">I", number)[-size:]

    return damage


def mutate(kind: str, seed: int) -> bytes:
    """A damaged clip.

    Args:
        kind: a name in `SOURCES`.
        seed: which one.

    Returns:
        The file; never the bytes of the clip that was damaged.
    """
    chance = random.Random(f"{kind} {seed}")
    whole, other = (written(chance.choice(SOURCES[kind]), frames) for frames in (12, 7))
    data = bytearray(whole)
    lie = _lie(SIGNS[kind])
    while bytes(data) == whole:
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            if len(data) > 8:
                chance.choice((_flip_bits, _overwrite, lie, lie, _remove, _repeat, _cut, _splice))(chance, data, other)
    return bytes(data)
