"""What maps and orders are worth, over the embedded evaluation: `python -m mannequin.inside --clips 2000 --seed 1`.

The clips are those of `python -m mannequin.evaluate --tensors`. Three questions are asked of each kind of map and of the model:

- Pointing game: does the tubelet of most weight lie on a moving part, which the renderer knows? Beside it stand a map that is
  always centred and chance, the share of all tubelets that show a moving part.
- Deletion: does deleting the most attended tubelets cost the answer more than deleting the same map shifted, and at least a
  percentage point more? By chance it would in 5 % of clips at most. The centred map is asked too.
- Order: how often does another order of the same frames change the answer? Each clip is shuffled once, by its own seed.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mannequin.actions import LABELS, MOTION_ONLY
from mannequin.evaluate import CHECKPOINT, TENSOR_FPS, batched, clips_as_tensors
from mannequin.moving import COVERED, MOVING, moving_tubelets
from mannequin.renders import evaluation_seeds
from mannequin.sample import frame_times
from mannequin.scene import draws
from mannequin.train import FRAMES
from vivit.config import VivitConfig
from vivit.device import default_device
from vivit.explain.attention import Look, look
from vivit.explain.deletion import CONTROLS, SHARES, Deletion
from vivit.explain.kinds import has_heads, methods
from vivit.explain.passes import check_deletion
from vivit.familiarity import Familiarity, load
from vivit.intervals import wilson
from vivit.model import VivitForVideoClassification
from vivit.names import PRECISIONS
from vivit.processing import VivitImageProcessor

BATCH = {"cpu": 4}  # clips looked into at once; 32 on an accelerator
DELETED = {"cpu": 15}  # clips with tubelets deleted in one pass; all of a map on an accelerator
CENTRED = "centred"
GROUPS = {"motion_only": "motion-only groups", "others": "other actions", "all": "all"}


def centred_map(grid: tuple[int, int, int]) -> np.ndarray:
    """A map that knows nothing of the clip: most weight in the middle of time and picture. Args: grid: (L, H, W)."""
    axes = [(np.arange(n, dtype=np.float32) + 0.5) / n - 0.5 for n in grid]
    return np.exp(-4 * sum(x**2 for x in np.meshgrid(*axes, indexing="ij")))


def maps_of(found: Look, config: VivitConfig) -> dict[str, Tensor]:
    """All kinds of map, each the mean of heads: of each method the last layer, all in the mean, each other; and rollout.

    Returns:
        'METHOD last', 'METHOD mean', 'METHOD layer K' or 'rollout' → (B, L, H, W).
    """
    maps: dict[str, Tensor] = {}
    for method in filter(has_heads, methods(config)):
        layers = found.maps[method].mean(2)  # (layers, B, L, H, W)
        maps |= {f"{method} last": layers[-1], f"{method} mean": layers.mean(0)}
        maps |= {f"{method} layer {k}": one for k, one in enumerate(layers[:-1])}
    if found.rollout is not None:
        maps["rollout"] = found.rollout
    return maps


def is_checked(kind: str) -> bool:
    """Whether deletion is asked of a kind of map; of single layers it is not."""
    return " layer " not in kind


def counted(answers: Iterable[bool]) -> dict[str, Any]:
    """The share of answers that are true, its interval of 95 %, and how many answers there are."""
    answers = list(answers)
    low, high = wilson(sum(answers), len(answers))
    share = sum(answers) / len(answers) if answers else 0.0
    return {"share": round(share, 4), "low": round(low, 4), "high": round(high, 4), "of": len(answers)}


def clips_of(
    label: str, seeds: list[int], image_processor: VivitImageProcessor, device: torch.device, compiled: bool
) -> Iterator[tuple[list[int], Tensor]]:
    """Batches: seeds, and pixel values (B, T, C, H, W)."""
    rendered = zip(seeds, clips_as_tensors(label, seeds, device, compiled), strict=True)
    for batch in batched(rendered, BATCH.get(device.type, 32)):  # type: ignore[arg-type]
        some, frames = zip(*batch, strict=True)
        yield list(some), torch.as_tensor(image_processor.normalise(np.stack(frames))).to(device)


def shuffles(seeds: list[int]) -> Tensor:
    """An order of frames for each clip: (B, T)."""
    return torch.stack([torch.randperm(FRAMES, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


class Questions:
    """All three questions, asked of batches of clips, each of one action, and what came of them.

    Args:
        model, familiarity: as for `inside`.
    """

    def __init__(self, model: VivitForVideoClassification, familiarity: Familiarity | None) -> None:
        self._model, self._familiarity = model, familiarity
        self._device, self._grid = model.device, model.config.grid_size
        self._at_once = DELETED.get(self._device.type, (1 + CONTROLS) * len(SHARES))
        self.moving: dict[str, list[Tensor]] = {"now": [], "ever": []}
        self.peaks: dict[str, list[int]] = defaultdict(list)
        self.deletions: dict[str, list[Deletion]] = defaultdict(list)
        self.changed: dict[str, list[bool]] = defaultdict(list)
        self.in_group: list[bool] = []
        self.frozen_familiar: list[bool] = []

    def ask(self, label: str, seeds: list[int], pixels: Tensor, asked: set[int]) -> None:
        """Ask all questions of a batch.

        Args:
            label: the action.
            seeds, pixels: of its clips, as `clips_of` has them.
            asked: the seeds of those clips of which deletion is asked.
        """
        self.in_group += [label in MOTION_ONLY] * len(seeds)
        numbers = draws(seeds)
        seconds = frame_times(numbers, FRAMES, TENSOR_FPS)
        for when, found in self.moving.items():
            found.append(moving_tubelets(label, numbers, seconds, self._grid, self._device, when == "ever").cpu())
        answers = self._ask_maps(seeds, pixels, asked)
        self._ask_orders(seeds, pixels, answers)

    def _ask_maps(self, seeds: list[int], pixels: Tensor, asked: set[int]) -> Tensor:
        """Where each kind of map peaks, and what deletion tells of it; returns the answers, (B,)."""
        seen = look(self._model, pixels, rollout=True)
        scores = self._model.classifier(seen.features).float().softmax(-1).cpu()
        maps = {kind: weights.float().cpu().numpy() for kind, weights in maps_of(seen, self._model.config).items()}
        maps[CENTRED] = np.stack([centred_map(self._grid)] * len(seeds))
        for kind, weights in maps.items():
            self.peaks[kind] += weights.reshape(len(seeds), -1).argmax(-1).tolist()
            if is_checked(kind):
                self.deletions[kind] += [
                    self._delete(pixels[k : k + 1], weights[k], scores[k], one)
                    for k, one in enumerate(seeds)
                    if one in asked
                ]
        answers: Tensor = scores.argmax(-1)
        return answers

    def _delete(self, pixels: Tensor, weights: np.ndarray, scores: Tensor, seed: int) -> Deletion:
        """What deletion tells of one clip's answer, with controls that are drawn by the clip's own seed."""
        answer = int(scores.argmax())
        share = float(scores[answer])
        return check_deletion(self._model, pixels, weights, share, answer, at_once=self._at_once, seed=seed)

    def _ask_orders(self, seeds: list[int], pixels: Tensor, answers: Tensor) -> None:
        """Which answers change with the order of frames, and whether clips that stand still are familiar."""
        rows = torch.arange(len(seeds), device=self._device)[:, None]
        frozen = pixels[:, FRAMES // 2 :][:, :1].expand_as(pixels)
        orders = {
            "shuffled": pixels[rows, shuffles(seeds).to(self._device)],
            "reversed": pixels.flip(1),
            "frozen": frozen,
        }
        features = {name: self._model.features(other) for name, other in orders.items()}
        for name, some in features.items():
            self.changed[name] += (self._model.classifier(some).argmax(-1).cpu() != answers).tolist()
        if self._familiarity:
            found = features["frozen"].float().cpu().numpy()
            self.frozen_familiar += [self._familiarity.is_familiar(one) for one in found]


@torch.inference_mode()
def inside(
    model: VivitForVideoClassification,
    image_processor: VivitImageProcessor,
    clips: int,
    seed: int,
    deletion_clips: int,
    familiarity: Familiarity | None = None,
    compiled: bool = False,
) -> dict[str, Any]:
    """Ask all three questions of `clips` fresh clips, the classes in turn.

    Args:
        model: of `FRAMES` frames of the size that clips are rendered at.
        image_processor: its own.
        clips, seed: as for `mannequin.evaluate.evaluate`.
        deletion_clips: of how many deletion is asked, the first ones, again the classes in turn.
        familiarity: the checkpoint's.
        compiled: as for `mannequin.render.render`.
    """
    questions = Questions(model, familiarity)
    for label in LABELS:
        seeds = evaluation_seeds(label, clips, seed)
        asked = set(evaluation_seeds(label, min(deletion_clips, clips), seed))
        for some, pixels in clips_of(label, seeds, image_processor, model.device, compiled):
            questions.ask(label, some, pixels, asked)
    in_group, frozen = questions.in_group, questions.frozen_familiar
    moving = {when: torch.cat(found).flatten(1) for when, found in questions.moving.items()}
    return {
        "clips": clips,
        "seed": seed,
        "through": "tensors",
        "grid": list(model.config.grid_size),
        "moving": {"share_of_fastest": MOVING, "share_of_tubelet": COVERED},
        "pointing": {when: pointing(questions.peaks, found) for when, found in moving.items()},
        "deletion": {kind: deletion(found) for kind, found in questions.deletions.items() if found},
        "order": {name: by_group(found, in_group) for name, found in questions.changed.items()},
        "frozen_familiar": by_group(frozen, in_group) if familiarity else None,
    }


def pointing(peaks: dict[str, list[int]], moving: Tensor) -> dict[str, Any]:
    """The pointing game. Args: peaks: kind → N places. moving: (N, places) bool; a clip that shows none is lost by all."""
    on = {kind: counted(moving[torch.arange(len(moving)), torch.tensor(at)].tolist()) for kind, at in peaks.items()}
    return {"chance": round(float(moving.float().mean()), 4), "without": int((~moving.any(1)).sum()), "on": on}


def deletion(found: list[Deletion]) -> dict[str, Any]:
    """The mean area, which is a probability, its standard error, and in how many clips the map was better than chance."""
    areas = np.array([one.area for one in found])
    error = float(areas.std(ddof=1)) / len(areas) ** 0.5 if len(areas) > 1 else None
    return {
        "area": round(float(areas.mean()), 4),
        "area_standard_error": error and round(error, 4),
        "better": counted(one.better for one in found),
    }


def by_group(answers: list[bool], in_group: list[bool]) -> dict[str, Any]:
    """A share in the groups that only motion tells apart, in the other actions, and in all."""
    pairs = list(zip(answers, in_group, strict=True))
    return {
        "motion_only": counted(answer for answer, inside in pairs if inside),
        "others": counted(answer for answer, inside in pairs if not inside),
        "all": counted(answers),
    }


def as_text(report: dict[str, Any]) -> str:
    """Tables for people."""

    def told(count: dict[str, Any]) -> str:
        return f"{count['share']:7.1%}  {count['low']:6.1%} to {count['high']:6.1%}"

    now, ever = report["pointing"]["now"], report["pointing"]["ever"]
    lines = [f"{report['clips']} clips, seed {report['seed']}, through {report['through']}; intervals of 95 %", ""]
    lines.append(f"{'peak on a part that':28} {'moves at that moment':26} moves in the clip")
    lines += [f"{kind:28} {told(now['on'][kind])}    {told(ever['on'][kind])}" for kind in now["on"]]
    lines.append(f"{'chance':28} {now['chance']:7.1%} {'':18} {ever['chance']:7.1%}")
    lines.append(f"{'clips that show no such part':28} {now['without']:7} {'':18} {ever['without']:7}")
    if report["deletion"]:
        lines += [
            "",
            f"{'deletion':28} {'mean area':>9} {'± s.e.':>8}   better than chance (chance itself: in 5 % at most)",
        ]
    for kind, one in report["deletion"].items():
        error = f"{one['area_standard_error']:8.4f}" if one["area_standard_error"] is not None else f"{'':8}"
        lines.append(f"{kind:28} {one['area']:9.4f} {error}   {told(one['better'])} of {one['better']['of']}")
    for name, groups in report["order"].items():
        lines += ["", f"answers changed: {name}"]
        lines += [f"{words:28} {told(groups[key])} of {groups[key]['of']}" for key, words in GROUPS.items()]
    if report["frozen_familiar"]:
        lines += ["", "frozen clips that are familiar"]
        lines += [f"{words:28} {told(report['frozen_familiar'][key])}" for key, words in GROUPS.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mannequin.inside", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--deletion-clips", type=int, help="of how many deletion is asked (default: all, on a CPU 36)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--model", type=Path, default=CHECKPOINT)
    parser.add_argument("--precision", default="float32", metavar="NAME", help=f"of the model: {', '.join(PRECISIONS)}")
    parser.add_argument("--compile", action="store_true", help="build a fast renderer first, as for mannequin.evaluate")
    parser.add_argument("--device", default=str(default_device()))
    options = parser.parse_args()
    model = VivitForVideoClassification.from_pretrained(options.model, dtype=options.precision, device=options.device)
    few = 36 if model.device.type == "cpu" else options.clips
    report = {"model": options.model.name} | inside(
        model,
        VivitImageProcessor.from_pretrained(options.model),
        options.clips,
        options.seed,
        few if options.deletion_clips is None else options.deletion_clips,
        load(options.model),
        options.compile,
    )
    print(json.dumps(report) if options.json else as_text(report))


if __name__ == "__main__":
    main()
