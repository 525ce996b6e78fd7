"""Renders fresh labelled clips into class folders: `python -m mannequin.renders FOLDER --clips 200 --seed 1`.

They are those that `mannequin.evaluate` measures on through files. What is there already is not rendered again, unless it
was made by other code; the first clips of a seed are the same, however many there are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import sys
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from mannequin.actions import LABELS
from mannequin.sample import render_clips, write_video
from mannequin.scene import LONGEST_SECONDS, clip_lengths, draws
from mannequin.train import EVALUATION_SEEDS
from vivit.device import default_device

LIST = "clips.json"
HEIGHT, WIDTH = 256, 340
VIDEO_FPS = 8.0
# What decides how a clip looks.
POSES = ("poses/exercises", "poses/lifting", "poses/playthings", "poses/shared", "poses/swings")
CODE = ("actions", "body", "clocks", "paths", *POSES, "render", "renders", "sample", "scene", "train")


class Planned(TypedDict):
    """A clip to render, as `LIST` has it. Its file is named within the folder."""

    file: str
    label: str
    seed: int


def evaluation_seeds(label: str, clips: int, seed: int) -> list[int]:
    """The seeds of a class among `clips` fresh clips of all classes in turn."""
    first = seed * 1_000_003 % (len(EVALUATION_SEEDS) // 2)
    return [EVALUATION_SEEDS[first + k] for k in range(LABELS.index(label), clips, len(LABELS))]


def render_video(
    label: str,
    seed: int,
    fps: float,
    height: int = HEIGHT,
    samples: int = 1,
    device: str | torch.device = "cpu",
    compiled: bool = False,
) -> Tensor:
    """All frames of one clip: (T, height, width, 3), uint8, in Kinetics' usual shape, 340 to 256."""
    total = round(float(clip_lengths(draws([seed]))) * fps)
    rendered = total if torch.device(device).type == "cpu" else math.ceil(LONGEST_SECONDS * fps)
    width = round(height * WIDTH / HEIGHT / 2) * 2
    seconds = torch.arange(rendered)[None] / fps
    return render_clips(label, [seed], seconds, height, width, samples, device, compiled)[0, :total].cpu()


def made_by() -> str:
    """A fingerprint of the code that renders."""
    files = [Path(__file__).parent / f"{name}.py" for name in CODE]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def planned(clips: int, seed: int) -> list[Planned]:
    """`clips` clips of a seed, the classes in turn."""
    found: list[Planned] = []
    for k in range(clips):
        label = LABELS[k % len(LABELS)]
        of_clip = evaluation_seeds(label, k + 1, seed)[-1]
        found.append({"file": f"{label.replace(' ', '_')}/{of_clip}.mp4", "label": label, "seed": of_clip})
    return found


def write_whole(file: Path, frames: Tensor) -> None:
    """Write a clip of `VIDEO_FPS` into a class folder, which is made: it is there whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.parents[1] / f".{os.getpid()}.mp4"
    write_video(part, frames, VIDEO_FPS)
    part.replace(file)


def render_missing(
    folder: Path, clips: int, seed: int, device: str, compiled: bool = False, parent: int | None = None
) -> None:
    """Render what a folder lacks. A clip that is there is whole, and the list names none that is not there.

    Args:
        parent: the process that waits for the clips: nothing more is rendered once it has ended. None if nobody waits.

    Raises:
        SystemExit: if the parent has ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / f"{made_by()}.code"
    if not mark.exists():
        for old in (*folder.glob("*.code"), *folder.glob("*/*.mp4"), folder / LIST):
            old.unlink(missing_ok=True)
        mark.touch()
    listed = planned(clips, seed)
    missing = [clip for clip in listed if not (folder / clip["file"]).exists()]
    for done, clip in enumerate(missing):
        if parent is not None and os.getppid() != parent:
            raise SystemExit("Whoever asked for these clips has ended.")
        if sys.stderr.isatty():
            print(f"\r{done} of {len(missing)} clips rendered", end="", file=sys.stderr, flush=True)
        frames = render_video(clip["label"], clip["seed"], VIDEO_FPS, device=device, compiled=compiled)
        write_whole(folder / clip["file"], frames)
    if missing and sys.stderr.isatty():
        print(f"\r{len(missing)} of {len(missing)} clips rendered", file=sys.stderr)
    known = folder / LIST
    if not known.exists() or len(json.loads(known.read_text(encoding="utf-8"))) < clips:
        part = folder / f".{os.getpid()}.json"
        part.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
        part.replace(known)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mannequin.renders", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="build a fast renderer first, which takes a minute")
    parser.add_argument("--device", default=str(default_device()))
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this process, the parent, has")
    options = parser.parse_args()
    render_missing(options.folder, options.clips, options.seed, options.device, options.compile, options.parent)


if __name__ == "__main__":
    main()
