"""Trains the small ViViT that ships with the library, rendering its clips as it goes: `python -m mannequin.train`.

A pool of clips lives on the accelerator; every step learns from a random batch of it and renders a few new clips over the
oldest, so each clip is seen a handful of times, each time with another disturbance. Beside the model a twin of the same
width and depth learns from the same batches, but sees only one random frame of each clip: what it cannot tell, motion tells.
Models of several factorisations can learn side by side, from the same batches too.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from mannequin.actions import LABELS
from mannequin.sample import frame_times, render_clips
from mannequin.scene import LONGEST_SECONDS, SHORTEST_SECONDS, draws
from vivit.config import VivitConfig
from vivit.device import default_device
from vivit.model import VivitForVideoClassification
from vivit.names import FACTORIZATIONS
from vivit.processing import VivitImageProcessor
from vivit.timeline.trained import KEY

# Disjoint ranges of seeds. torch's CPU generator uses the low 32 bits of a seed.
TRAINING_SEEDS = range(0, 1 << 30)
EVALUATION_SEEDS = range(1 << 30, 1 << 31)
BUNDLED_SEEDS = range(1 << 31, 1 << 32)

FRAME_RATES = (8.0, 10.0, 12.5, 15.0, 24.0, 25.0, 30.0)
FRAMES, PIXELS = 32, 128
SAMPLES = 2
MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Recipe:
    """How to train.

    `pool` clips are held, `fresh` rendered per step; `batch` are learned from. `warmup` and `steps` shape the learning
    rate: linear rise to `learning_rate`, cosine to nothing. `average` is the decay of the running mean of the weights,
    which is what is kept.
    """

    seed: int = 0
    steps: int = 5600
    batch: int = 256
    pool: int = 12288
    fresh: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: int = 300
    smoothing: float = 0.05
    average: float = 0.998

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step. Args: step: how many were taken before."""
        rising = min((step + 1) / self.warmup, 1.0)
        falling = 0.5 + 0.5 * math.cos(math.pi * max(step - self.warmup, 0) / (self.steps - self.warmup))
        return self.learning_rate * rising * falling


def processor() -> VivitImageProcessor:
    """What happens to frames: the shortest edge to 128 pixels, the middle 128 x 128, then [-1, 1]."""
    return VivitImageProcessor(
        size={"shortest_edge": PIXELS}, crop_size={"height": PIXELS, "width": PIXELS}, do_normalize=False
    )


def config(num_frames: int = FRAMES, factorization: str = "none", heads: int = 3) -> VivitConfig:
    """The shape of the model: 1,024 tubelets of 32 frames, 2.35 to 3.1 million parameters.

    Args:
        num_frames: of a clip.
        factorization: a key of `vivit.names.FACTORIZATIONS`. Of 'encoder' two layers are over the time steps and four are
            before them, so that it is about as large as 'none'.
        heads: 3 in the first model that was trained; 4 in those that are compared, since 'dot_product' halves them.
    """
    return VivitConfig(
        image_size=PIXELS,
        num_frames=num_frames,
        tubelet_size=(2, 16, 16),
        hidden_size=192,
        num_hidden_layers=4 if factorization == "encoder" else 5,
        num_temporal_layers=2 if factorization == "encoder" else 4,
        num_attention_heads=heads,
        intermediate_size=576,
        factorization=factorization,
        id2label=dict(enumerate(LABELS)),
        extra={KEY: (SHORTEST_SECONDS + LONGEST_SECONDS) / 2},  # of a clip, on average
    )


def training_clips(label: str, first_seed: int, count: int, device: torch.device) -> Tensor:
    """`count` clips of one action as the model would get them from a file: (count, 32, 128, 128, 3), uint8."""
    seeds = range(first_seed, first_seed + count)
    fps = FRAME_RATES[first_seed % len(FRAME_RATES)]
    return render_clips(label, seeds, frame_times(draws(seeds), FRAMES, fps), PIXELS, PIXELS, SAMPLES, device)


def new_clips(start: int, group: int, device: torch.device) -> Iterator[tuple[int, Tensor, int]]:
    """Endlessly: (label index, `group` clips of it, first seed), going round the labels."""
    seed = start
    while True:
        label = seed // group % len(LABELS)
        yield label, training_clips(LABELS[label], TRAINING_SEEDS[seed], group, device), seed
        seed += group


def disturb(frames: Tensor, noise: Tensor) -> Tensor:
    """What cameras and codecs do: light, contrast, tint, blur, grain; and left for right. The same for all of a clip.

    Args:
        frames: (B, T, H, W, 3), uint8.
        noise: (B, 8), uniform in [0, 1).

    Returns:
        (B, T, 3, H, W) in [-1, 1], bfloat16 on an accelerator.
    """
    n = noise[..., None, None, None, None].unbind(1)
    frames = torch.where(n[7] < 0.5, frames, frames.flip(3))
    x = frames.movedim(-1, 2).to(torch.float32 if frames.is_cpu else torch.bfloat16) / 127.5 - 1
    gain = torch.stack([noise[:, k] for k in (0, 1, 2)], 1)[:, None, :, None, None] * 0.12 - 0.06 + 0.85 + 0.3 * n[3]
    x = x * gain.to(x) + (0.24 * n[4] - 0.12).to(x)
    blurred = (torch.roll(x, 1, 3) + torch.roll(x, -1, 3) + torch.roll(x, 1, 4) + torch.roll(x, -1, 4)) * 0.25
    x = torch.lerp(x, blurred, (n[5] - 0.35).clamp(min=0).to(x))
    x = x + torch.randn_like(x) * (0.07 * (n[6] - 0.4).clamp(min=0)).to(x)
    return x.clamp(-1, 1)


