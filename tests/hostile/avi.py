"""AVI files that lie."""

import random
import struct
from collections.abc import Sequence

from tests.hostile.pictures import HEIGHT, WIDTH, Writer, pictures, resized_jpeg, write


def chunk(kind: str, *content: bytes, size: int | None = None) -> bytes:
    """A RIFF chunk; `size` lies about its length."""
    body = b"".join(content)
    return struct.pack("<4sI", kind.encode(), len(body) if size is None else size) + body + bytes(len(body) % 2)


def avi(
    samples: Sequence[bytes],
    *,
    codec: str = "MJPG",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    rate: tuple[int, int] = (10, 1),
    count: int | None = None,
    riff_size: int | None = None,
    movi_size: int | None = None,
    sample_size: int | None = None,
    index: bytes | None = None,
    extra: bytes = b"",
) -> bytes:
    """An AVI file; rate is (frames, seconds)."""
    width, height = size
    frames = len(samples) if count is None else count
    main = struct.pack(
        "<14I", 100_000, 0, 0, 0x10, frames, 0, 1, 0, width & 0xFFFFFFFF, height & 0xFFFFFFFF, 0, 0, 0, 0
    )
    numbers = (0, 0, 0, rate[1], rate[0], 0, frames, 0, 0, 0)
    stream = struct.pack("<4s4s10I4H", b"vids", codec.encode(), *numbers, 0, 0, 0, 0)
    form = struct.pack("<IiiHH4s5I", 40 + len(extra), width, height, 1, 24, codec.encode(), 0, 0, 0, 0, 0) + extra
    header = chunk(
        "LIST", b"hdrl", chunk("avih", main), chunk("LIST", b"strl", chunk("strh", stream), chunk("strf", form))
    )
    data = [chunk("00dc", sample, size=sample_size) for sample in samples]
    if index is None:
        offsets = [4 + sum(map(len, data[:place])) for place in range(len(data))]
        index = b"".join(struct.pack("<4s3I", b"00dc", 0x10, o, len(s)) for o, s in zip(offsets, samples, strict=True))
    body = header + chunk("LIST", b"movi", *data, size=movi_size) + chunk("idx1", index)
    return chunk("RIFF", b"AVI ", body, size=riff_size)


def liar(**lies: object) -> Writer:
    """Writes a file of 12 good pictures but for what is given."""
    return write(lambda: avi(**{"samples": pictures(12)} | lies))  # type: ignore[arg-type]


def noise(codec: str) -> Writer:
    """Random bytes for one of FFmpeg's old decoders, the same ones each time."""
    source = random.Random(codec)
    return liar(samples=[source.randbytes(400) for _ in range(12)], codec=codec)


def nested(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = chunk("LIST", b"strl", content)
    return chunk("RIFF", b"AVI ", content)


# Old codecs, whose decoders see little daylight.
OLD_CODECS = (
    "cvid", "MSVC", "RLE ", "ZMBV", "tscc", "FLV1", "MP42", "WMV2", "IV31", "IV50", "VP31", "VP60", "LAGS", "FPS1",
    "HFYU", "FFV1", "SNOW", "CSCD", "DUCK", "TM20", "UCOD", "QPEG", "KMVC", "ULTI", "LOCO", "AASC", "VCR1", "CFHD",
)  # fmt: skip

AVI: dict[str, Writer] = {
    "avi: a file of 0 bytes by its header": liar(riff_size=0),
    "avi: a file of 4 GiB by its header": liar(riff_size=2**32 - 1),
    "avi: pictures of 4 GiB by their list": liar(movi_size=2**32 - 1),
    "avi: pictures of no bytes by their list": liar(movi_size=0),
    "avi: each picture 4 GiB by its chunk": liar(sample_size=2**32 - 1),
    "avi: each picture 2 GiB by its chunk": liar(sample_size=2**31 - 1),
    "avi: each picture empty by its chunk": liar(sample_size=0),
    "avi: 2^32 frames promised": liar(count=2**32 - 1),
    "avi: 0 frames promised": liar(count=0),
    "avi: 0 frames a second": liar(rate=(0, 1)),
    "avi: 1 frame in no time": liar(rate=(1, 0)),
    "avi: 2^32 frames a second": liar(rate=(2**32 - 1, 1)),
    "avi: a frame every 136 years": liar(rate=(1, 2**32 - 1)),
    "avi: 60000x60000 by its header": liar(size=(60000, 60000)),
    "avi: 0x0 by its header": liar(size=(0, 0)),
    "avi: negative sides": liar(size=(-64, -48)),
    "avi: the most negative sides": liar(size=(-(2**31), -(2**31))),
    "avi: JPEG pictures of 30000x30000": liar(samples=(resized_jpeg(30000, 30000),) * 12),
    "avi: an index that points behind the end": liar(index=struct.pack("<4s3I", b"00dc", 16, 2**32 - 1, 2**31) * 500),
    "avi: an index of garbage": liar(index=bytes(range(256)) * 50),
    "avi: no index": liar(index=b""),
    "avi: 60,000 bytes of parameters": liar(extra=b"\xff" * 60_000, codec="H264"),
    "avi: lists 5,000 deep": write(lambda: nested(5000)),
    "avi: 5,000 empty pictures": liar(samples=(b"",) * 5000),
    "avi: one frame": liar(samples=pictures(1)),
    "avi: raw pictures that are too short": liar(codec="\0\0\0\0"),
    **{f"avi: noise for {codec.strip()}": noise(codec) for codec in OLD_CODECS},
}
