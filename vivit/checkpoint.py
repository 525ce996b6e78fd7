"""Our parameters ↔ the tensor names that published ViViT checkpoints use."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from vivit.hub import HEADLESS
from vivit.weights import CheckpointError, read_tensors, write_tensors

if TYPE_CHECKING:
    from vivit.model import PreTrainedVivit

# Names that transformers 5 has in memory → those it and transformers 4 write to disk.
_TO_PUBLISHED = [
    (re.compile(r"^vivit\."), ""),
    (re.compile(r"^layers\."), "encoder.layer."),
    (re.compile(r"\.attention\.q_proj\."), ".attention.attention.query."),
    (re.compile(r"\.attention\.k_proj\."), ".attention.attention.key."),
    (re.compile(r"\.attention\.v_proj\."), ".attention.attention.value."),
    (re.compile(r"\.attention\.o_proj\."), ".attention.output.dense."),
    (re.compile(r"\.mlp\.fc1\."), ".intermediate.dense."),
    (re.compile(r"\.mlp\.fc2\."), ".output.dense."),
]

# Parts that a ViViT may have or lack, each as a whole.
_POOLER = {"pooler.dense.weight", "pooler.dense.bias"}
_HEAD = {"classifier.weight", "classifier.bias"}


def published_name(name: str) -> str:
    """The name on disk, without the prefix 'vivit.', of a tensor named in either layout."""
    for pattern, replacement in _TO_PUBLISHED:
        name = pattern.sub(replacement, name)
    return name


def published_tensors(
    model: "PreTrainedVivit", of: Callable[[nn.Parameter], Tensor] = lambda p: p.data
) -> dict[str, Tensor]:
    """Every tensor of a checkpoint as a view of the model's memory: write to it to load, read from it to save.

    Args:
        model: a `VivitModel` or a `VivitForVideoClassification`.
        of: parameter → the tensor of its shape to look at: its values by default, or its gradient.
    Returns:
        published name without 'vivit.' → view. The fused query-key-value product appears as its three parts, the tubelet
        projection as the 3-D convolution (E, C, time, height, width) it stands for.
    """
    bare: Any = getattr(model, "vivit", model)
    config = model.config
    kernel = (config.hidden_size, config.num_channels, *config.tubelet_size)
    views: dict[str, Tensor] = {
        "embeddings.cls_token": of(bare.embeddings.cls_token),
        "embeddings.position_embeddings": of(bare.embeddings.position_embeddings),
        "embeddings.patch_embeddings.projection.weight": of(bare.embeddings.projection.weight).view(kernel),
        "embeddings.patch_embeddings.projection.bias": of(bare.embeddings.projection.bias),
    }
    modules: dict[str, nn.Module] = {"layernorm": bare.layernorm}
    for k, layer in enumerate(bare.layers):
        at = f"encoder.layer.{k}"
        for kind, parameter in layer.attention.qkv.named_parameters():
            for part, view in zip(("query", "key", "value"), of(parameter).chunk(3), strict=True):
                views[f"{at}.attention.attention.{part}.{kind}"] = view
        modules |= {
            f"{at}.layernorm_before": layer.layernorm_before,
            f"{at}.attention.output.dense": layer.attention.output,
            f"{at}.layernorm_after": layer.layernorm_after,
            f"{at}.intermediate.dense": layer.intermediate,
            f"{at}.output.dense": layer.output,
        }
    if getattr(bare, "pooler", None) is not None:
        modules["pooler.dense"] = bare.pooler.dense
    if hasattr(model, "classifier"):
        modules["classifier"] = cast(nn.Module, model.classifier)
    for name, module in modules.items():
        views |= {f"{name}.{kind}": of(parameter) for kind, parameter in module.named_parameters()}
    return views


def load_into(model: "PreTrainedVivit", folder: Path, *, reinitialise_head: bool = False) -> None:
    """Copy a checkpoint's tensors into a model whose memory is uninitialised.

    A whole pooler is dropped where only one side has it, a whole head where the model has none.

    Args:
        model: on its final device and in its final precision.
        folder: the checkpoint.
        reinitialise_head: give a head that is missing or of another shape random weights instead of raising.
    Raises:
        CheckpointError: if tensors are missing, left over, of another shape, or there under two names.
    """
    views = published_tensors(model)
    loaded, misshapen, twice = set(), [], []
    disk_names: dict[str, str] = {}
    for disk_name, tensor in read_tensors(folder):
        name = published_name(disk_name)
        if name in disk_names:
            twice.append(f"{disk_names[name]} and {disk_name}")
            continue
        disk_names[name] = disk_name
        if name not in views:
            continue
        if views[name].shape != tensor.shape:
            misshapen.append((name, f"{disk_name} is {tuple(tensor.shape)}, not {tuple(views[name].shape)}"))
        else:
            views[name].copy_(tensor)
            loaded.add(name)
    left = disk_names.keys() - views.keys()
    for part in (_POOLER, _HEAD):
        if part <= left:
            left -= part
    unexpected = [disk_name for name, disk_name in disk_names.items() if name in left]
    missing = [n for n in views if n not in loaded and n not in {name for name, _ in misshapen}]
    if all(n in missing for n in views if n.startswith("pooler.")) and hasattr(model, "pooler"):
        setattr(model, "pooler", None)  # noqa: B010 - mypy takes a module's attributes for modules
        missing = [n for n in missing if not n.startswith("pooler.")]
    head = [n for n in (*missing, *(name for name, _ in misshapen)) if n.startswith("classifier.")]
    if head and reinitialise_head:
        classifier = cast(nn.Linear, model.classifier)
        nn.init.normal_(classifier.weight, std=model.config.initializer_range)
        nn.init.zeros_(classifier.bias)
        missing = [n for n in missing if n not in head]
        misshapen = [(n, text) for n, text in misshapen if n not in head]
        head = []
    problems = {
        "missing": missing,
        "unexpected": unexpected,
        "of another shape": [text for _, text in misshapen],
        "there twice": twice,
    }
    if any(problems.values()):
        counts = ", ".join(f"{len(names)} {kind}" for kind, names in problems.items() if names)
        message = (
            f"The checkpoint does not fit this model: tensors {counts}. Choose one that holds every tensor once, as its "
            "config.json describes them."
        )
        details = "\n".join(f"{kind}: {name}" for kind, names in problems.items() for name in names)
        advice = ""
        if head and len(head) == sum(map(len, problems.values())):
            if set(missing) == _HEAD:
                message = f"The checkpoint {HEADLESS}"
            # Not in the first line, which is all that someone without Python is shown.
            advice = "\nPass ignore_mismatched_sizes=True to give the classification head new random weights."
        raise CheckpointError(f"{message}\n{details}{advice}", details)


def save_from(model: "PreTrainedVivit", folder: str | Path) -> None:
    """Write a model's tensors under the published names, with the prefix 'vivit.' where there is a head."""
    prefix = "vivit." if hasattr(model, "classifier") else ""
    with torch.no_grad():
        write_tensors(
            folder,
            {n if n.startswith("classifier.") else prefix + n: t for n, t in published_tensors(model).items()},
        )
