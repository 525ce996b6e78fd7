"""A ViT for images, in transformers' layout → the weights that a ViViT begins with, as the paper does.

Source: Arnab et al. 2021, arXiv:2103.15691, section 3.4.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from vivit.checkpoint.files import dequantised, read_tensors
from vivit.checkpoint.layout import (
    POSITIONS,
    PROJECTION,
    TEMPORAL_POSITIONS,
    Misfit,
    published_name,
    published_tensors,
    read_into,
)
from vivit.config import MOST, VivitConfig
from vivit.errors import UserError
from vivit.hub import HubOptions, called, read_json
from vivit.loading import warn
from vivit.positions import interpolate
from vivit.pretrained import VivitPreTrainedModel

TUBELETS = ("central_frame", "average")
TEMPORAL = ("zero", "fresh")
CLS = "embeddings.cls_token"
# What a `config.json` of a ViT may leave out, as transformers' `ViTConfig` has it.
USUAL_VIT: dict[str, Any] = {
    "image_size": 224,
    "patch_size": 16,
    "num_channels": 3,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "qkv_bias": True,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}
ALIKE = (
    *("num_channels", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    "qkv_bias",
)
TRAINED_WITH = ("hidden_act", "layer_norm_eps")
_OVER_TIME = re.compile(r"^temporal\.|\.(layernorm_time|attention_time)\.")  # what no image model has


def check_choices(tubelets: str, temporal: str) -> None:
    """Raise ValueError for a way to begin that there is not. Arguments as `copy_image_model`'s."""
    for name, value, known in (("tubelets", tubelets, TUBELETS), ("temporal", temporal, TEMPORAL)):
        if value not in known:
            raise ValueError(f"{name}={value!r} is unknown; known are {', '.join(known)}")


@torch.no_grad()
def copy_image_model(
    folder: Path, options: HubOptions, model: VivitPreTrainedModel, *, tubelets: str, temporal: str
) -> None:
    """Write a ViT's weights into a new model, with a warning that says what of it was not used, and that the head is new.

    Args:
        folder, options: where the ViT is, and in which files.
        model: with the weights of `init_weights`, floating; what no image model has keeps them but for `temporal`.
        tubelets: one of `TUBELETS`, see `inflated`.
        temporal: one of `TEMPORAL`, see `begin_over_time`.

    Raises:
        vivit.errors.UserError: if the checkpoint is no ViT, of another shape than the model, or damaged.
    """
    name, config = called(folder), model.config
    theirs = USUAL_VIT | read_json(folder / "config.json")
    grid = _check_shape(name, theirs, config)
    ours = published_tensors(model.base_model)
    whole = {
        CLS: (1, 1, config.hidden_size),
        POSITIONS: (1, 1 + grid[0] * grid[1], config.hidden_size),
        PROJECTION: (config.hidden_size, config.num_channels, *config.tubelet_size[1:]),
    }
    views = {name: view for name, view in ours.items() if not _OVER_TIME.search(name)}
    # The shapes of these are checked like all others. Their values are kept, since the model's are made of them and no copy.
    views |= {name: torch.empty(shape, device="meta") for name, shape in whole.items()}
    kept: dict[str, Tensor] = {}
    found = read_into(views, _named(folder, options), {name: partial(_keep, kept, name) for name in whole})
    unused = [misfit.text for misfit in found if misfit.kind == "unexpected" and not misfit.name.startswith("encoder.")]
    if faults := [misfit for misfit in found if misfit.text not in unused]:
        raise _damaged(name, faults)

    ours[PROJECTION].copy_(inflated(kept[PROJECTION], config.tubelet_size[0], tubelets))
    ours[POSITIONS].copy_(positions_over_time(kept[POSITIONS], grid, config))
    if config.has_cls:
        ours[CLS].copy_(kept[CLS])
    else:
        unused.append(CLS)
    if temporal == "zero":
        begin_over_time(ours, config.layer_norm_eps)

    for field in TRAINED_WITH:
        if theirs[field] != (value := getattr(config, field)):
            warn(
                f"'{name}' was trained with {field}={theirs[field]!r}, and this model computes with {value!r}; make its "
                f"config with {field}={theirs[field]!r}, if nothing speaks against it."
            )
    left = f" Not used of '{name}': {', '.join(sorted(unused))}." if unused else ""
    warn(
        f"'{name}' is an image model: this model's classification head is new, with random weights, and predicts nothing "
        f"before it is trained.{left}"
    )


