"""`make bench`: speed as ratios taken in one run, beside transformers and beside the documentation's way of reading.

    python -m benchmarks.speed [model] [clip] [long] [pipeline]

Both sides of a ratio are repeated in turn, so that a busy machine slows both, and medians are compared. Exit status 1 if a
target is missed.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
import transformers

import vivit
from benchmarks.films import repeat
from benchmarks.theirs import random_model
from vivit.checkpoint import RANDOM, open_checkpoint
from vivit.model import VivitForVideoClassification
from vivit.preparing import prepare_clip
from vivit.processing import VivitImageProcessor

FRAMES = 32


@dataclass(frozen=True)
class Figure:
    """One line of the table. Args: value, target: plain numbers; smaller: whether less is better; how: what was done."""

    what: str
    value: float
    target: float
    smaller: bool
    how: str

    @property
    def met(self) -> bool:
        return self.value <= self.target if self.smaller else self.value >= self.target


def in_turn(ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> tuple[float, float, str]:
    """Medians of each in seconds after one call each to warm up, and all the times as text."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats + 1):
        for call, taken in zip((ours, theirs), times, strict=True):
            begin = time.perf_counter()
            call()
            taken.append(time.perf_counter() - begin)
    a, b = (taken[1:] for taken in times)
    text = " beside ".join(", ".join(f"{t:.3g}" for t in sorted(taken)) for taken in (a, b))
    return statistics.median(a), statistics.median(b), f"{text} s"


def model() -> Iterator[Figure]:
    """ViViT-B/16x2, float32, sdpa, one clip, on the CPU."""
    theirs = random_model()
    ours = open_checkpoint(RANDOM).load(VivitForVideoClassification)
    pixels = torch.randn(1, FRAMES, 3, 224, 224)
    with torch.inference_mode():
        a, b, text = in_turn(lambda: ours(pixels), lambda: theirs(pixel_values=pixels), 3)
    yield Figure("ViViT-B/16x2 forward, ours / transformers", a / b, 0.8, True, text)


def write(path: Path, seconds: int, width: int, height: int, fps: int, minutes: int = 1) -> Path:
    """A clip of drifting colours, H.264, a key frame every second; encoded once and repeated `minutes` times."""
    once = path.with_suffix(".once.mp4")
    ramp = np.add.outer(np.arange(height), np.arange(width)) * 255 // (height + width)
    picture = np.stack([ramp, ramp[::-1], ramp[:, ::-1]], -1).astype(np.uint8)
    with av.open(str(once), "w") as file:
        stream = file.add_stream("libx264", fps, options={"preset": "veryfast", "g": str(fps), "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for k in range(seconds * fps):
            drifted = np.roll(picture, 2 * k, axis=1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(drifted, "rgb24")))
        file.mux(stream.encode(None))
    return repeat(once, path, seconds, minutes)


def clip(folder: Path) -> Iterator[Figure]:
    """A 10 s clip to model-ready pixels."""
    path = write(folder / "clip.mp4", 10, 340, 256, 30)
    processor, oracle = VivitImageProcessor(), transformers.VivitImageProcessor()

    def ours() -> np.ndarray:
        return processor.normalise(prepare_clip(path, FRAMES, processor).pixels[0])

    def theirs() -> torch.Tensor:
        with av.open(str(path)) as file:
            frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        chosen = np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)
        pixel_values: torch.Tensor = oracle([frames[k] for k in chosen], return_tensors="pt")["pixel_values"]
        return pixel_values

    a, b, text = in_turn(ours, theirs, 9)
    yield Figure("10 s of 340x256 H.264 to pixels, documentation's way / ours", b / a, 3.0, False, text)


MEASURED = """
import resource, sys, time
from vivit.preparing import prepare_clip
from vivit.processing import VivitImageProcessor
begin = time.perf_counter()
prepare_clip(sys.argv[1], 32, VivitImageProcessor())
print(time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def long(folder: Path) -> Iterator[Figure]:
    """32 frames of 30 minutes of 1080p, each time in a fresh process."""

    def read(path: Path) -> tuple[float, float]:
        done = subprocess.run([sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True)
        seconds, mib = done.stdout.split()
        return float(seconds), float(mib)

    short = write(folder / "short.mp4", 60, 1920, 1080, 25)
    thirty = write(folder / "thirty.mp4", 60, 1920, 1080, 25, minutes=30)
    pairs = [(read(thirty), read(short)) for _ in range(5)]
    seconds = sorted(a[0] for a, _ in pairs)
    text = ", ".join(f"{s:.2f}" for s in seconds) + f" s; {thirty.stat().st_size / 2**20:.0f} MiB"
    yield Figure("32 frames of 30 min of 1080p, probe included, s", statistics.median(seconds), 3.0, True, text)
    peaks = [statistics.median(side[1] for side in sides) for sides in zip(*pairs, strict=True)]
    text = f"{peaks[0]:.0f} beside {peaks[1]:.0f} MiB resident at the peak"
    yield Figure("its peak memory / that of 1 min", peaks[0] / peaks[1], 1.2, True, text)


def file_to_answer(folder: Path) -> Iterator[Figure]:
    """The pipeline example of the model's documentation: a 10 s clip to its best classes, ViViT-B/16x2, float32, on the CPU."""
    path, name = str(write(folder / "answered.mp4", 10, 340, 256, 30)), str(folder / "vivit-b")
    config = transformers.VivitConfig(id2label={k: f"class {k}" for k in range(400)})
    transformers.VivitForVideoClassification(config).save_pretrained(name)
    transformers.VivitImageProcessor().save_pretrained(name)
    ours, theirs = (
        library.pipeline(
            task="video-classification",
            model=name,
            image_processor=library.VivitImageProcessor.from_pretrained(name),
            device="cpu",
        )
        for library in (vivit, transformers)
    )
    mine, other = (
        {p["label"]: p["score"] for p in classify(path, frame_sampling_rate=1, top_k=400)}
        for classify in (ours, theirs)
    )
    off = max(abs(score - other[label]) / other[label] for label, score in mine.items())
    a, b, text = in_turn(lambda: ours(path), lambda: theirs(path), 3)
    text += f"; of the same frames all scores within {off:.1e} of theirs"
    yield Figure("10 s of 340x256 H.264 to top 5, ours / transformers' pipeline", a / b, 0.5, True, text)


def main(names: list[str]) -> int:
    """Run the named parts, or all; returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="vivit-bench-") as folder:
        parts: dict[str, Callable[[], Iterator[Figure]]] = {
            "clip": lambda: clip(Path(folder)),
            "long": lambda: long(Path(folder)),
            "model": model,
            "pipeline": lambda: file_to_answer(Path(folder)),
        }
        print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, transformers {transformers.__version__}")
        print(f"{'':62}{'measured':>9}{'target':>9}")
        met = True
        for name in names or list(parts):
            for figure in parts[name]():
                sign = "<=" if figure.smaller else ">="
                verdict = "ok" if figure.met else "MISSED"
                met &= figure.met
                print(
                    f"{figure.what:62}{figure.value:9.3f}{sign:>4}{figure.target:5.2f}  {verdict:7}{figure.how}",
                    flush=True,
                )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
