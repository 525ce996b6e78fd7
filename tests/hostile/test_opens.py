"""Proof by strace that nothing but the given file is opened, whatever it asks for, and that nobody is called."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clips import write_clip
from tests.hostile.clips import written
from tests.hostile.matroska import matroska
from tests.hostile.mp4 import Track, movie
from tests.hostile.pictures import picture, pictures
from tests.hostile.promise import READ
from tests.hostile.scripts import CANARY, PLAYLIST, REFERENCES, SCRIPTS

ROOT = Path(__file__).parents[2]

# FFmpeg goes by a file's name too: each file gets the name of an upload, that of a video, and that of what it is.
POSES = ("mp4", "mov", "webm", "avi", "gif", "mkv")
OWN = {
    "ffconcat": "ffconcat",
    "hls": "m3u8",
    "dash": "mpd",
    "sdp": "sdp",
    "vobsub": "idx",
    "svg": "svg",
    "linked": "mkv",
}

# Reads a list of steps from stdin. Before each it asks for a file that is not there, as a sign in strace's record.
CHILD = """
import json, os, sys
from contextlib import suppress
from engine.media import TASKS
import av
for number, (how, path, options) in enumerate(json.load(sys.stdin)):
    with suppress(OSError):
        os.open(f"/step/{number}", os.O_RDONLY)
    try:
        if how == "without our list":
            with av.open(path, options=options, timeout=5) as container:
                for packet in container.demux():
                    pass
        else:
            TASKS[how]({"path": path} | options, [], lambda *told: None)
    except Exception as error:
        print(number, type(error).__name__, error)