class Pool:
    """Clips on the accelerator, of which a new one takes the place of the oldest.

    Args:
        size: how many clips, of which whole groups are held.
        next_seed: of the first clip.
        device: where.
    """

    def __init__(self, size: int, next_seed: int, device: torch.device) -> None:
        self._group = min(2 if device.type == "cpu" else 32, size)
        self.held = size - size % self._group
        self.next_seed = next_seed
        self._frames = torch.empty((size, FRAMES, PIXELS, PIXELS, 3), dtype=torch.uint8, device=device)
        self._labels = torch.empty(size, dtype=torch.long, device=device)
        self._source = new_clips(next_seed, self._group, device)
        self._place, self._owed = 0, 0
        self.renew(self.held)

    def renew(self, count: int) -> None:
        """Render so many new clips, in whole groups; what is left over is owed to the next call."""
        self._owed += count
        while self._owed >= self._group:
            label, clips, seed = next(self._source)
            group = slice(self._place, self._place + self._group)
            self._frames[group], self._labels[group] = clips, label
            self._place = (self._place + self._group) % self.held
            self.next_seed = seed + self._group
            self._owed -= self._group

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """Clips by chance, (size, T, H, W, 3) uint8, and the indices of their labels."""
        chosen = torch.randint(self.held, (size,), device=self._labels.device)
        return self._frames[chosen], self._labels[chosen]


def one_frame(clips: Tensor, num_frames: int) -> Tensor:
    """One frame of each clip, by chance, `num_frames` times: (B, num_frames, 3, H, W)."""
    chosen = torch.randint(FRAMES, (len(clips),), device=clips.device)
    frames = clips[torch.arange(len(clips)), chosen]
    return frames[:, None].expand(-1, num_frames, -1, -1, -1)


