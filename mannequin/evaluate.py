"""Measures a checkpoint on clips it never saw, beside controls: `python -m mannequin.evaluate --clips 200 --seed 1`.

The controls ask what the motion is worth: one frame repeated, the frames shuffled, and a model of the same width and depth
that was trained alike on single frames. Each figure is also given for the motion-only groups alone, whose actions share
their poses.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mannequin.actions import LABELS, MOTION_ONLY
from mannequin.sample import frame_times, render_clips, write_video
from mannequin.scene import LONGEST_SECONDS, clip_lengths, draws
from mannequin.train import EVALUATION_SEEDS, FRAMES, PIXELS, SAMPLES
from vivit.device import default_device
from vivit.familiarity import Familiarity, load
from vivit.model import VivitForVideoClassification
from vivit.names import PRECISIONS
from vivit.processing import VivitImageProcessor

CHECKPOINT = Path(__file__).parents[1] / "vivit" / "assets" / "vivit-mannequin"
SINGLE_FRAME_CHECKPOINT = Path(__file__).with_name("single_frame")
HEIGHT, WIDTH = 256, 340
VIDEO_FPS, TENSOR_FPS = 8.0, 25.0
GROUP, BATCH = 32, 8


def evaluation_seeds(label: str, clips: int, seed: int) -> list[int]:
    """The seeds of a class among `clips` fresh clips of all classes in turn."""
    first = seed * 1_000_003 % (len(EVALUATION_SEEDS) // 2)
    return [EVALUATION_SEEDS[first + k] for k in range(LABELS.index(label), clips, len(LABELS))]


def clips_as_tensors(
    label: str, seeds: list[int], device: torch.device, compiled: bool = False
) -> Iterator[np.ndarray]:
    """Clips as the model gets them, rendered at its size: (32, 128, 128, 3) uint8 each."""
    group = 1 if device.type == "cpu" else GROUP
    for k in range(0, len(seeds), group):
        some = seeds[k : k + group]
        # Always the same number, so that one kernel serves.
        padded = some + some[-1:] * (group - len(some))
        seconds = frame_times(draws(padded), FRAMES, TENSOR_FPS)
        frames = render_clips(label, padded, seconds, PIXELS, PIXELS, SAMPLES, device, compiled)
        yield from frames[: len(some)].cpu().numpy()


def clips_as_videos(
    label: str,
    seeds: list[int],
    device: torch.device,
    image_processor: VivitImageProcessor,
    height: int = HEIGHT,
    compiled: bool = False,
) -> Iterator[np.ndarray]:
    """The same through a video file: H.264 of `height` rows, then `vivit.preparing`."""
    from vivit.preparing import prepare_clip

    for seed in seeds:
        frames = render_video(label, seed, VIDEO_FPS, height, device=device, compiled=compiled)
        with tempfile.TemporaryDirectory() as folder:
            write_video(Path(folder) / "clip.mp4", frames, VIDEO_FPS)
            yield prepare_clip(Path(folder) / "clip.mp4", FRAMES, image_processor).pixels[0]


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


def batched(items: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def share(right: Tensor) -> float:
    return round(float(right.float().mean()), 4) if len(right) else 0.0


@torch.inference_mode()
def evaluate(
    model: VivitForVideoClassification,
    single_frame_model: VivitForVideoClassification,
    image_processor: VivitImageProcessor,
    clips: int,
    seed: int,
    video: bool,
    height: int = HEIGHT,
    compiled: bool = False,
    familiarity: Familiarity | None = None,
) -> tuple[dict, Tensor]:
    """Classify `clips` fresh clips, the classes in turn.

    Returns:
        the report, and the confusion matrix (true class, predicted class) as counts.
    """
    device = model.device
    guesses: dict[str, list[Tensor]] = {"": [], "repeated_frame_": [], "shuffled_": [], "single_frame_model_": []}
    truth: list[int] = []
    unfamiliar = 0
    chance = torch.Generator().manual_seed(seed)
    for index, label in enumerate(LABELS):
        seeds = evaluation_seeds(label, clips, seed)
        source = (
            clips_as_videos(label, seeds, device, image_processor, height, compiled)
            if video
            else clips_as_tensors(label, seeds, device, compiled)
        )
        for batch in batched(source, BATCH):
            values = torch.as_tensor(image_processor.normalise(np.stack(batch))).to(device)
            middle = values[:, FRAMES // 2 : FRAMES // 2 + 1]
            orders = torch.stack([torch.randperm(FRAMES, generator=chance) for _ in batch]).to(device)
            inputs = (values, middle.expand_as(values), values[torch.arange(len(batch))[:, None], orders])
            features = [model.features(pixels) for pixels in inputs]
            logits = [model.classifier(some) for some in features]
            logits.append(single_frame_model(middle.expand(-1, 2, -1, -1, -1)).logits)
            for guess, some in zip(guesses.values(), logits, strict=True):
                guess.append(some.argmax(-1).cpu())
            truth += [index] * len(batch)
            if familiarity:
                unfamiliar += sum(not familiarity.is_familiar(one) for one in features[0].float().cpu().numpy())
    true = torch.tensor(truth)
    right = {name: torch.cat(guess) == true for name, guess in guesses.items()}
    moving = torch.tensor([LABELS[k] in MOTION_ONLY for k in truth])
    report: dict = {"clips": clips, "seed": seed, "through": "H.264" if video else "tensors"}
    report |= {f"{name}top1": share(r) for name, r in right.items()}
    report |= {f"motion_{name}top1": share(r[moving]) for name, r in right.items()}
    if familiarity:
        report["unfamiliar"] = round(unfamiliar / clips, 4)
    report["per_class"] = {label: share(right[""][true == k]) for k, label in enumerate(LABELS) if (true == k).any()}
    confusion = torch.zeros(len(LABELS), len(LABELS), dtype=torch.long)
    confusion.index_put_((true, torch.cat(guesses[""])), torch.ones_like(true), accumulate=True)
    return report, confusion


def draw_confusion(confusion: Tensor, path: Path) -> None:
    """A picture of the confusion matrix: a row for each true class, shares from white to dark blue."""
    from PIL import Image, ImageDraw

    cell, left, top = 22, 150, 150
    side = len(LABELS) * cell
    picture = Image.new("RGB", (left + side + 10, top + side + 10), "white")
    pen = ImageDraw.Draw(picture)
    shares = confusion / confusion.sum(1, keepdim=True).clamp(min=1)
    for row, label in enumerate(LABELS):
        pen.text((left - 6, top + row * cell + cell // 2), label, "black", anchor="rm")
        name = Image.new("L", (top - 6, cell))
        ImageDraw.Draw(name).text((0, cell // 2), label, 255, anchor="lm")
        name = name.rotate(90, expand=True)
        picture.paste("black", (left + row * cell, 0), name)
        for column in range(len(LABELS)):
            value = float(shares[row, column]) ** 0.5
            colour = tuple(round(255 + (dark - 255) * value) for dark in (16, 52, 120))
            x, y = left + column * cell, top + row * cell
            pen.rectangle((x, y, x + cell - 1, y + cell - 1), colour, (226, 228, 232))
    picture.save(path)


def as_text(report: dict) -> str:
    lines = [f"{report['clips']} clips, seed {report['seed']}, through {report['through']}"]
    names = {
        "": "32 frames",
        "repeated_frame_": "one frame repeated",
        "shuffled_": "frames shuffled",
        "single_frame_model_": "model trained on single frames",
    }
    lines.append(f"{'top-1':32} {'all':>7} {'motion-only':>12}")
    for key, name in names.items():
        lines.append(f"{name:32} {report[key + 'top1']:7.1%} {report['motion_' + key + 'top1']:12.1%}")
    if "unfamiliar" in report:
        lines.append(f"{'called unfamiliar':32} {report['unfamiliar']:7.1%}")
    lines += [f"  {label:30} {value:7.1%}" for label, value in report["per_class"].items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mannequin.evaluate", description=__doc__)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--video", action=argparse.BooleanOptionalAction, default=find_spec("av") is not None,
                        help="go through H.264 files (the default where av is installed)")  # fmt: skip
    parser.add_argument("--tensors", dest="video", action="store_false", help="skip the files")
    parser.add_argument("--height", type=int, default=HEIGHT, help="rows of the video files")
    parser.add_argument(
        "--compile", action="store_true", help="build a fast renderer first: a minute, pays from some 40 clips on a CPU"
    )
    parser.add_argument("--model", type=Path, default=CHECKPOINT)
    parser.add_argument("--single-frame-model", type=Path, default=SINGLE_FRAME_CHECKPOINT)
    parser.add_argument("--confusion", type=Path, help="where to draw the confusion matrix, a PNG")
    parser.add_argument("--precision", default="float32", metavar="NAME", help=f"of the model: {', '.join(PRECISIONS)}")
    parser.add_argument("--device", default=str(default_device()))
    options = parser.parse_args()
    model, single = (
        VivitForVideoClassification.from_pretrained(folder, dtype=precision, device=options.device)
        for folder, precision in ((options.model, options.precision), (options.single_frame_model, "float32"))
    )
    image_processor = VivitImageProcessor.from_pretrained(options.model)
    report, confusion = evaluate(
        model,
        single,
        image_processor,
        options.clips,
        options.seed,
        options.video,
        options.height,
        options.compile,
        load(options.model),
    )
    if options.confusion:
        draw_confusion(confusion, options.confusion)
    print(json.dumps(report) if options.json else as_text(report))


if __name__ == "__main__":
    main()