print("all steps done")
"""


@dataclass(frozen=True)
class Step:
    """One call that the child makes.

    Args:
        how: a task of the media worker, or 'without our list'.
        path: the file it was given.
        options: of the task, or of FFmpeg.
    """

    how: str
    path: str
    options: dict[str, object]


@dataclass(frozen=True)
class Asked:
    opened: list[str]
    called: list[str]  # lines of strace about sockets
    written: list[str]


def trace(steps: Sequence[Step], record: Path) -> list[Asked]:
    """Run steps in one child under strace."""
    assert shutil.which("strace"), "strace is missing, so nobody can see what FFmpeg opens; install it (apt: strace)."
    calls = "open,openat,openat2,creat,connect,socket,bind,sendto"
    # --seccomp-bpf: other system calls are not slowed down.
    command = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", str(record), "-e", f"trace={calls}"]
    ran = subprocess.run(
        [*command, sys.executable, "-c", CHILD],
        input=json.dumps([(step.how, step.path, step.options) for step in steps]),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=600,
    )
    assert "all steps done" in ran.stdout, ran.stdout + ran.stderr
    pieces = re.split(r'"/step/\d+".*\n', record.read_text(errors="replace"))
    assert len(pieces) == len(steps) + 1
    return [_asked(piece) for piece in pieces[1:]]


def _asked(piece: str) -> Asked:
    opens = re.findall(r'\b(?:open|openat|openat2|creat)\((?:\w+, )?"((?:[^"\\]|\\.)*)"(.*)', piece)
    return Asked(
        opened=[path for path, _ in opens],
        called=re.findall(r"^.*\b(?:socket|connect|bind|sendto)\(.*$", piece, re.MULTILINE),
        written=[path for path, rest in opens if re.search("O_WRONLY|O_RDWR|O_CREAT", rest)],
    )


def lay_canaries(folder: Path) -> None:
    """Good files of every kind that scripts and references name."""
    for name in ("canary.mp4", "canary.ts"):
        write_clip(folder / name, 3, size=(64, 48))
    (folder / "canary.mov").write_bytes(movie(Track(pictures(12))))
    (folder / "canary.mkv").write_bytes(matroska(pictures(12)))
    (folder / "canary.m3u8").write_text(PLAYLIST + "#EXTINF:1,\ncanary.ts\n#EXT-X-ENDLIST\n")
    (folder / "canary.txt").write_text("secret")
    (folder / "canary.png").write_bytes(picture(1, kind="PNG"))
    (folder / "canary001.png").write_bytes(picture(1, kind="PNG"))


def lay_files(folder: Path) -> list[Path]:
    """Every script and reference under its three names, and a picture whose name stands for a row of them."""
    paths = []
    for number, (name, write) in enumerate((SCRIPTS | REFERENCES).items()):
        own = next((ending for word, ending in OWN.items() if word in name), "qt")
        for ending in dict.fromkeys(("clip", POSES[number % len(POSES)], own)):
            paths.append(folder / f"{number}.{ending}")
            write(paths[-1])
    paths.append(folder / "canary%03d.png")
    paths[-1].write_bytes(picture(1, kind="PNG"))
    return paths


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Step, Asked]]:
    """What was asked for at each step: a good clip twice, every bad file, and some of them without our list."""
    folder = tmp_path_factory.mktemp("opens")
    lay_canaries(folder)
    (folder / "good.mp4").write_bytes(written("h264.mp4"))
    tasks = {"read": READ, "preview": {}, "thumbnail": {}}
    paths = [folder / "good.mp4", folder / "good.mp4", *lay_files(folder)]
    steps = [Step(task, str(path), options) for path in paths for task, options in tasks.items()]
    numbers = {name: number for number, name in enumerate(SCRIPTS | REFERENCES)} | {"a row of pictures": "canary%03d"}
    for name, ending, options in CONTROLS:
        steps.append(Step("without our list", str(folder / f"{numbers[name]}.{ending}"), options))
    return list(zip(steps, trace(steps, folder / "strace.txt"), strict=True))


# Which file, under which of its names, with FFmpeg's own options: those that lead FFmpeg astray when nobody minds.
CONTROLS: list[tuple[str, str, dict[str, object]]] = [
    ("script: ffconcat, a name", "clip", {}),
    ("script: ffconcat, an absolute path", "clip", {"safe": "0"}),
    ("script: hls, a name", "m3u8", {}),
    ("script: hls, a web address", "m3u8", {"protocol_whitelist": "file,http,tcp"}),
    ("script: sdp", "clip", {"protocol_whitelist": "file,rtp,udp"}),
    ("a row of pictures", "png", {}),
    ("reference: the data elsewhere, by alias", "clip", {"enable_drefs": "1"}),
]


def ours(record: list[tuple[Step, Asked]]) -> list[tuple[Step, Asked]]:
    return [(step, asked) for step, asked in record if step.how != "without our list"]


def test_only_the_given_file_is_opened(record: list[tuple[Step, Asked]]) -> None:
    good = [asked for step, asked in ours(record) if step.path.endswith("good.mp4")]
    usual = {path for asked in good for path in asked.opened if not path.endswith("good.mp4")}
    python = (sys.prefix, sys.base_prefix, str(ROOT))  # a module may be imported on first use
    bad = [(step, asked) for step, asked in ours(record) if not step.path.endswith("good.mp4")]
    assert len(bad) > 3 * 2 * len(SCRIPTS | REFERENCES)
    for step, asked in bad:
        # FFmpeg takes a name with '%' for a row of pictures before it opens anything; that is then refused.
        assert step.path in asked.opened or "%" in step.path, step
        others = {path for path in asked.opened if path != step.path} - usual
        assert not [path for path in others if not path.startswith(python)], step
        assert not [path for path in others if CANARY in path], step


def test_nobody_is_called_and_nothing_is_written(record: list[tuple[Step, Asked]]) -> None:
    for step, asked in ours(record):
        assert asked.called == [], step
        assert asked.written == [], step


def test_without_our_list_the_canaries_are_opened(record: list[tuple[Step, Asked]]) -> None:
    controls = [(step, asked) for step, asked in record if step.how == "without our list"]
    assert len(controls) == len(CONTROLS)
    for (name, _, _), (step, asked) in zip(CONTROLS, controls, strict=True):
        if "web address" in name or "sdp" in name:
            assert [line for line in asked.called if "AF_INET" in line], name
        else:
            assert [path for path in asked.opened if CANARY in path], (name, step, asked)