def inflated(kernel: Tensor, steps: int, tubelets: str) -> Tensor:
    """The weights of a ViT's projection of patches as those of a projection of tubelets.

    Args:
        kernel: (E, C, height, width), floating point.
        steps: frames of a tubelet, > 0.
        tubelets: 'average' for the kernel / steps on every frame (equation 8); 'central_frame' for the kernel on frame
            steps // 2, the later of the two in the middle where steps is even, and zeros on the others (equation 9).

    Returns:
        (E, C, steps, height, width) float32.
    """
    each = kernel.float()[:, :, None]
    if tubelets == "average":
        return (each / steps).repeat(1, 1, steps, 1, 1)
    wanted = torch.zeros(steps)
    wanted[steps // 2] = 1
    return each * wanted[:, None, None]


def positions_over_time(positions: Tensor, grid: tuple[int, int], config: VivitConfig) -> Tensor:
    """A ViT's positions as a ViViT's: the same at every time step, interpolated over height and width for another grid.

    Args:
        positions: (1, 1 + height · width, E), [CLS] first.
        grid: patches along (height, width) that they are of.
        config: the ViViT's.

    Returns:
        float32; for model 2, whose time steps share positions, (1, 1 + h · w, E); else (1, L · h · w, E), or one more, [CLS]
        first.
    """
    steps, *to = config.grid_size
    found = interpolate(positions.float(), (1, *grid), (1, to[0], to[1]))
    if config.factorization == "encoder":
        return found
    repeated = found[:, 1:].repeat(1, steps, 1)
    return torch.cat([found[:, :1], repeated], dim=1) if config.has_cls else repeated


def begin_over_time(ours: Mapping[str, Tensor], eps: float) -> None:
    """Let what attends over time change nothing at first, so that a model begins as the image model, frame by frame.

    Model 3: the output product of each attention over time is zero, and the layer is what it is without. Its query, key and
    value stay random: with all of them zero, as the paper's text has it, no gradient would reach any.

    Model 2: the temporal encoder is the mean over time. Its layers' output products are zero but that of the first attention,
    without which the temporal [CLS] would see nothing of a clip: keys are zero there, so that [CLS] looks everywhere alike,
    values and output product are the identity, and a bias takes away the temporal [CLS] and what it sees of itself. What the
    head sees is then the LayerNorm of the mean over the time steps' [CLS], each of which a LayerNorm has normalised before.

    Models 1 and 4 have no weights of their own for time, and are left as they are.

    Args:
        ours: of `published_tensors`, with the weights of `init_weights`, whose biases and temporal [CLS] are zero.
        eps: of the LayerNorms.
    """
    for name, view in ours.items():
        # Output products are those of attention and, in model 2's temporal layers, of the MLP.
        if _OVER_TIME.search(name) and name.endswith(".output.dense.weight"):
            view.zero_()
    if TEMPORAL_POSITIONS in ours:
        first = "temporal.encoder.layer.0.attention"
        ours[f"{first}.attention.key.weight"].zero_()
        for part in ("attention.value", "output.dense"):
            torch.nn.init.eye_(ours[f"{first}.{part}.weight"])
        positions = ours[TEMPORAL_POSITIONS]
        positions[:, 1:] = 0
        # The position of [CLS] stays: at zero the gradient of a LayerNorm is as large as its epsilon is small.
        own = positions[0, 0]
        ours[f"{first}.output.dense.bias"].copy_(-own - F.layer_norm(own, own.shape, eps=eps) / positions.shape[1])


def _named(folder: Path, options: HubOptions) -> Iterator[tuple[str, Tensor]]:
    """A ViT's tensors by published names, whether it has a head ('vit.' in front) or none."""
    for name, tensor in dequantised(read_tensors(folder, options)):
        # Once more without the prefix, since most rules are for the beginning of a name.
        yield published_name(published_name(name).removeprefix("vit.")), tensor


def _keep(kept: dict[str, Tensor], name: str, tensor: Tensor) -> None:
    kept[name] = tensor


def _check_shape(name: str, theirs: Mapping[str, Any], config: VivitConfig) -> tuple[int, int]:
    """Patches along (height, width) of a ViT that fits a config. Raises UserError, naming both values, for any other."""
    if (kind := theirs.get("model_type")) != "vit":
        what = f"a {kind!r} model" if kind else "a model that does not say its type"
        raise UserError(
            f"'{name}' is {what}, not a ViT. Choose a ViT for images such as 'google/vit-base-patch16-224'."
        )
    for field in (*ALIKE, *TRAINED_WITH):
        if type(theirs[field]) is not type(USUAL_VIT[field]):
            raise UserError(
                f"The config.json of '{name}' describes no ViT: {field}={theirs[field]!r}. Choose another checkpoint, or "
                "correct that file."
            )
    for field in ALIKE:
        if theirs[field] != (value := getattr(config, field)):
            raise UserError(
                f"'{name}' has {field}={theirs[field]!r}, and the config {value!r}. Choose a ViT of the config's shape, or "
                f"make the config with {field}={theirs[field]!r}."
            )
    patch, image = _pair(theirs["patch_size"]), _pair(theirs["image_size"])
    if patch != config.tubelet_size[1:]:
        raise UserError(
            f"'{name}' has patch_size={theirs['patch_size']!r}, and the config tubelet_size={config.tubelet_size}. Choose a "
            "ViT whose patches are as high and wide as the tubelets."
        )
    if image is None or not all(
        step <= side <= MOST for side, step in zip(image, config.tubelet_size[1:], strict=True)
    ):
        raise UserError(
            f"The config.json of '{name}' describes no ViT: image_size={theirs['image_size']!r} with "
            f"patch_size={theirs['patch_size']!r}. Choose another checkpoint, or correct that file."
        )
    return image[0] // config.tubelet_size[1], image[1] // config.tubelet_size[2]


def _pair(value: Any) -> tuple[int, int] | None:
    """(height, width) of a size that is one number or two; None of what is neither."""
    sides = (*value,) if isinstance(value, list) else (value, value)
    return sides if len(sides) == 2 and all(type(side) is int for side in sides) else None


def _damaged(name: str, faults: list[Misfit]) -> UserError:
    first = faults[0]
    more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    return UserError(
        f"The tensors of '{name}' are not those of the ViT in its config.json: {first.kind}: {first.text}{more}. Download it "
        "again, or choose another.",
        "\n".join(f"{fault.kind}: {fault.text}" for fault in faults),
    )
