"""What a model looked at: one pass, by whatever backend, that keeps a row of each attention matrix and never the matrix.

Letters: B clips, T frames, A heads, N tokens, D width of one head, E hidden size; a grid of L time steps of H × W tubelets, S
of them a step; G groups of tokens that attend to each other, R rows of queries.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import get_ident
from typing import Any

import torch
from torch import Tensor

from vivit.attention import attention_probabilities
from vivit.explain.kinds import MapUnavailable, methods, refuse
from vivit.model import (
    VivitAttention,
    VivitForVideoClassification,
    VivitLayer,
    VivitModel,
    apart,
    head_features,
    together,
)
from vivit.progress import Progress
from vivit.tf32 import products_of

# Probabilities that are held at a time, 16 MiB of them in float32, or one row of each group where that is more.
BLOCK = 2**22

Model = VivitModel | VivitForVideoClassification
Grid = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """What one pass has told.

    Args:
        features: (B, E), what the head sees; `model.classifier(features)` are the logits.
        maps: method → (layers, B, heads, L, H, W) float32, for each of the model's `methods` but rollout, see `cls_attention`
            and `axis_attention`; and for the factorised encoder 'time', (temporal layers, B, heads, L, 1, 1).
        rollout: (B, L, H, W) float32, see the function; None where it was not asked for.
    """

    features: Tensor
    maps: dict[str, Tensor]
    rollout: Tensor | None = None


@dataclass(frozen=True)
class _Part:
    """Attention over one axis, of some of a layer's heads.

    Args:
        axis: as in `vivit.model.AXES`.
        query, key: (G, A, N, D).
        groups: of each clip, G being B · groups.
    """

    axis: str | None
    query: Tensor
    key: Tensor
    groups: int


@torch.no_grad()
def look(
    model: Model,
    pixel_values: Tensor,
    *,
    rollout: bool = False,
    interpolate_pos_encoding: bool = False,
    progress: Progress = lambda *_: None,
) -> Look:
    """Run a model once, as in evaluation, by its attention backend and without its compiled or captured form.

    What other threads run of the model meanwhile is not looked at; training it meanwhile is no good idea.

    Args:
        model: of `vivit.model`, or derived of one.
        pixel_values: (B, T, C, H, W), as for the model.
        rollout: whether to make that map too, which takes about as many operations as eager attention has beside its
            products with the values; meanwhile queries and keys of all layers are held.
        interpolate_pos_encoding: as for the model.
        progress: called after every attention and every step back.

    Raises:
        MapUnavailable: if it has no layers, some that are not ours, or one twice.
        ValueError: for a wrong shape.
    """
    base, config = model.base_model, model.config
    refuse(config, "rollout")
    if not all(isinstance(layer, VivitLayer) for layer in base.encoder_layers()):
        raise MapUnavailable("Layers of this model were exchanged for others, whose attention is not known here.")
    grid = base.embeddings.grid(pixel_values, interpolate_pos_encoding)
    rows: dict[str, list[Tensor]] = {}
    kept: list[list[_Part]] = []
    count = sum(len(layer.steps()) for layer in base.encoder_layers())
    steps = count * (1 + rollout)
    done, caller = 0, get_ident()

    def saw(attention: VivitAttention, over_steps: bool, projected: Tensor) -> None:
        nonlocal done
        if get_ident() != caller:
            return
        parts = _parts(attention, projected)
        for part in parts:
            name = "time" if over_steps else part.axis or "attention"
            rows.setdefault(name, []).append(_row(part, (grid[0], 1, 1) if over_steps else grid, config.has_cls))
        if rollout:  # copies, or the values would be held with them
            kept.append([_Part(p.axis, p.query.clone(), p.key.clone(), p.groups) for p in parts])
        done += 1
        progress(done / steps, f"attention {done} of {count}")

    with _watching(base, saw), _uncompiled(model), evaluating(model):
        features = head_features(base, pixel_values, interpolate_pos_encoding)
        if done != count:
            raise MapUnavailable("Layers of this model are one and the same, whose maps cannot be told apart.")
        with products_of(model):
            rolled = _roll(base, kept, grid, lambda k: progress((count + k) / steps, "rollout")) if rollout else None
    maps = {name: torch.stack(some) for name, some in rows.items()}
    if config.factorization == "encoder":
        maps["attention"] = maps["space"] * maps["time"][-1].mean(1, keepdim=True)
    return Look(features, {name: maps[name] for name in (*methods(config), "time") if name in maps}, rolled)


def cls_attention(model: Model, pixel_values: Tensor, *, interpolate_pos_encoding: bool = False) -> Tensor:
    """How much [CLS] attends to each tubelet, in every layer and head, under any backend and without an N × N matrix.

    Of the factorised encoder: how much each step's [CLS] attends to the step's tubelets, times how much the last layer over
    time attends to the step, in the mean of its heads.

    Args:
        model, pixel_values, interpolate_pos_encoding: as for `look`.

    Returns:
        (layers, B, heads, time, height, width) float32: the [CLS] row of the softmax without its own column, so that a map
        sums to 1 less what [CLS] attends to itself. It is eager's row to 1e-6 in float32 and where weights alone are rounded,
        to 1e-3 in TF32 and in 8 bit, 2e-3 in float16 and 1.6e-2 in bfloat16.

    Raises:
        MapUnavailable: if the model has no [CLS], or no layers.
    """
    refuse(model.config, "attention")
    return look(model, pixel_values, interpolate_pos_encoding=interpolate_pos_encoding).maps["attention"]


def axis_attention(model: Model, pixel_values: Tensor, axis: str, *, interpolate_pos_encoding: bool = False) -> Tensor:
    """How much is attended to each tubelet over space or over time alone, in models 2 to 4.

    Args:
        model, pixel_values, interpolate_pos_encoding: as for `look`.
        axis: 'space' or 'time'.

    Returns:
        (layers, B, heads, time, height, width) float32. Of models 3 and 4, which have no [CLS], the mean over all queries: over
        space each step's tubelets sum to 1, over time each place's steps. Of the factorised encoder its [CLS] rows, without
        their own column; over time those are (temporal layers, B, heads, time, 1, 1).

    Raises:
        MapUnavailable: if the model attends over space and time at once, or has no layers.
        ValueError: for another axis.
    """
    if axis not in ("space", "time"):
        raise ValueError(f"axis={axis!r} is unknown; known are space, time")
    if model.config.factorization == "none":
        refuse(model.config, axis)
    return look(model, pixel_values, interpolate_pos_encoding=interpolate_pos_encoding).maps[axis]


def rollout(model: Model, pixel_values: Tensor, *, interpolate_pos_encoding: bool = False) -> Tensor:
    """What reaches the head from each tubelet, if every layer passes on half of what it gets as it is.

    With Ā the mean of a layer's heads, v ← ½ v + ½ v Ā from the last layer back to the first, beginning with all of it on
    [CLS], or evenly on all tokens where there is none; a layer with two attentions is two such steps. Of the factorised
    encoder what the temporal encoder leaves on each step is what the step's [CLS] begins with.

    Args:
        model, pixel_values, interpolate_pos_encoding: as for `look`.

    Returns:
        (B, time, height, width) float32; sums to 1 less what is left on the [CLS] tokens.

    Raises:
        MapUnavailable: if the model has no layers.

    Source: Abnar and Zuidema 2020, arXiv:2005.00928, section 3; here vector by matrix, so that no product of matrices is made.
    """
    found = look(model, pixel_values, rollout=True, interpolate_pos_encoding=interpolate_pos_encoding).rollout
    assert found is not None
    return found


@contextmanager
def _watching(model: VivitModel, saw: Callable[[VivitAttention, bool, Tensor], None]) -> Iterator[None]:
    """Meanwhile `saw` is told of each attention, whether it is over whole steps, and what its projection returns."""

    def after(attention: VivitAttention, over_steps: bool) -> Callable[..., None]:
        return lambda module, args, projected: saw(attention, over_steps, projected)

    with ExitStack() as hooks:
        for number, layer in enumerate(model.encoder_layers()):
            for _, attention in layer.steps():  # type: ignore[operator]
                told = after(attention, number >= len(model.layers))
                hooks.callback(attention.qkv.register_forward_hook(told).remove)
        yield


@contextmanager
def _uncompiled(model: torch.nn.Module) -> Iterator[None]:
    """Meanwhile modules that were compiled by themselves run as they are: a compiler swallows hooks."""
    if not any(module._compiled_call_impl for module in model.modules()):
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Meanwhile nothing is dropped out. Afterwards every module is as it was, a frozen one in a model in training, too."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _parts(attention: VivitAttention, projected: Tensor) -> list[_Part]:
    """(B, N, 3E) or (B, L, S, 3E) → queries and keys, as `VivitAttention.forward` makes them."""
    heads = projected.unflatten(-1, (3, attention.heads, -1))
    parts = []
    for axis, of in zip(attention.axes, heads.chunk(len(attention.axes), -2), strict=True):
        query, key, _ = apart(of, axis).permute(2, 0, 3, 1, 4)  # (G, A, N, D) each
        groups = 1 if axis is None else projected.shape[2 if axis == "time" else 1]
        parts.append(_Part(axis, query, key, groups))
    return parts


def _row(part: _Part, grid: Grid, has_cls: bool) -> Tensor:
    """(B, A, L, H, W). Args: grid: of what attends, (L, 1, 1) of whole steps."""
    if has_cls:
        row = attention_probabilities(part.query[:, :, :1], part.key)[:, :, 0, 1:].float()
    else:
        even = torch.full_like(part.key[:, 0, :, 0], 1 / part.key.shape[2], dtype=torch.float32)
        row = _received(part, even)
    if part.axis is None:
        return row.reshape(*row.shape[:-1], *grid)
    row = row.reshape(-1, part.groups, *row.shape[1:])  # (B, groups, A, N)
    by_step = row.transpose(1, 2) if part.axis == "space" else row.permute(0, 2, 3, 1)  # (B, A, L, S)
    return by_step.reshape(*by_step.shape[:-1], *grid[1:])


def _received(part: _Part, weights: Tensor) -> Tensor:
    """What each token receives of what the queries have, in every head: weights (G, N) → (G, A, N), float32."""
    groups, heads, tokens, _ = part.query.shape
    rows = max(1, BLOCK // (groups * heads * tokens))
    found = torch.zeros(groups, heads, tokens, dtype=torch.float32, device=weights.device)
    for start in range(0, tokens, rows):
        some = slice(start, start + rows)
        probabilities = attention_probabilities(part.query[:, :, some], part.key).float()  # (G, A, R, N)
        found += (weights[:, None, None, some] @ probabilities)[:, :, 0]
    return found


def _roll(model: VivitModel, kept: list[list[_Part]], grid: Grid, tell: Callable[[int], Any]) -> Tensor:
    """Back through all layers, whose queries and keys are let go on the way: (B, L, H, W)."""
    time, height, width = grid
    device, done = kept[0][0].query.device, 0

    def back(weights: Tensor, attentions: int) -> Tensor:
        nonlocal done
        for _ in range(attentions):
            weights = _one_back(weights, kept.pop())
            done += 1
            tell(done)
        return weights

    clips = kept[0][0].query.shape[0] // kept[0][0].groups
    if model.config.factorization == "encoder":
        steps = _first(clips, 1 + time, device=device)
        steps = back(steps, len(model.temporal.layers))[:, 1:]
        weights = torch.zeros(clips, time, 1 + height * width, device=device)
        weights[..., 0] = steps
    elif model.config.has_cls:
        weights = _first(clips, 1 + time * height * width, device=device)
    else:
        weights = torch.full((clips, time, height * width), 1 / (time * height * width), device=device)
    weights = back(weights, len(kept))
    return (weights[..., 1:] if model.config.has_cls else weights).reshape(clips, *grid)


def _first(clips: int, tokens: int, device: torch.device) -> Tensor:
    """All weight on the first token: (clips, tokens)."""
    weights = torch.zeros(clips, tokens, device=device)
    weights[:, 0] = 1
    return weights


def _one_back(weights: Tensor, parts: list[_Part]) -> Tensor:
    """v ← ½ v + ½ v Ā. Args: weights: (B, N) or (B, L, S). parts: of one attention, each of as many heads."""
    spread = torch.zeros_like(weights)
    for part in parts:
        received = _received(part, apart(weights, part.axis)).mean(1)
        spread += together(received, part.axis, part.groups) / len(parts)
    return (weights + spread) / 2
