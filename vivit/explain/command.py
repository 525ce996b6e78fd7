"""`python -m vivit explain`: what a model looked at in video files, and whether it used time, from a terminal."""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from vivit.explain.kinds import METHODS, has_heads, methods, refuse
from vivit.explain.maps import LAYER, choose
from vivit.progress import show

if TYPE_CHECKING:
    from vivit.checkpoint import Checkpoint
    from vivit.config import VivitConfig
    from vivit.model import VivitForVideoClassification
    from vivit.preparing import PreparedClip
    from vivit.processing import VivitImageProcessor

TOP_K = 5  # classes
MEAN = "mean"
OPACITY = 0.5  # of the heat over the frames
UNCHECKED = "Whether the map is true, and whether the order of the frames matters, has not been looked at."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `explain` understands beyond what `classify` does too."""
    parser.add_argument("--method", choices=list(METHODS), help="which map; the first that the model has if left out")
    parser.add_argument("--layer", type=_place, metavar=f"N|{MEAN}", help=f"of the map, from 0; {MEAN} if left out")
    parser.add_argument("--head", type=_place, metavar=f"N|{MEAN}", help=f"of the map, from 0; {MEAN} if left out")
    parser.add_argument(
        "--no-checks", action="store_true", help="look at the clip, and no more: one pass instead of about 70"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write frames (PNG), a video (MP4) and all numbers (JSON) of each clip"
    )


def _place(text: str) -> int | str:
    try:
        return text if text == MEAN else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a whole number or '{MEAN}' is wanted, not '{text}'") from None


@dataclass(frozen=True)
class _Map:
    """Which map. Args: method: a key of `METHODS`. layer, head: from 0, None for the mean."""

    method: str
    layer: int | None
    head: int | None


@dataclass(frozen=True)
class _Subject:
    """What is looked into."""

    checkpoint: "Checkpoint"
    processor: "VivitImageProcessor"
    model: "VivitForVideoClassification"


@dataclass
class _Names:
    """Names for files, no two the same, in capitals or not."""

    given: set[str] = field(default_factory=set)  # those of clips in the folder among them, or one would be overwritten

    def of(self, clip: str) -> str:
        """That of a clip's file or address without its ending, and a number if another clip has had it."""
        from vivit.fetching import file_name, is_address

        stem = Path(file_name(urlsplit(clip).path) if is_address(clip) else clip).stem
        name, number = stem, 1
        while name.casefold() in self.given:
            number += 1
            name = f"{stem}-{number}"
        self.given.add(name.casefold())
        return name


def explain(options: argparse.Namespace, tell: Callable[[Exception], int]) -> int:
    """Look into a model as the options describe, clip by clip, and print what was found.

    Args:
        tell: says what is wrong with a clip, and returns the exit status.

    Returns:
        The exit status: 0, or what `tell` has returned if a clip could not be explained; the others are all the same.

    Raises:
        ValueError, OSError: for options that cannot be used; the message is for the user.
    """
    from vivit.checkpoint import open_checkpoint
    from vivit.device import default_device
    from vivit.model import VivitForVideoClassification
    from vivit.processing import NORMALISATIONS
    from vivit.writing import make_folder

    device = default_device()  # whose error comes before a download
    if options.out:
        make_folder(options.out)
    checkpoint = open_checkpoint(options.model, options.revision)
    wanted = _which(options, checkpoint.config)
    subject = _Subject(
        checkpoint,
        replace(checkpoint.processor, **NORMALISATIONS.get(options.normalisation, {})),
        checkpoint.load(
            VivitForVideoClassification, attn_implementation=options.attention, dtype=options.precision, device=device
        ),
    )
    beside = {Path(clip).stem.casefold() for clip in options.clips if options.out and _is_in(clip, options.out)}
    status, names = 0, _Names(beside)
    for clip in options.clips:
        try:
            prepared = _read(clip, subject, options)
            weights, found = _look(clip, prepared, subject, wanted, options)
            said = {key: value for key, value in found.items() if key != "weights"}
            print(json.dumps(said, allow_nan=False) if options.json else "\n".join(as_text(said)), flush=True)
            if options.out:
                _write(options.out, names.of(clip), prepared, weights, found)
        except Exception as error:
            show()
            status = tell(error)
    return status


def _is_in(clip: str, folder: Path) -> bool:
    return Path(clip).resolve().parent == folder.resolve()


def _which(options: argparse.Namespace, config: "VivitConfig") -> _Map:
    """The map that the options ask for.

    Raises:
        ValueError: if the model has none such.
    """
    method = options.method or next(iter(methods(config)), "rollout")
    refuse(config, method)
    if not has_heads(method):
        if options.layer is not None or options.head is not None:
            raise ValueError(f"'{method}' is one map of all layers and heads: leave --layer and --head out.")
        return _Map(method, None, None)
    # Model 4 attends over each axis with half of its heads.
    heads = config.num_attention_heads // (2 if config.factorization == "dot_product" else 1)
    layer = LAYER if options.layer is None else None if options.layer == MEAN else options.layer
    head = None if options.head == MEAN else options.head
    choose(np.zeros((config.num_hidden_layers, heads, 1, 1, 1)), layer, head)  # before anything is loaded
    layer, head = (
        place if place is None else place % count for place, count in ((layer, config.num_hidden_layers), (head, heads))
    )
    return _Map(method, layer, head)


