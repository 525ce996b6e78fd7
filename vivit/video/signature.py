"""The first bytes of a file → what it is, for the sentence that refuses it."""

import re
from pathlib import Path

HEAD_BYTES = 65_536
MATROSKA = b"\x1aE\xdf\xa3"
TS_PACKET = 188  # bytes of one packet of an MPEG transport stream

# (where, which bytes) → what people call such a file.
SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "a PDF document"),
    (0, b"\x89PNG\r\n\x1a\n", "a still picture (PNG)"),
    (0, b"\xff\xd8\xff", "a still picture (JPEG)"),
    (0, b"II*\0", "a still picture (TIFF or raw)"),
    (0, b"MM\0*", "a still picture (TIFF or raw)"),
    (0, b"BM", "a still picture (BMP)"),
    (0, b"8BPS", "a Photoshop document"),
    (4, b"ftypheic", "a still picture (HEIC)"),
    (4, b"ftypheix", "a still picture (HEIC)"),
    (4, b"ftypmif1", "a still picture (HEIF)"),
    (4, b"ftypavif", "a picture (AVIF)"),
    (4, b"ftypavis", "a picture (AVIF)"),
    (0, b"\0\0\0\x0cJXL ", "a still picture (JPEG XL)"),
    (0, b"\xff\x0a", "a still picture (JPEG XL)"),
    (0, b"PK\x03\x04", "a ZIP archive or an Office document"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\0", "an xz archive"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\xd0\xcf\x11\xe0", "an old Office document"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
    (0, b".RMF", "a RealMedia file"),
    (0, b"FWS", "a Flash animation"),
    (0, b"CWS", "a Flash animation"),
    (0, b"ZWS", "a Flash animation"),
    (0, b"#EXTM3U", "a playlist (M3U), which only names other files"),
    (0, b"ffconcat", "a list of files (ffconcat)"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"SQLite format 3", "a database"),
    (0, b"MThd", "a MIDI file"),
    (8, b"AIFF", "a sound file (AIFF)"),
    (8, b"AIFC", "a sound file (AIFF)"),
    (0, b"caff", "a sound file (CAF)"),
    (0, b"\x0b\x77", "a sound file (AC-3)"),
    (4, b"jP  ", "a still picture (JPEG 2000)"),
    (0, b"YUV4MPEG2", ""),  # the beginning of a video is no text, though it reads like one
    (0, b"glTF", "a 3D model"),
    (0, b"BLENDER", "a Blender project"),
    (0, b"bplist", "a property list"),
)
BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
MARKUP = (
    (b"<!--", "a web page"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<svg", "a drawing (SVG)"),
    (b"<?xml", "an XML file"),
)


def name_kind(path: str) -> str:
    """What a file is that is no video: 'a PDF document', 'plain text'; empty if nobody can tell."""
    head = _head(path)
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            head = head.removeprefix(mark).decode(encoding, "ignore").encode()
    for place, mark, kind in SIGNATURES:
        if head[place : place + len(mark)] == mark:
            return kind
    start = head.lstrip().lower()
    for mark, kind in MARKUP:
        if start.startswith(mark):
            return kind
    return "plain text" if _is_text(head) else ""


def is_encrypted(path: str) -> bool:
    """Whether a Matroska, MP4 or MPEG-TS file says of its streams that they are encrypted.

    Source: ContentEncodings, ContentEncoding and ContentEncryption of RFC 9559; the sample entries 'encv' of ISO/IEC 23001-7
    and 'drmi' of FairPlay; transport_scrambling_control of ISO/IEC 13818-1, 2.4.3.2.
    """
    head = _head(path)
    if head.startswith(MATROSKA):
        return bool(re.search(rb"\x6d\x80.{0,16}?\x62\x40.{0,48}?\x50\x35", head, re.DOTALL))
    if head[4:8] in (b"ftyp", b"moov", b"free", b"wide", b"mdat"):
        return any(entry in _both_ends(path) for entry in (b"drmi", b"encv"))
    starts = range(0, len(head) - TS_PACKET, TS_PACKET)
    packets = [head[start + 3] for start in starts if head[start] == 0x47]
    return (
        bool(packets) and len(packets) == len(starts) and sum(flags & 0xC0 > 0 for flags in packets) * 2 > len(packets)
    )


def _head(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def _both_ends(path: str) -> bytes:
    """The first and the last million bytes of an MP4: its index is at either end."""
    with Path(path).open("rb") as file:
        first = file.read(16 * HEAD_BYTES)
        file.seek(max(0, Path(path).stat().st_size - 16 * HEAD_BYTES))
        return first + file.read(16 * HEAD_BYTES)


def _is_text(head: bytes) -> bool:
    """Whether bytes are UTF-8 without control characters; the last character may be cut off."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(head) < HEAD_BYTES or error.start < len(head) - 4:
            return False
        text = head[: error.start].decode("utf-8")
    return bool(text) and all(character.isprintable() or character in "\t\r\n\f" for character in text)
