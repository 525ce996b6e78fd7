"""Scripts and reference movies: files that ask whoever reads them to open other files, or the network.

They name canaries, files that lie in the same folder; a test sees whether one is opened.
"""

import struct
from functools import partial
from pathlib import Path

from tests.hostile.matroska import element, matroska
from tests.hostile.mp4 import Track, box, full_box, movie
from tests.hostile.pictures import Writer, pictures

CANARY = "canary"  # is in every canary's name
NOBODY = "127.0.0.1:9"  # where nobody listens

PLAYLIST = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n"

TEXTS = {
    "ffconcat, a name": "ffconcat version 1.0\nfile canary.mp4\n",
    "ffconcat, an absolute path": "ffconcat version 1.0\nfile '{folder}/canary.mp4'\n",
    "ffconcat, a file address": "ffconcat version 1.0\nfile 'file://{folder}/canary.mp4'\n",
    "ffconcat, a web address": "ffconcat version 1.0\nfile 'http://{nobody}/canary.mp4'\n",
    "ffconcat, a piece of a file": "ffconcat version 1.0\nfile 'subfile,,start,0,end,0,,:{folder}/canary.mp4'\n",
    "ffconcat, files in a row": "ffconcat version 1.0\nfile 'concat:{folder}/canary.mp4|{folder}/canary.ts'\n",
    "ffconcat with options": "ffconcat version 1.0\nfile canary.mp4\noption safe 0\nstream\nexact_stream_id 0\n",
    "ffconcat of itself": "ffconcat version 1.0\nfile {name}\nfile {name}\nfile canary.mp4\n",
    "hls, a name": PLAYLIST + "#EXTINF:1,\ncanary.ts\n#EXT-X-ENDLIST\n",
    "hls, an absolute path": PLAYLIST + "#EXTINF:1,\n{folder}/canary.ts\n#EXT-X-ENDLIST\n",
    "hls, a file address": PLAYLIST + "#EXTINF:1,\nfile://{folder}/canary.ts\n#EXT-X-ENDLIST\n",
    "hls, a web address": PLAYLIST + "#EXTINF:1,\nhttp://{nobody}/canary.ts\n#EXT-X-ENDLIST\n",
    "hls, files in a row": PLAYLIST + "#EXTINF:1,\nconcat:{folder}/canary.ts|{folder}/canary.txt\n#EXT-X-ENDLIST\n",
    "hls with a key": (
        PLAYLIST + '#EXT-X-KEY:METHOD=AES-128,URI="{folder}/canary.txt"\n#EXTINF:1,\ncanary.ts\n#EXT-X-ENDLIST\n'
    ),
    "hls with a map": PLAYLIST + '#EXT-X-MAP:URI="canary.mp4"\n#EXTINF:1,\ncanary.mp4\n#EXT-X-ENDLIST\n',
    "hls of playlists": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{folder}/canary.m3u8\n",
    "hls with subtitles": (
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="s",URI="canary.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,SUBTITLES="s"\ncanary.m3u8\n'
    ),
    "a plain playlist": "#EXTM3U\n#EXTINF:1,canary\n{folder}/canary.mp4\n",
    "dash": (
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period><AdaptationSet '
        'mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>file://{folder}/canary.mp4</BaseURL>'
        "<SegmentList><SegmentURL/></SegmentList></Representation></AdaptationSet></Period></MPD>\n"
    ),
    "xml with an outside entity": (
        '<?xml version="1.0"?>\n<!DOCTYPE MPD [<!ENTITY c SYSTEM "file://{folder}/canary.txt">]>\n'
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period>&c;</Period></MPD>\n'
    ),
    "sdp": (
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n"
    ),
    "a stream's address": "RTSPtextrtsp://{nobody}/canary\n",
    "windows media": '<ASX version="3.0"><ENTRY><REF HREF="file://{folder}/canary.mp4"/></ENTRY></ASX>\n',
    "windows media, the short way": "[Reference]\nRef1=http://{nobody}/canary.asf\nRef2=file://{folder}/canary.mp4\n",
    "pls": "[playlist]\nNumberOfEntries=1\nFile1={folder}/canary.mp4\n",
    "smil": '<smil><body><video src="file://{folder}/canary.mp4"/></body></smil>\n',
    "quicktime link": '<?xml version="1.0"?><?quicktime type="application/x-quicktime-media-link"?><embed src="canary.mp4"/>\n',
    "avisynth": 'DirectShowSource("{folder}/canary.mp4")\n',
    "vobsub": (
        "# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\n"
        "timestamp: 00:00:00:000, filepos: 000000000\n"
    ),
    "svg": '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"><image href="file://{folder}/canary.png"/></svg>\n',
    "ffmetadata": ";FFMETADATA1\ntitle=canary\n",
    "a shortcut": "[InternetShortcut]\nURL=file://{folder}/canary.mp4\n",
}