@dataclass
class Learner:
    """A model, the running mean of its weights, and its optimiser; `forward` is the model, compiled on an accelerator."""

    model: VivitForVideoClassification
    mean: VivitForVideoClassification
    optimiser: torch.optim.AdamW
    forward: Callable[[Tensor], Any]

    @classmethod
    def new(cls, shape: VivitConfig, recipe: Recipe, device: torch.device) -> Learner:
        torch.manual_seed(recipe.seed)
        model, mean = (VivitForVideoClassification(shape).to(device) for _ in range(2))
        mean.load_state_dict(model.state_dict())
        decays = [p for p in model.parameters() if p.ndim == 2]
        others = [p for p in model.parameters() if p.ndim != 2]
        groups = [{"params": decays, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
        forward = model if device.type == "cpu" else torch.compile(model)
        return cls(model, mean.requires_grad_(False), optimiser, forward)

    def learn(self, clips: Tensor, target: Tensor, step: int, recipe: Recipe) -> Tensor:
        """Take one step, and the running mean with it.

        Args:
            clips: (B, T, 3, H, W) in [-1, 1]; a model of fewer than `FRAMES` frames sees one of them, by chance.
            target: (B,), indices of labels.
            step: how many were taken before.
            recipe: how.

        Returns:
            the loss, and the share of the batch that was named right: (2,).
        """
        num_frames = self.model.config.num_frames
        pixels = one_frame(clips, num_frames) if num_frames < FRAMES else clips
        for options in self.optimiser.param_groups:
            options["lr"] = recipe.learning_rate_at(step)
        with torch.autocast(clips.device.type, torch.bfloat16, enabled=not clips.is_cpu):
            logits = self.forward(pixels).logits
        loss = F.cross_entropy(logits.float(), target, label_smoothing=recipe.smoothing)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        decay = min(recipe.average, (step + 1) / (step + 10))
        torch._foreach_lerp_(list(self.mean.parameters()), list(self.model.parameters()), 1 - decay)
        return torch.stack((loss.detach(), (logits.argmax(-1) == target).float().mean()))

    def save(self, folder: Path) -> None:
        """Write the averaged model, and in `state.safetensors` what else training needs to go on from here."""
        self.mean.save_pretrained(folder)
        processor().save_pretrained(folder)
        state = {f"model.{n}": p.data for n, p in self.model.named_parameters()}
        for moment in MOMENTS:
            moments = {n: self.optimiser.state[p][moment] for n, p in self.model.named_parameters()}
            state |= {f"{moment}.{n}": m.bfloat16() for n, m in moments.items()}
        save_file({n: t.contiguous().cpu() for n, t in state.items()}, folder / "state.safetensors")

    def load(self, folder: Path, step: int) -> None:
        """Take up what `save` wrote after so many steps."""
        self.mean.load_tensors(folder)
        state = load_file(folder / "state.safetensors")
        for n, p in self.model.named_parameters():
            p.data.copy_(state[f"model.{n}"])
            self.optimiser.state[p] = {"step": torch.tensor(float(step), device=p.device)}
            self.optimiser.state[p] |= {moment: state[f"{moment}.{n}"].to(p) for moment in MOMENTS}


@dataclass
class Progress:
    """How far a training has come, as `progress.json` has it.

    Args:
        recipe: with which it began, as plain data.
        step: how many were taken.
        next_seed: of the next clip that is rendered.
        curve: a line each hundred steps.
    """

    recipe: dict[str, Any]
    step: int
    next_seed: int
    curve: list[dict[str, float]] = field(default_factory=list)

    def add_line(self, names: Iterable[str], means: list[list[float]], seconds: float) -> None:
        """Note and print where the learners stand. Args: means: the loss and the top-1 of each, in the order of their names."""
        line: dict[str, float] = {"step": self.step, "loss": means[0][0]}
        line |= {f"{name}_top1".lstrip("_"): top1 for name, (_, top1) in zip(names, means, strict=True)}
        line = {key: round(value, 4) for key, value in line.items()} | {"seconds": round(seconds)}
        self.curve.append(line)
        print(line, flush=True)


def train(recipe: Recipe, out: Path, shapes: dict[str, VivitConfig], device: torch.device, minutes: float) -> None:
    """Train until `recipe.steps`, or for `minutes`, and write the checkpoints; go on from what `out` holds.

    Writes a ViViT folder of the averaged weights for each model, `out/curve.json` and, to go on from, `state.safetensors`
    beside each and `out/progress.json`.

    Args:
        recipe: how.
        out: a folder.
        shapes: name of a folder in `out`, '' for `out` itself → a model. All learn from the same batches; one of fewer than
            `FRAMES` frames sees one random frame of each clip.
        device: where.
        minutes: after which to stop.
    """
    started = time.monotonic()
    torch.set_float32_matmul_precision("high")
    learners = {name: Learner.new(shape, recipe, device) for name, shape in shapes.items()}
    progress = Progress(asdict(recipe), step=0, next_seed=recipe.seed << 24)
    if (out / "progress.json").is_file():
        progress = Progress(**json.loads((out / "progress.json").read_text()))
        for name, learner in learners.items():
            learner.load(out / name, progress.step)
    torch.manual_seed(recipe.seed + progress.step)

    pool = Pool(recipe.pool, progress.next_seed, device)
    prepare = disturb
    if device.type != "cpu":
        prepare = torch.compile(disturb)
        torch.accelerator.synchronize(device)
    print(f"{pool.held} clips after {time.monotonic() - started:.0f} s", flush=True)

    sums, since = torch.zeros(len(learners), 2, device=device), 0
    while progress.step < recipe.steps and time.monotonic() - started < minutes * 60:
        pool.renew(recipe.fresh)
        frames, target = pool.batch(recipe.batch)
        clips = prepare(frames, torch.rand(recipe.batch, 8, device=device))
        for k, learner in enumerate(learners.values()):
            sums[k] += learner.learn(clips, target, progress.step, recipe)
        progress.step += 1
        since += 1
        if progress.step % 100 == 0 or progress.step == recipe.steps:
            progress.add_line(learners, (sums / since).tolist(), time.monotonic() - started)
            sums.zero_()
            since = 0

    progress.next_seed = pool.next_seed
    for name, learner in learners.items():
        learner.save(out / name)
    (out / "progress.json").write_text(json.dumps(asdict(progress)))
    (out / "curve.json").write_text(json.dumps(progress.curve, indent=0))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mannequin.train", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write, and to go on from")
    parser.add_argument("--minutes", type=float, default=1e6, help="stop after so many, to go on another time")
    parser.add_argument("--no-single-frame", action="store_true", help="leave out the single-frame twin")
    parser.add_argument(
        "--factorization", nargs="+", default=["none"], choices=FACTORIZATIONS, metavar="NAME",
        help=f"of the model: {', '.join(FACTORIZATIONS)}; several learn side by side, each in a folder of its name",
    )  # fmt: skip
    parser.add_argument(
        "--heads", type=int, help="3 for the first model, 4 for all others and for several, if left out"
    )
    parser.add_argument("--device", default=str(default_device()))
    for name, value in asdict(Recipe()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    options = parser.parse_args()
    recipe = Recipe(**{name: getattr(options, name) for name in asdict(Recipe())})
    names: list[str] = options.factorization
    heads = options.heads or (3 if names == ["none"] else 4)
    shapes = {name if len(names) > 1 else "": config(factorization=name, heads=heads) for name in names}
    if not options.no_single_frame:
        shapes["single_frame"] = config(2)
    train(recipe, options.out, shapes, torch.device(options.device), options.minutes)


if __name__ == "__main__":
    main()
