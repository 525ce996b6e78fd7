"""MP4 and QuickTime files that lie."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.hostile.pictures import HEIGHT, RUDE_TEXTS, WIDTH, Writer, picture, pictures, png, resized_jpeg, write

UNTURNED = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


def box(kind: str, *content: bytes, size: int | None = None) -> bytes:
    """An MP4 box; `size` lies about its length."""
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body) if size is None else size, kind.encode("latin-1")) + body


def full_box(kind: str, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def table(kind: str, *rows: Sequence[int], count: int | None = None) -> bytes:
    """A box that counts its rows of 32-bit numbers; `count` lies about how many."""
    body = b"".join(struct.pack(f">{len(row)}I", *(number % 2**32 for number in row)) for row in rows)
    return full_box(kind, struct.pack(">I", len(rows) if count is None else count), body)


HERE = full_box("dref", struct.pack(">I", 1), full_box("url ", flags=1))  # 'the data is in this file'


@dataclass(frozen=True)
class Track:
    """One track of `movie`; whatever is not given is true.

    Args:
        samples: the bytes of each sample; 100 ms each unless `tables` says otherwise.
        codec: the sample entry's four letters.
        size: as the header declares it.
        timescale: ticks a second.
        duration: ticks, in the headers.
        matrix: of the track header.
        entry: boxes at the end of the sample entry.
        dref: the data reference box.
        tables: boxes of the sample table by name, in place of the true ones; empty bytes leave one out.
        before_media: boxes between track header and media.
        handler: what kind of track it claims to be.
    """

    samples: Sequence[bytes]
    codec: str = "jpeg"
    size: tuple[int, int] = (WIDTH, HEIGHT)
    timescale: int = 1000
    duration: int | None = None
    matrix: Sequence[int] = UNTURNED
    entry: bytes = b""
    dref: bytes = HERE
    tables: Mapping[str, bytes] = field(default_factory=dict)
    before_media: bytes = b""
    handler: str = "vide"


def movie(*tracks: Track, in_movie: bytes = b"", after: bytes = b"", brand: str = "qt  ") -> bytes:
    """A QuickTime or MP4 file: type, data, then the tables."""
    start = box("ftyp", brand.encode(), bytes(4), brand.encode())
    data = b"".join(sample for track in tracks for sample in track.samples)
    offset = len(start) + 8
    made = []
    for number, track in enumerate(tracks, 1):
        made.append(_track_box(track, number, offset))
        offset += sum(map(len, track.samples))
    header = full_box("mvhd", struct.pack(">4I", 0, 0, 1000, 1000), _movie_tail(len(tracks) + 1))
    return start + box("mdat", data) + box("moov", header, *made, in_movie) + after


def _movie_tail(next_track: int) -> bytes:
    return struct.pack(">IH10x9i24xI", 1 << 16, 1 << 8, *UNTURNED, next_track)


def _track_box(track: Track, number: int, offset: int) -> bytes:
    count = len(track.samples)
    duration = 100 * count if track.duration is None else track.duration
    sides = [side << 16 & 0xFFFFFFFF for side in track.size]
    header = struct.pack(">5I8xHHHH9i2I", 0, 0, number, 0, duration, 0, 0, 0, 0, *track.matrix, *sides)
    tables = {
        "stsd": full_box("stsd", struct.pack(">I", 1), _sample_entry(track)),
        "stts": table("stts", (count, 100)),
        "stsc": table("stsc", (1, count, 1)),
        "stsz": full_box("stsz", struct.pack(f">II{count}I", 0, count, *map(len, track.samples))),
        "stco": table("stco", (offset,)),
    } | dict(track.tables)
    media = (
        full_box("mdhd", struct.pack(">4IHH", 0, 0, track.timescale, duration, 0x55C4, 0)),
        full_box("hdlr", bytes(4), track.handler.encode(), bytes(13)),
        box("minf", full_box("vmhd", bytes(8), flags=1), box("dinf", track.dref), box("stbl", *tables.values())),
    )
    return box("trak", full_box("tkhd", header, flags=7), track.before_media, box("mdia", *media))


def _sample_entry(track: Track) -> bytes:
    if track.handler != "vide":
        return box(track.codec, bytes(6), struct.pack(">H", 1), track.entry)
    sides = (side & 0xFFFF for side in track.size)
    fixed = struct.pack(">6xH16x2HIIIH32xHh", 1, *sides, 72 << 16, 72 << 16, 0, 1, 24, -1)
    return box(track.codec, fixed, track.entry)


def track(**lies: object) -> Track:
    """A track of 12 good pictures but for what is given."""
    return Track(**{"samples": pictures(12)} | lies)  # type: ignore[arg-type]


def liar(**lies: object) -> Writer:
    """Writes a movie of one `track`."""
    return write(lambda: movie(track(**lies)))


def with_table(**boxes: bytes) -> Writer:
    return liar(tables=boxes)


def edits(*rows: tuple[int, int, int]) -> bytes:
    """An edit list of (duration, media time, rate × 65536)."""
    return box("edts", table("elst", *rows))


def nested(kind: str, depth: int, content: bytes = b"") -> bytes:
    for _ in range(depth):
        content = box(kind, content)
    return content


def fragment(*fields: int, flags: int = 0) -> bytes:
    """A movie fragment of track 1 whose run has these 32-bit fields: how many samples, and what the flags name."""
    run = full_box("trun", struct.pack(f">{len(fields)}I", *fields), flags=flags)
    head = full_box("tfhd", struct.pack(">III", 1, 100, 1), flags=0x18)  # default duration and size
    return box("moof", full_box("mfhd", struct.pack(">I", 1)), box("traf", head, run))


def extends(duration: int = 100, size: int = 1) -> bytes:
    return box("mvex", full_box("trex", struct.pack(">5I", 1, 1, duration, size, 0)))


def compressed_tables(length: int, content: bytes) -> bytes:
    """A movie box whose content is compressed and says how long it will be."""
    packed = struct.pack(">I", length) + zlib.compress(content, 9)
    return box("ftyp", b"qt  ", bytes(4)) + box("moov", box("cmov", box("dcom", b"zlib"), box("cmvd", packed)))


def wordy_track(length: int) -> Track:
    """Small pictures, each with so many bytes of text, compressed a thousandfold."""
    text = b"a\0\0" + zlib.compress(bytes(length))
    return track(samples=(png((WIDTH, HEIGHT), before=((b"zTXt", text),)),) * 4, codec="png ")


def titled(text: bytes) -> bytes:
    """The user data of a movie with that title, artist and comment, in both of the ways there are."""
    old = [box("\xa9" + name, struct.pack(">HH", len(text) % 2**16, 0), text) for name in ("nam", "ART", "cmt")]
    new = [box("\xa9" + name, box("data", struct.pack(">II", 1, 0), text)) for name in ("nam", "ART", "cmt")]
    handler = full_box("hdlr", bytes(4), b"mdir", b"appl", bytes(9))
    return box("udta", *old, full_box("meta", handler, box("ilst", *new)))


def titled_movie(text: bytes) -> Writer:
    return write(lambda: movie(track(), in_movie=titled(text)))


def cover(content: bytes) -> bytes:
    handler = full_box("hdlr", bytes(4), b"mdir", b"appl", bytes(9))
    art = box("covr", box("data", struct.pack(">II", 13, 0), content))
    return box("udta", full_box("meta", handler, box("ilst", art)))


def one_byte_samples(count: int) -> dict[str, bytes]:
    """Tables of under 100 bytes that promise so many samples of one byte, in one piece of the file."""
    return {
        "stts": table("stts", (count, 1)),
        "stsc": table("stsc", (1, count, 1)),
        "stsz": full_box("stsz", struct.pack(">II", 1, count)),
    }


SOUND = full_box("stsd", struct.pack(">I", 1), box("sowt", struct.pack(">6xH8x4HI", 1, 1, 16, 0, 0, 8000 << 16)))
TURNS = {
    "zero": (0,) * 9,
    "garbage": (0x12345678, -0x7FFFFFFF, 77, 0x7FFFFFFF, -(2**31), 1, 2, 3, 4),
    "a shear": (1 << 16, 1 << 16, 0, 1 << 15, 1 << 16, 0, 0, 0, 1 << 30),
    "a tiny one": (1, 0, 0, 0, 1, 0, 0, 0, 1),
    "mirrored and turned": (0, -(1 << 16), 0, -(1 << 16), 0, 0, 0, 0, 1 << 30),
}

MP4: dict[str, Writer] = {
    "mp4: a stream without a codec": liar(samples=(), codec="zzzz", tables={"stsc": b"", "stsz": b"", "stco": b""}),
    "mp4: no sample description": with_table(stsd=b""),
    "mp4: a sample description of no entries": with_table(stsd=full_box("stsd", bytes(4))),
    "mp4: a sample description that promises a million": with_table(stsd=table("stsd", count=10**6)),
    "mp4: no tables at all": liar(tables=dict.fromkeys(("stsd", "stts", "stsc", "stsz", "stco"), b"")),
    "mp4: no tracks": write(movie),
    "mp4: no samples": liar(samples=()),
    "mp4: only a data track": liar(handler="meta", codec="mett"),
    "mp4: only a sound track": liar(handler="soun", tables={"stsd": SOUND}),
    "mp4: only a subtitle track": liar(handler="sbtl", codec="tx3g", entry=bytes(38)),
    "mp4: promises 5,000 frames, none of which decodes": liar(samples=(b"\xff\xd8\xff\xfe" + bytes(20),) * 5000),
    "mp4: H.264 without its parameters": liar(samples=(b"\0\0\0\5\x65" + bytes(4),) * 30, codec="avc1"),
    "mp4: HEVC with garbage parameters": liar(codec="hvc1", entry=box("hvcC", bytes(range(256)) * 4)),
    "mp4: AV1 with garbage parameters": liar(codec="av01", entry=box("av1C", b"\x81\x1f\xff\xff" * 40)),
    "mp4: VVC with garbage parameters": liar(codec="vvc1", entry=full_box("vvcC", b"\xff" * 500)),
    "mp4: the wrong codec is named": liar(codec="avc1"),
    "mp4: encrypted, and no word on how": liar(codec="encv"),
    "mp4: encrypted by an unknown scheme": liar(
        codec="encv", entry=box("sinf", box("frma", b"jpeg"), full_box("schm", b"zzzz", bytes(4)))
    ),
    "mp4: 60000x60000 by its header": liar(size=(60000, 60000)),
    "mp4: 0x0 by its header": liar(size=(0, 0)),
    "mp4: JPEG pictures of 65500x65500 by their own headers": liar(samples=(resized_jpeg(65500, 65500),) * 12),
    "mp4: JPEG pictures of 1x65500": liar(samples=(resized_jpeg(1, 65500),) * 12, size=(1, 65500)),
    "mp4: JPEG pictures of 0x0": liar(samples=(resized_jpeg(0, 0),) * 12),
    "mp4: PNG pictures of 16000x16000": write(
        lambda: movie(track(samples=(png((16000, 16000)),) * 3, codec="png ", size=(16000, 16000)))
    ),
    "mp4: PNG pictures of 16000x16000 that the header calls small": write(
        lambda: movie(track(samples=(png((16000, 16000)),), codec="png "))
    ),
    "mp4: PNG pictures of 2^31 pixels a side": liar(samples=(png((2**31 - 1, 1), data=b"x"),) * 3, codec="png "),
    "mp4: 8192x16": liar(samples=(picture(1, (8192, 16)),) * 12, size=(8192, 16)),
    "mp4: 16x8192": liar(samples=(picture(1, (16, 8192)),) * 12, size=(16, 8192)),
    "mp4: 32 times as wide as high": liar(samples=(picture(1, (512, 16)),) * 12, size=(512, 16)),
    "mp4: pictures that change their size": liar(
        samples=[picture(n, size) for n, size in enumerate([(64, 48), (48, 64), (640, 480), (8, 8), (64, 48)] * 3)]
    ),
    "mp4: pictures that become too large": liar(samples=(*pictures(8), *(resized_jpeg(16000, 16000),) * 4)),
    "mp4: pictures that become too thin": liar(samples=(*pictures(8), *(picture(1, (4096, 16)),) * 4)),
    "mp4: duration 0": liar(duration=0),
    "mp4: the longest duration": liar(duration=2**32 - 1),
    "mp4: timescale 0": liar(timescale=0),
    "mp4: timescale -1": liar(timescale=2**32 - 1),
    "mp4: all frames at once": with_table(stts=table("stts", (12, 0))),
    "mp4: frames that last a negative time": with_table(stts=table("stts", (12, -100))),
    "mp4: frames that last for weeks": with_table(stts=table("stts", (12, 2**31 - 1))),
    "mp4: times for 2^32 frames": with_table(stts=table("stts", (2**32 - 1, 100))),
    "mp4: 2^32 rows of times": with_table(stts=table("stts", (12, 100), count=2**32 - 1)),
    "mp4: wild composition offsets": with_table(ctts=table("ctts", *((1, (-1) ** n * 2**30) for n in range(12)))),
    "mp4: composition offsets for 2^32 frames": with_table(ctts=table("ctts", (2**32 - 1, 5))),
    "mp4: empty samples": with_table(stsz=full_box("stsz", struct.pack(">14I", 0, 12, *(0,) * 12))),
    "mp4: samples of 2 GiB": with_table(stsz=full_box("stsz", struct.pack(">II", 2**31 - 1, 12))),
    "mp4: 2^32 samples": with_table(stsz=full_box("stsz", struct.pack(">II", 1, 2**32 - 1))),
    "mp4: 300,000 samples of one byte": liar(tables=one_byte_samples(300_000)),
    "mp4: 2^32 samples in one piece": with_table(stsc=table("stsc", (1, 2**32 - 1, 1))),
    "mp4: pieces out of order": with_table(stsc=table("stsc", (5, 1, 1), (1, 1, 9), (0, 0, 0))),
    "mp4: samples beyond the end": with_table(stco=table("stco", (2**32 - 1,))),
    "mp4: samples that lie in the header": with_table(stco=table("stco", (0,))),
    "mp4: samples at a negative place": with_table(stco=full_box("co64", struct.pack(">Iq", 1, -5000))),
    "mp4: 2^32 pieces": with_table(stco=table("stco", (36,), count=2**32 - 1)),
    "mp4: key frames that are none": with_table(stss=table("stss", (0,), (99,), (2**32 - 1,))),
    "mp4: 2^32 key frames": with_table(stss=table("stss", (1,), count=2**32 - 1)),
    **{f"mp4: display matrix, {name}": liar(matrix=matrix) for name, matrix in TURNS.items()},
    **{
        f"mp4: pixels of {wide}:{high}": liar(entry=box("pasp", struct.pack(">II", wide, high)))
        for wide, high in ((1, 10**6), (2**32 - 1, 1), (0, 0), (30, 1), (2**31, 2**31 - 1))
    },
    "mp4: edits that show nothing": liar(before_media=edits((10**6, -1, 1 << 16))),
    "mp4: edits from far behind the end": liar(before_media=edits((1000, 2**31 - 1, 1 << 16))),
    "mp4: 10,000 edits": liar(before_media=edits(*((100, n % 12 * 100, 1 << 16) for n in range(10_000)))),
    "mp4: edits at speeds 0 and -1": liar(before_media=edits((500, 0, 0), (500, 600, -(1 << 16)))),
    "mp4: 2^32 edits": liar(before_media=box("edts", table("elst", (1000, 0, 1 << 16), count=2**32 - 1))),
    "mp4: a fragment of 300,000 samples of one byte": write(
        lambda: movie(track(samples=()), in_movie=extends(), after=fragment(300_000))
    ),
    "mp4: fragments of 2^32 samples": write(
        lambda: movie(track(), in_movie=extends(2**32 - 1, 2**32 - 1), after=fragment(2**32 - 1, 5, flags=1) * 3)
    ),
    "mp4: a box of size 0 in the middle": write(lambda: movie(track(), in_movie=box("free", size=0))),
    "mp4: a box of size 3": write(lambda: movie(track(), in_movie=box("udta", size=3))),
    "mp4: a box of 2^63 bytes": write(lambda: box("ftyp", b"qt  ") + box("mdat", struct.pack(">Q", 2**63), size=1)),
    "mp4: a box that is longer than the file": write(lambda: movie(track(), in_movie=box("udta", size=2**31))),
    "mp4: a track that holds itself": write(lambda: movie(track(), in_movie=box("trak", size=2**20))),
    "mp4: boxes 10,000 deep": write(lambda: movie(track(), in_movie=nested("udta", 10_000))),
    "mp4: movies 500 deep": write(lambda: box("ftyp", b"qt  ", bytes(4)) + nested("moov", 500, movie(track()))),
    "mp4: 100,000 empty boxes": write(lambda: movie(track(), in_movie=box("free") * 100_000)),
    "mp4: 100 tracks": write(lambda: movie(*[track()] * 100)),
    "mp4: 1,500 tracks": write(lambda: movie(*[track(samples=pictures(1))] * 1500)),
    "mp4: compressed tables that claim 2 GiB": write(lambda: compressed_tables(2**31 - 1, movie(track()))),
    "mp4: compressed tables that grow a thousandfold": write(lambda: compressed_tables(10**8, bytes(10**8))),
    **{f"mp4: a title, {name}": titled_movie(text) for name, text in RUDE_TEXTS.items()},
    "mp4: cover art only": write(lambda: movie(in_movie=cover(picture(1)))),
    "mp4: sound with cover art of 65500x65500": write(
        lambda: movie(track(handler="soun", tables={"stsd": SOUND}), in_movie=cover(resized_jpeg(65500, 65500)))
    ),
    "mp4: video, and cover art of 65500x65500": write(
        lambda: movie(track(), in_movie=cover(resized_jpeg(65500, 65500)))
    ),
    "mp4: one frame": liar(samples=pictures(1)),
    "mp4: 2x2": liar(samples=[png((2, 2))] * 12, codec="png ", size=(2, 2)),
    "mp4: 1x1": liar(samples=[png((1, 1))] * 12, codec="png ", size=(1, 1)),
    "mp4: 2,000 frames in two seconds": liar(samples=pictures(1) * 2000, tables={"stts": table("stts", (2000, 1))}),
    "mp4: PNG pictures with 20 MB of compressed text": write(lambda: movie(wordy_track(2 * 10**7))),
    "mp4: PNG pictures with garbage in their chunks": liar(
        samples=(png((64, 48), before=((b"acTL", b"\xff" * 8), (b"fcTL", b"\xff" * 26), (b"eXIf", b"MM\0*" * 99))),)
        * 4,
        codec="png ",
    ),
}