def _write_text(text: str, path: Path) -> None:
    path.write_text(text.format(folder=path.parent, name=path.name, nobody=NOBODY))


def alias(folder: str, name: str) -> bytes:
    """A QuickTime data reference to a file by the way there: one level up from here, one level down to it."""
    way = ("disk" + folder.replace("/", ":") + ":" + name).encode()
    head = bytes(10) + b"\4disk".ljust(28, b"\0") + bytes(12) + bytes([len(name)]) + name.encode().ljust(63, b"\0")
    levels = bytes(16) + struct.pack(">HH", 1, 1) + bytes(16)
    return full_box(
        "alis", head, levels, struct.pack(">HH", 2, len(way)), way, bytes(len(way) % 2), struct.pack(">hH", -1, 0)
    )


def dref(*references: bytes) -> bytes:
    return full_box("dref", struct.pack(">I", len(references)), *references)


def _write_reference(kind: str, path: Path) -> None:
    folder = path.parent
    samples = pictures(12)
    addresses = {
        "alias": alias(str(folder), "canary.mov"),
        "file address": full_box("url ", f"file://{folder}/canary.mov\0".encode()),
        "web address": full_box("url ", f"http://{NOBODY}/canary.mov\0".encode()),
        "name": full_box("urn ", f"canary.mov\0{folder}/canary.mov\0".encode()),
        "resource": full_box("rsrc", alias(str(folder), "canary.mov")[12:]),
    }
    path.write_bytes(movie(Track(samples, dref=dref(addresses[kind]))))


def _write_list_of_movies(kind: str, path: Path) -> None:
    reference = {
        "alias": struct.pack(">4sI", b"alis", 300) + alias(str(path.parent), "canary.mov")[12:],
        "file address": struct.pack(">4sI", b"url ", 200) + f"file://{path.parent}/canary.mov\0".encode(),
        "web address": struct.pack(">4sI", b"url ", 200) + f"http://{NOBODY}/canary.mov\0".encode(),
    }[kind]
    movies = box("rmra", *[box("rmda", full_box("rdrf", reference))] * 3)
    path.write_bytes(box("ftyp", b"qt  ", bytes(4)) + box("moov", movies))


def _write_linked(path: Path) -> None:
    """A Matroska file that says which files come before and after it."""
    here, there = b"a" * 16, b"b" * 16
    links = element(0x73A4, here), element(0x3CB923, there), element(0x3EB923, there)
    names = element(0x3C83AB, str(path.parent / "canary.mkv")), element(0x3E83BB, "canary.mkv")
    path.write_bytes(matroska(pictures(12), info=b"".join((*links, *names))))


# Each of them is no video of its own, so it must be refused.
SCRIPTS: dict[str, Writer] = {
    **{f"script: {name}": partial(_write_text, text) for name, text in TEXTS.items()},
    **{
        f"reference: a list of movies, by {kind}": partial(_write_list_of_movies, kind)
        for kind in ("alias", "file address", "web address")
    },
}

# What FFmpeg makes of these without the other file is its own affair: its pictures if they are there, or a sentence.
REFERENCES: dict[str, Writer] = {
    **{
        f"reference: the data elsewhere, by {kind}": partial(_write_reference, kind)
        for kind in ("alias", "file address", "web address", "name", "resource")
    },
    "reference: a linked Matroska segment": _write_linked,
}