def _read(clip: str, subject: _Subject, options: argparse.Namespace) -> "PreparedClip":
    from vivit.fetching import fetched, is_address
    from vivit.preparing import prepare_clip

    with fetched(clip) if is_address(clip) else nullcontext(Path(clip)) as path:
        return prepare_clip(
            path,
            subject.model.config.num_frames,
            subject.processor,
            sampling=options.sampling,
            stride=options.stride,
            geometry=options.geometry,
        )


def _look(
    clip: str, prepared: "PreparedClip", subject: _Subject, wanted: _Map, options: argparse.Namespace
) -> tuple[np.ndarray, dict[str, Any]]:
    """The map (L, H, W), and all that there is to report of the clip."""
    import torch

    from vivit.batching import clips_at_once
    from vivit.crossing import cross
    from vivit.explain.attention import look
    from vivit.explain.passes import check_deletion, check_orders, whole_answer
    from vivit.explain.report import report
    from vivit.pipelines import UNFAMILIAR
    from vivit.scores import top_predictions, usual_function
    from vivit.tf32 import products_of

    checkpoint, model, sampled = subject.checkpoint, subject.model, prepared.sampled
    labels, familiarity = checkpoint.labels, checkpoint.familiarity()
    pixel_values = cross([*prepared.pixels], subject.processor, model.device, model.dtype)
    seen = look(model, pixel_values, rollout=not has_heads(wanted.method), progress=_progress(clip))
    maps = seen.maps[wanted.method][:, 0] if seen.rollout is None else seen.rollout[None]
    weights = choose(maps.float().cpu().numpy(), wanted.layer, wanted.head)
    with torch.inference_mode(), products_of(model):
        logits = model.classifier(seen.features)[0]
    predictions = top_predictions(logits, labels, TOP_K, usual_function(model.config.problem_type))
    whole, label = whole_answer(model, seen.features, labels, familiarity)
    deletion = counterfactuals = None
    if not options.no_checks:
        at_once = clips_at_once(model.config, options.attention, options.precision, model.device)
        how: dict[str, Any] = {"at_once": at_once, "progress": _progress(clip)}
        deletion = check_deletion(model, pixel_values, weights, whole.score, label, **how)
        counterfactuals = check_orders(model, pixel_values, whole, label, labels, familiarity, **how)
    show()
    return weights, report(
        weights,
        clip=clip,
        model=options.model,
        attention=options.attention,
        precision=options.precision,
        device=model.device.type,
        method=wanted.method,
        layer=wanted.layer,
        head=wanted.head,
        predictions=predictions,
        familiar=whole.familiar,
        indices=sampled.indices,
        seconds=sampled.seconds,
        crop_box=subject.processor.crop_box(sampled.info.height, sampled.info.width),
        tubelet_size=model.config.tubelet_size,
        deletion=deletion,
        counterfactuals=counterfactuals,
        warnings=[*sampled.warnings, *([UNFAMILIAR] if whole.familiar is False else [])],
        trained=checkpoint.trained,
        raw=options.out is not None,
    )


def as_text(found: dict[str, Any]) -> Iterator[str]:
    """A report for people, as lines."""
    yield found["clip"]
    yield from (f"  {p['score']:7.2%}  {p['label']}" for p in found["predictions"])
    of = f", layer {found['layer']}, head {found['head']}" if has_heads(found["method"]) else ""
    times = [frame["seconds"] for frame in found["frames"]]
    yield (
        f"  {len(times)} frames, {times[0]:.2f} s to {times[-1]:.2f} s; {found['attention']}, {found['precision']}, "
        f"{found['device']}; {found['method']}{of}, most of it:"
    )
    for one in found["top"]:
        right, bottom = one["x"] + one["width"], one["y"] + one["height"]
        place = f"x {one['x']} to {right}, y {one['y']} to {bottom} of {found['frame']['width']} × {found['frame']['height']}"
        yield f"  {one['weight']:7.2%}  at {one['seconds']:.2f} s, {place}"
    yield from (f"  {sentence}" for sentence in found["sentences"])
    if found["deletion"] is None:
        yield f"  {UNCHECKED}"
    yield from (f"  warning: {text}" for text in found["warnings"])


def _write(folder: Path, name: str, prepared: "PreparedClip", weights: np.ndarray, found: dict[str, Any]) -> None:
    """Write a clip's three files. Raises: ValueError: if one cannot be written; the message is for the user."""
    from vivit.explain.drawing import strip_png
    from vivit.explain.export import overlay_mp4

    frames, seconds = prepared.pixels[0], prepared.sampled.seconds
    # The last frame is shown as long as the others are in the mean, so that the video can be looped.
    end = seconds[-1] + (seconds[-1] - seconds[0]) / max(1, len(seconds) - 1)
    contents = {
        "png": strip_png(frames, weights, seconds, OPACITY),
        "mp4": overlay_mp4(frames, seconds, end, weights, OPACITY),
        "json": json.dumps(found, allow_nan=False).encode(),
    }
    for ending, content in contents.items():
        file = folder / f"{name}.{ending}"
        try:
            file.write_bytes(content)
        except OSError as error:
            raise ValueError(f"'{file}' cannot be written ({error.strerror or error}).") from error


def _progress(clip: str) -> Callable[[float, str], None]:
    return lambda fraction, note: show(f"{Path(clip).name}: {note}")
