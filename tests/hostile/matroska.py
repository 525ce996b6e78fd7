"""Matroska and WebM files that lie."""

import struct
import zlib
from collections.abc import Sequence

from tests.hostile.pictures import HEIGHT, RUDE_TEXTS, WIDTH, Writer, picture, pictures, resized_jpeg, write


def number_of(value: int, length: int = 0) -> bytes:
    """An EBML length: 0x80 for 0, 0x4080 for 128, …"""
    length = length or next(n for n in range(1, 9) if value < 2 ** (7 * n) - 1)
    return (value | 1 << 7 * length).to_bytes(length, "big")


UNKNOWN = b"\x01" + b"\xff" * 7  # the length that means 'until something else begins'


def element(name: int, *content: bytes | int | str, size: bytes | None = None) -> bytes:
    """An EBML element; `size` lies about its length."""
    body = b"".join(_element_content(part) for part in content)
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + (number_of(len(body)) if size is None else size) + body


def _element_content(part: bytes | int | str) -> bytes:
    if isinstance(part, int):
        return part.to_bytes(max(1, (part.bit_length() + 7) // 8), "big")
    return part.encode() if isinstance(part, str) else part


EBML, SEGMENT, INFO, TRACKS, CLUSTER, TAGS = 0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675, 0x1254C367
ATTACHMENTS, CHAPTERS, SEEK_HEAD, CUES = 0x1941A469, 0x1043A770, 0x114D9B74, 0x1C53BB6B


def ebml_header(kind: str = "matroska") -> bytes:
    return element(EBML, element(0x4282, kind), element(0x4287, 4), element(0x4285, 2))


def matroska_track(
    number: int = 1, kind: int = 1, codec: str = "V_MJPEG", size: tuple[int, int] = (WIDTH, HEIGHT), extra: bytes = b""
) -> bytes:
    """A track entry; kind 1 is video, 2 sound, 17 subtitles."""
    video = element(0xE0, element(0xB0, size[0]), element(0xBA, size[1])) if kind == 1 else b""
    head = (element(0xD7, number), element(0x73C5, number), element(0x83, kind), element(0x86, codec))
    return element(0xAE, *head, video, extra)


def block(sample: bytes, milliseconds: int, track: int = 1) -> bytes:
    return element(0xA3, number_of(track), struct.pack(">hB", milliseconds, 0x80), sample)


def matroska(
    samples: Sequence[bytes],
    *,
    times: Sequence[int] | None = None,
    cluster_time: int = 0,
    info: bytes = b"",
    tracks: bytes | None = None,
    before_clusters: bytes = b"",
    segment_size: bytes | None = None,
    cluster_size: bytes | None = None,
    kind: str = "matroska",
) -> bytes:
    """A Matroska file with one cluster; times in milliseconds."""
    times = range(0, 100 * len(samples), 100) if times is None else times
    blocks = b"".join(block(sample, time) for sample, time in zip(samples, times, strict=True))
    segment = (
        element(INFO, element(0x2AD7B1, 1_000_000), element(0x4D80, "x"), element(0x5741, "x"), info),
        element(TRACKS, matroska_track() if tracks is None else tracks),
        before_clusters,
        element(CLUSTER, element(0xE7, cluster_time), blocks, size=cluster_size),
    )
    return ebml_header(kind) + element(SEGMENT, *segment, size=segment_size)


def liar(count: int = 12, **lies: object) -> Writer:
    """Writes a file of so many good pictures but for what is given."""
    return write(lambda: matroska(pictures(count), **lies))  # type: ignore[arg-type]


def one_track(**lies: object) -> Writer:
    return liar(tracks=matroska_track(**lies))  # type: ignore[arg-type]


def encoding(*content: bytes) -> bytes:
    """A content encoding: how the blocks of a track are packed."""
    return element(0x6D80, element(0x6240, element(0x5031, 0), element(0x5032, 1), *content))


ZLIB = encoding(element(0x5033, 0), element(0x5034, element(0x4254, 0)))
ENCRYPTED = encoding(element(0x5033, 1), element(0x5035, element(0x47E1, 5), element(0x47E2, b"k" * 16)))
FOURCC = element(0x63A2, struct.pack("<IiiHH4s5I", 40, 60000, 60000, 1, 24, b"MJPG", 0, 0, 0, 0, 0))


def nested(name: int, depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = element(name, content)
    return content


def display(width: int, height: int) -> Writer:
    """Pictures that are to be shown at another size, so with pixels that are not square."""
    sides = (element(0xB0, WIDTH), element(0xBA, HEIGHT), element(0x54B0, width), element(0x54BA, height))
    head = (element(0xD7, 1), element(0x73C5, 1), element(0x83, 1), element(0x86, "V_MJPEG"))
    return liar(tracks=element(0xAE, *head, element(0xE0, *sides)))


def attached(content: bytes, size: bytes | None = None) -> bytes:
    """Cover art; `size` lies about its length."""
    names = element(0x466E, "cover.jpg"), element(0x4660, "image/jpeg"), element(0x46AE, 1)
    return element(ATTACHMENTS, element(0x61A7, *names, element(0x465C, content, size=size)))


def tagged(text: bytes) -> Writer:
    tag = element(0x7373, element(0x63C0), element(0x67C8, element(0x45A3, text), element(0x4487, text)))
    return liar(info=element(0x7BA9, text), before_clusters=element(TAGS, tag))


def cluster(*content: bytes) -> bytes:
    return element(CLUSTER, element(0xE7, 0), *content)


def leading_to(place: int) -> bytes:
    """Cues that say that every picture is at that place."""
    at = element(0xB7, element(0xF7, 1), element(0xF1, place))
    return element(CUES, *[element(0xBB, element(0xB3, time), at) for time in range(99)])


# A directory whose every entry is the place of the directory.
LOOP = element(SEEK_HEAD, *[element(0x4DBB, element(0x53AB, SEEK_HEAD), element(0x53AC, 0))] * 50)


def laced(kind: int, count: int) -> bytes:
    """A block that claims to hold `count` + 1 frames, in one of the three ways there are."""
    return element(0xA3, number_of(1), struct.pack(">hBB", 0, 0x80 | kind << 1, count), b"\xff" * 40)


MATROSKA: dict[str, Writer] = {
    "mkv: only the header": write(ebml_header),
    "mkv: a header of 2^56 bytes": write(lambda: element(EBML, size=b"\x01" + b"\xff" * 6 + b"\xfe")),
    "mkv: no tracks": liar(tracks=b""),
    "mkv: no blocks": liar(0),
    "mkv: one frame": liar(1),
    "mkv: a segment of unknown length": liar(segment_size=UNKNOWN),
    "mkv: segment and cluster of unknown length": liar(segment_size=UNKNOWN, cluster_size=UNKNOWN),
    "mkv: a segment of no length": liar(segment_size=number_of(0)),
    "mkv: a segment of 2^55 bytes": liar(segment_size=number_of(2**55, 8)),
    "mkv: a cluster that is longer than its segment": liar(cluster_size=number_of(2**40, 8)),
    "mkv: a block of 1 TiB": liar(before_clusters=cluster(element(0xA3, size=number_of(2**40, 8)))),
    "mkv: a block of 1 GiB": liar(before_clusters=cluster(element(0xA3, size=number_of(2**30, 8)))),
    "mkv: lengths that begin with zeros": liar(before_clusters=b"\xec" + bytes(2000)),
    "mkv: garbage between the clusters": liar(before_clusters=bytes(range(256)) * 40),
    "mkv: tags 10,000 deep": liar(before_clusters=element(TAGS, element(0x7373, nested(0x67C8, 10_000)))),
    "mkv: chapters 1,000 deep": liar(before_clusters=element(CHAPTERS, element(0x45B9, nested(0xB6, 1_000)))),
    "mkv: segments 100 deep": write(lambda: ebml_header() + nested(SEGMENT, 100)),
    "mkv: clusters 100 deep": liar(before_clusters=nested(CLUSTER, 100)),
    "mkv: a directory that leads to itself": liar(before_clusters=LOOP),
    "mkv: cues far behind the end": liar(before_clusters=leading_to(2**50)),
    "mkv: all frames at once": liar(times=(0,) * 12),
    "mkv: frames backwards": liar(times=range(1100, -1, -100)),
    "mkv: frames before the start": liar(times=range(-1200, 0, 100)),
    "mkv: two frames two thirds of a minute apart": liar(2, times=(-(2**15), 2**15 - 1), cluster_time=2**15),
    "mkv: two frames nine hours apart": liar(2, times=(0, 32767), info=element(0x2AD7B1, 10**9)),
    "mkv: a frame every 40 years": liar(info=element(0x2AD7B1, 2**63 - 1)),
    "mkv: a nanosecond a tick": liar(info=element(0x2AD7B1, 1)),
    "mkv: no time at all": liar(info=element(0x2AD7B1, 0)),
    "mkv: starts at 2^62": liar(cluster_time=2**62),
    "mkv: starts at 2^64 - 1": liar(cluster_time=2**64 - 1),
    "mkv: duration not a number": liar(info=element(0x4489, struct.pack(">d", float("nan")))),
    "mkv: duration infinite": liar(info=element(0x4489, struct.pack(">d", float("inf")))),
    "mkv: duration negative": liar(info=element(0x4489, struct.pack(">d", -1e300))),
    "mkv: a frame lasts 1 ns": one_track(extra=element(0x23E383, 1)),
    "mkv: a frame lasts 2^63 ns": one_track(extra=element(0x23E383, 2**63)),
    "mkv: 0x0 by its header": one_track(size=(0, 0)),
    "mkv: 100000x100000 by its header": one_track(size=(100_000, 100_000)),
    "mkv: 2^40 pixels wide by its header": one_track(size=(2**40, 48)),
    "mkv: JPEG pictures of 20000x20000": write(lambda: matroska((resized_jpeg(20_000, 20_000),) * 12)),
    "mkv: shown at 1x1000000": display(1, 10**6),
    "mkv: shown at 2^31x1": display(2**31, 1),
    "mkv: shown at 0x0": display(0, 0),
    "mkv: an unknown codec": one_track(codec="V_NONE_SUCH"),
    "mkv: a codec name of 4,000 characters": one_track(codec="V" * 4000),
    "mkv: H.264 with garbage parameters": one_track(codec="V_MPEG4/ISO/AVC", extra=element(0x63A2, b"\1\xff" * 500)),
    "mkv: VP9 that is JPEG": one_track(codec="V_VP9"),
    "mkv: AV1 that is JPEG": one_track(codec="V_AV1", extra=element(0x63A2, b"\x81\0\0\0")),
    "mkv: raw pictures that are too short": one_track(codec="V_UNCOMPRESSED", extra=element(0x2EB524, "I420")),
    "mkv: an AVI header of 60000x60000 inside": one_track(codec="V_MS/VFW/FOURCC", extra=FOURCC),
    "mkv: a QuickTime header that is garbage": one_track(codec="V_QUICKTIME", extra=element(0x63A2, b"\xff" * 90)),
    "mkv: blocks that should be compressed and are not": one_track(extra=ZLIB),
    "mkv: blocks that grow a thousandfold": write(
        lambda: matroska((zlib.compress(bytes(10**8), 9),) * 4, tracks=matroska_track(extra=ZLIB))
    ),
    "mkv: encrypted": one_track(extra=ENCRYPTED),
    **{f"mkv: lacing {kind} of 256 frames": liar(before_clusters=cluster(laced(kind, 255))) for kind in (1, 2, 3)},
    "mkv: empty blocks": write(lambda: matroska((b"",) * 500, times=range(500))),
    "mkv: blocks of a track that is not there": liar(tracks=matroska_track(77)),
    "mkv: 100 tracks": liar(tracks=b"".join(matroska_track(n) for n in range(1, 101))),
    "mkv: 5,000 tracks": liar(tracks=b"".join(matroska_track(n) for n in range(1, 5001))),
    "mkv: 50 tracks of one number": liar(tracks=matroska_track() * 50),
    "mkv: only a sound track": liar(tracks=matroska_track(kind=2, codec="A_PCM/INT/LIT")),
    "mkv: only subtitles": write(
        lambda: matroska((b"one", b"two"), tracks=matroska_track(kind=17, codec="S_TEXT/UTF8"))
    ),
    "mkv: cover art only": write(lambda: matroska((), tracks=b"", before_clusters=attached(picture(1)))),
    "mkv: video, and cover art of 65500x65500": liar(before_clusters=attached(resized_jpeg(65500, 65500))),
    "mkv: an attached file of 1 TiB": liar(before_clusters=attached(b"", number_of(2**40, 8))),
    **{f"mkv: a title, {name}": tagged(text) for name, text in RUDE_TEXTS.items()},
    "webm: a JPEG video": liar(kind="webm"),
    "webm: a kind of 4,000 characters": liar(kind="w" * 4000),
}
