"""Our parameters ↔ the tensor names that published ViViT checkpoints use: names and shapes are compared here, no more."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

# Names that transformers 5 has in memory → those it and transformers 4 write to disk.
_TO_PUBLISHED = [
    # What torch.compile, DataParallel, FSDP and activation checkpointing put before the names of what they wrap.
    (re.compile(r"(^|(?<=\.))(_orig_mod|module|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."), ""),
    (re.compile(r"^vivit\."), ""),
    (re.compile(r"^(temporal\.)?layers\."), r"\1encoder.layer."),
    (re.compile(r"\.attention\.q_proj\."), ".attention.attention.query."),
    (re.compile(r"\.attention\.k_proj\."), ".attention.attention.key."),
    (re.compile(r"\.attention\.v_proj\."), ".attention.attention.value."),
    (re.compile(r"\.attention\.o_proj\."), ".attention.output.dense."),
    (re.compile(r"\.mlp\.fc1\."), ".intermediate.dense."),
    (re.compile(r"\.mlp\.fc2\."), ".output.dense."),
    # And our own, as state dicts of this project have them.
    (re.compile(r"^embeddings\.projection\."), "embeddings.patch_embeddings.projection."),
    (re.compile(r"^((?:temporal\.)?encoder\..*(?:\.intermediate|\.output))\.(weight|bias|SCB)$"), r"\1.dense.\2"),
]

# Published names → ours. Query, key and value are one matrix here, and the convolution of tubelets is the product that it is.
_TO_OWN = [
    (re.compile(r"^(temporal\.)?encoder\.layer\."), r"\1layers."),
    (re.compile(r"^embeddings\.patch_embeddings\."), "embeddings."),
    (re.compile(r"(\.intermediate|\.output)\.dense\."), r"\1."),
]
_PART = re.compile(r"(.*\.(?:attention|attention_time))\.attention\.(query|key|value)(\..*)")
_FUSED = re.compile(r"((?:temporal\.)?encoder\..*\.(?:attention|attention_time))\.qkv(\..*)")

# Parts that a ViViT may have or lack, each as a whole.
POOLER = frozenset({"pooler.dense.weight", "pooler.dense.bias"})
POSITIONS, TEMPORAL_POSITIONS = "embeddings.position_embeddings", "temporal.position_embeddings"
PROJECTION = "embeddings.patch_embeddings.projection.weight"
SCALES = "SCB"  # what stands in the place of 'weight' in the name of the scales of a weight in 8 bit
MOST_LINES = 1000  # of a list of tensors
HEAD = frozenset({"classifier.weight", "classifier.bias"})


def published_name(name: str) -> str:
    """The name on disk, without the prefix 'vivit.', of a tensor by its name in any layout, of a wrapped model too."""
    for pattern, replacement in _TO_PUBLISHED:
        name = pattern.sub(replacement, name)
    return name


def published_tensors(model: nn.Module, of: Callable[[nn.Parameter], Tensor] = lambda p: p.data) -> dict[str, Tensor]:
    """Every tensor of a checkpoint as a view of the model's memory: write to it to load, read from it to save.

    Args:
        model: a `VivitModel` or a `VivitForVideoClassification`, or one derived of them.
        of: parameter or buffer → a tensor of the same shape to view: its values by default, or its gradient for instance.

    Returns:
        published name without 'vivit.' → view. The fused query-key-value product appears as its three parts, the tubelet
        projection as the 3-D convolution (E, C, time, height, width) it stands for. What else the model has, its class being
        derived or a part of it replaced, goes by its own name.

    Raises:
        ValueError: if two tensors would have one name.
    """
    config: Any = model.config
    kernel = (config.hidden_size, config.num_channels, *config.tubelet_size)
    named: dict[int, tuple[str, nn.Parameter]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        named.setdefault(id(tensor), (name, tensor))  # a shared tensor goes by its first name
    views: dict[str, Tensor] = {}
    for own, name, view in _parts((own, of(tensor)) for own, tensor in named.values()):
        if name in views:
            raise ValueError(f"two tensors of this model would be '{name}' in a file; give '{own}' another name")
        views[name] = view.view(kernel) if name == PROJECTION else view
    return views


def to_own_names(state_dict: dict[str, Any], prefix: str, own: Collection[str]) -> None:
    """Rename what a state dict of transformers holds of a `VivitModel`, in place.

    Args:
        state_dict: name → tensor, in either layout that transformers has in memory; what is named as here stays.
        prefix: what the model's names begin with in it, 'vivit.' for instance.
        own: the names of the model's tensors as it has them itself, with the prefix.
    """
    parts: dict[str, dict[str, str]] = {}  # our name → query, key or value → the name there
    for name in [n for n in state_dict if n.startswith(prefix) and n not in own]:
        published = published_name(name.removeprefix(prefix))
        if found := _PART.fullmatch(published):
            ours = prefix + _TO_OWN[0][0].sub(_TO_OWN[0][1], found[1]) + ".qkv" + found[3]
            parts.setdefault(ours, {}).setdefault(found[2], name)
            continue
        for pattern, replacement in _TO_OWN:
            published = pattern.sub(replacement, published)
        ours = prefix + published
        if ours in own and ours not in state_dict:  # what is there twice is told as unexpected
            tensor = state_dict.pop(name)
            state_dict[ours] = tensor.flatten(1) if published == "embeddings.projection.weight" else tensor
    for ours, names in parts.items():
        alike = len({state_dict[name].shape for name in names.values()}) == 1
        if ours in own and ours not in state_dict and len(names) == 3 and alike:  # else they are told as unexpected
            state_dict[ours] = torch.cat([state_dict.pop(names[part]) for part in ("query", "key", "value")])


@dataclass(frozen=True)
class Misfit:
    """One tensor that a checkpoint and a model do not have alike.

    Args:
        kind: 'missing' from the checkpoint, 'unexpected' by the model, 'of another shape', or 'there twice'.
        name: its published name.
        text: what to call it.
        shape: of the checkpoint's tensor, for 'of another shape'.
    """

    kind: str
    name: str
    text: str
    shape: tuple[int, ...] = ()


def listed(faults: Sequence[Misfit]) -> tuple[str, str]:
    """(how many of each kind, with the first of each; all of them, one a line, as far as anybody reads)."""
    firsts = {misfit.kind: misfit.text for misfit in reversed(faults)}
    counts = ", ".join(
        f"{n} {kind} ({firsts[kind]}{', …' if n > 1 else ''})"
        for kind, n in Counter(misfit.kind for misfit in faults).items()
    )
    lines = [f"{misfit.kind}: {misfit.text}" for misfit in faults[:MOST_LINES]]
    return counts, "\n".join([*lines, *[f"… and {len(faults) - MOST_LINES} more"] * (len(faults) > MOST_LINES)])


def read_into(
    views: Mapping[str, Tensor],
    tensors: Iterable[tuple[str, Tensor]],
    reshape: Mapping[str, Callable[[Tensor], Tensor | None]] = MappingProxyType({}),
    quantise: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None,
) -> list[Misfit]:
    """Copy a checkpoint's tensors into a model's memory, all that fit.

    Args:
        views: from `published_tensors`.
        tensors: (name on disk, tensor) of the checkpoint, one after another.
        reshape: published name → a function that makes a tensor that fits of one that does not; None for one that fits or never
            can.
        quantise: rounds a weight for which the model has scales: (O, I) → (O, I) int8 and (O,) float32.

    Returns:
        What does not fit, or did not before it was reshaped.
    """
    seen: dict[str, str] = {}
    misshapen, doubled = [], []
    for disk_name, name, tensor in _parts(tensors):
        if name in seen:
            doubled.append(Misfit("there twice", name, f"{seen[name]} and {disk_name}"))
            continue
        seen[name] = disk_name
        if name not in views:
            continue
        wanted = tuple(views[name].shape)
        if name == PROJECTION and tensor.ndim == 2 and tensor.numel() == views[name].numel():
            tensor = tensor.view(wanted)  # as our state dicts have it
        shape = tuple(tensor.shape)
        reshaped = reshape[name](tensor) if name in reshape else None
        if reshaped is not None or shape != wanted:
            text = f"{disk_name} is {shape}, " + (f"not {wanted}" if shape != wanted else "of as many in another order")
            misshapen.append(Misfit("of another shape", name, text, shape))
        if reshaped is not None or shape == wanted:
            scales = views.get(name.removesuffix("weight") + SCALES)
            if scales is not None and quantise:
                rounded, found = quantise(tensor.to(scales.device))
                views[name].copy_(rounded)
                scales.copy_(found)
            else:
                views[name].copy_(tensor if reshaped is None else reshaped)
    missing = [Misfit("missing", name, name) for name in views if name not in seen and not name.endswith(f".{SCALES}")]
    unexpected = [Misfit("unexpected", name, disk_name) for name, disk_name in seen.items() if name not in views]
    return [*missing, *unexpected, *misshapen, *doubled]


def _parts(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, str, Tensor]]:
    """(name in any layout, tensor) → (that name, published name, tensor); a fused query, key and value gives three."""
    for given, tensor in tensors:
        name = published_name(given)
        found = _FUSED.fullmatch(name)
        if found and tensor.ndim and len(tensor) % 3 == 0:
            for part, piece in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                yield given, f"{found[1]}.attention.{part}{found[2]}", piece
        else:
            yield given, name, tensor
