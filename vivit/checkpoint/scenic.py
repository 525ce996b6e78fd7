"""Checkpoints of the original release (google-research/scenic, projects/vivit) → our config and tensors.

A checkpoint says nothing of its model but names and shapes: which of the four it is, and how deep and wide, follows from those.
The size of a clip does not: it is given, and compared with the position embeddings. The order of attention in model 3 is given.

Letters: L time steps, S tubelets of each, E hidden size, A heads, D head size, M width of the MLP.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from vivit.checkpoint.flax import Array, FlaxFile
from vivit.checkpoint.layout import POSITIONS, PROJECTION, TEMPORAL_POSITIONS, Misfit, listed
from vivit.config import VivitConfig
from vivit.errors import UserError
from vivit.hub import named_classes
from vivit.names import COLOURS

NUM_FRAMES, IMAGE_SIZE = 32, 224  # of every published model
EPIC_KITCHENS = 300 + 97  # nouns and verbs, which are two heads in one matrix
MOST_CHOICES = 4  # of sizes that are told

# Where the parameters are: of flax.optim, of Flax since then, or nothing but them.
_ROOTS = (("optimizer", "target"), ("params",), ())
_FILE = re.compile(r"checkpoint(_\d+)?|.+\.msgpack")
_BLOCK = re.compile(r"encoderblock_(?:0|[1-9]\d*)")
_ATTENTION = "MultiHeadDotProductAttention"


@dataclass(frozen=True)
class _Part:
    """One tensor: its name and shape in Scenic's file, its published name, and the change from the one to the other."""

    name: str
    shape: tuple[int, ...]
    ours: str
    change: Callable[[Tensor], Tensor]


def checkpoint_file(path: Path) -> Path:
    """The file of a checkpoint: this one, or the only one in this folder, by the names that Scenic gives.

    Raises:
        vivit.errors.UserError: if there is none, or several.
    """
    if not path.is_dir():
        if not path.exists():
            raise UserError(f"There is no file '{path}'. Give a Scenic checkpoint: a file, its folder, or its address.")
        if not path.is_file():
            raise UserError(f"'{path}' is no file. Give a Scenic checkpoint: a file, its folder, or its address.")
        return path
    files = sorted(file for file in path.iterdir() if _FILE.fullmatch(file.name) and file.is_file())
    if len(files) == 1:
        return files[0]
    if not files:
        raise UserError(
            f"The folder '{path}' has no file 'checkpoint' or 'checkpoint_N' of Scenic. Give the file itself."
        )
    names = ", ".join(file.name for file in files[:3]) + (", …" if len(files) > 3 else "")
    raise UserError(f"The folder '{path}' has {len(files)} checkpoints ({names}). Give the file of one.")


def read(
    path: Path,
    *,
    num_frames: int = NUM_FRAMES,
    image_size: int | tuple[int, int] = IMAGE_SIZE,
    attention_order: str = "time_space",
) -> tuple[VivitConfig, Iterator[tuple[str, Tensor]]]:
    """Read a checkpoint. Everything is checked before the first tensor is made.

    Args:
        path: a file, or a folder with one, as `checkpoint_file` takes it.
        num_frames, image_size: of the clips that it was trained on, frames and (height, width) in pixels.
        attention_order: of model 3, a member of `vivit.config.ATTENTION_ORDERS`; the others have none.

    Returns:
        The config, its classes named where there are 400 or 600, and (published name, float32 tensor) of every tensor, made one
        after another, so that no more than one of them is in memory beside what they are copied to.

    Raises:
        vivit.errors.UserError: for what is no such checkpoint, or one of a model that is not here.
        ValueError: for an impossible size or order.

    Source: google-research/scenic, projects/vivit/model.py; Flax's serialization.py.
    """
    VivitConfig(num_frames=num_frames, image_size=image_size, tubelet_size=(1, 1, 1), attention_order=attention_order)
    file = FlaxFile(checkpoint_file(path))
    tree = _parameters(file)
    nodes = file.arrays(tree)
    found = _Shapes(file, nodes)
    config = _config(tree, found, num_frames, image_size, attention_order)
    parts = list(_parts(config))
    wanted = {part.name for part in parts}
    faults = [Misfit("missing", part.name, part.name) for part in parts if part.name not in nodes]
    faults += [Misfit("unexpected", name, name) for name in nodes if name not in wanted]
    arrays = {part.name: file.array(part.name, nodes[part.name]) for part in parts if part.name in nodes}
    for part in parts:
        if part.name in arrays and (shape := arrays[part.name].shape) != part.shape:
            text = f"{part.name} is {shape}, not {part.shape}"
            faults.append(Misfit("of another shape", part.name, text, shape))
    if faults:
        counts, details = listed(faults)
        raise UserError(
            f"'{file.name}' is no whole ViViT of the original release: tensors {counts}. Get it again, or give another "
            f"checkpoint.\n{details}",
            details,
        )
    return config, _tensors(file, parts, arrays)


def _tensors(file: FlaxFile, parts: list[_Part], arrays: Mapping[str, Array]) -> Iterator[tuple[str, Tensor]]:
    for part in parts:
        yield part.ours, part.change(file.read(arrays[part.name]))


def _parameters(file: FlaxFile) -> dict[str, Any]:
    """The map of the parameters, by whichever of `_ROOTS`. Raises UserError if there is none."""
    for root in _ROOTS:
        tree: Any = file.tree
        for name in root:
            tree = tree.get(name) if isinstance(tree, dict) else None
        while isinstance(tree, dict) and set(tree) == {"params"}:  # as a module's variables have it
            tree = tree["params"]
        if isinstance(tree, dict) and tree:
            return tree
    raise UserError(f"'{file.name}' holds no parameters. Get the checkpoint again, or give another file.")


class _Shapes:
    """Shapes by name, of those tensors that tell what a model is."""

    def __init__(self, file: FlaxFile, nodes: Mapping[str, Any]) -> None:
        self.file, self.nodes = file, nodes

    def of(self, name: str, axes: str) -> tuple[int, ...]:
        """The shape of a tensor. Raises UserError if it is missing, or has not as many axes as there are letters."""
        if name not in self.nodes:
            raise UserError(
                f"'{self.file.name}' is no whole ViViT of the original release: tensors missing ({name}, …). Get it again, or "
                "give another checkpoint."
            )
        shape = self.file.array(name, self.nodes[name]).shape
        if len(shape) != len(axes):
            letters = ", ".join(axes)
            raise UserError(
                f"{name} in '{self.file.name}' is {shape}, where a ViViT of the original release has ({letters}). Give another "
                "checkpoint."
            )
        return shape


def _blocks(tree: Mapping[str, Any], encoder: str) -> int:
    """How many layers an encoder has. They are counted, so that a gap shows as tensors missing and unexpected."""
    inside = tree[encoder]
    return sum(1 for name in inside if _BLOCK.fullmatch(name)) if isinstance(inside, dict) else 0


def _config(
    tree: Mapping[str, Any],
    found: _Shapes,
    num_frames: int,
    image_size: int | tuple[int, int],
    attention_order: str,
) -> VivitConfig:
    """What the names and shapes say, and a clip's size, which has to fit the positions."""
    name = found.file.name
    factorization = _factorization(tree, name)
    first = "SpatialTransformer" if factorization == "encoder" else "Transformer"
    *tubelet, channels, hidden = found.of("embedding/kernel", "thwCE")
    if channels != COLOURS:
        raise UserError(
            f"'{name}' takes frames of {channels} channels, where a video has red, green and blue. Give another checkpoint."
        )
    time = "_time" if factorization == "self_attention" else "_0"
    block = f"{first}/encoderblock_0"
    _, heads, _ = found.of(f"{block}/{_ATTENTION}{time}/query/kernel", "EAD")
    mlp = "MlpBlock" if factorization == "self_attention" else "MlpBlock_0"
    _, width = found.of(f"{block}/{mlp}/Dense_0/kernel", "EM")
    _, classes = found.of("output_projection/kernel", "EK")
    if classes == EPIC_KITCHENS:
        raise UserError(
            f"'{name}' has the two heads of Epic Kitchens, 300 nouns and 97 verbs in one matrix, and a ViViT here has one. "
            "Give a checkpoint of Kinetics, for instance."
        )
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    grid = _grid((num_frames, *size), tuple(tubelet), name)
    shape = {POSITIONS: found.of(f"{first}/posembed_input/pos_embedding", "1NE")[1]}
    if factorization == "encoder":
        shape[TEMPORAL_POSITIONS] = found.of("TemporalTransformer/posembed_input/pos_embedding", "1NE")[1]
    _check_positions(factorization, grid, tuple(tubelet), shape, name)
    more: dict[str, Any] = {}
    if factorization == "encoder":
        more["num_temporal_layers"] = _blocks(tree, "TemporalTransformer")
    if factorization == "self_attention":
        more["attention_order"] = attention_order
    if labels := named_classes(classes):
        more["id2label"] = dict(enumerate(labels))
    try:
        return VivitConfig(
            image_size=size[0] if size[0] == size[1] else size,
            num_frames=num_frames,
            tubelet_size=(tubelet[0], tubelet[1], tubelet[2]),
            num_channels=channels,
            hidden_size=hidden,
            num_hidden_layers=_blocks(tree, first),
            num_attention_heads=heads,
            intermediate_size=width,
            hidden_act="gelu_fast",
            layer_norm_eps=1e-6,
            num_labels=classes,
            factorization=factorization,
            **more,
        )
    except ValueError as error:
        raise UserError(
            f"'{name}' describes no model that can be made here: {error}. Give another checkpoint."
        ) from error


def _factorization(tree: Mapping[str, Any], name: str) -> str:
    """Which of the four models has these parts: models 1 and 4 differ by [CLS] alone."""
    heads = [part for part in tree if part.startswith("output_projection")]
    if len(heads) > 1:
        raise UserError(
            f"'{name}' has {len(heads)} heads ({', '.join(sorted(heads)[:3])}), as those of Epic Kitchens, and a ViViT here "
            "has one. Give a checkpoint of Kinetics, for instance."
        )
    if "embedding" not in tree or not {"Transformer", "SpatialTransformer"} & {*tree}:
        parts = ", ".join(sorted(tree)[:4])
        raise UserError(
            f"'{name}' is of another model: its parts are {parts[:120]}, and a ViViT of the original release has embedding and "
            "Transformer or SpatialTransformer. Give another checkpoint."
        )
    if "SpatialTransformer" in tree:
        if "TemporalTransformer" not in tree:
            raise UserError(
                f"'{name}' has a SpatialTransformer and no TemporalTransformer, a baseline that takes the mean of the time "
                "steps and is not read here. Give another checkpoint."
            )
        if not {"cls_SpatialTransformer", "cls_TemporalTransformer"} & {*tree}:
            raise UserError(
                f"'{name}' is a factorised encoder without [CLS] tokens, which pools by the mean and is not read here. Give "
                "one that was trained with classifier='token'."
            )
        return "encoder"
    inside = tree["Transformer"]
    block = inside.get("encoderblock_0") if isinstance(inside, dict) else None
    if isinstance(block, dict) and {"LayerNorm_time", f"{_ATTENTION}_time"} & {*block}:
        return "self_attention"
    return "none" if "cls" in tree else "dot_product"


def _grid(clip: tuple[int, int, int], tubelet: tuple[int, ...], name: str) -> tuple[int, int, int]:
    """Tubelets along (time, height, width)."""
    if any(size % step for size, step in zip(clip, tubelet, strict=True)):
        frames, height, width = clip
        raise UserError(
            f"A clip of {frames} frames of {height} × {width} pixels is not whole tubelets: those of '{name}' are "
            f"{' × '.join(map(str, tubelet))} (frames × height × width). Give --num-frames and --image-size that these divide."
        )
    return clip[0] // tubelet[0], clip[1] // tubelet[1], clip[2] // tubelet[2]


def _check_positions(
    factorization: str, grid: tuple[int, int, int], tubelet: tuple[int, ...], tokens: Mapping[str, int], name: str
) -> None:
    """Raise UserError for a clip size that the positions are not for, naming sizes that they would be for.

    Args:
        grid: tubelets of a clip along (time, height, width).
        tubelet: (frames, height, width) of a tubelet.
        tokens: published name of position embeddings → how many there are, [CLS] included.
    """
    steps, height, width = grid
    area = height * width
    frames, pixels = steps * tubelet[0], f"{height * tubelet[1]} × {width * tubelet[2]}"

    def of_frames(steps: int) -> str:
        return f"--num-frames {steps * tubelet[0]}"

    def of_pixels(area: int) -> str:
        rows, columns = _sides(area, height / width)
        sides = (rows * tubelet[1], columns * tubelet[2])
        return f"--image-size {sides[0]}" + (f" {sides[1]}" if sides[0] != sides[1] else "")

    if factorization == "encoder":
        space, time = tokens[POSITIONS] - 1, tokens[TEMPORAL_POSITIONS] - 1
        if (space, time) == (area, steps) or min(space, time) < 1:
            return  # `read` tells of fewer as tensors of another shape
        held = f"{space} tubelets of each of {time} time steps"
        fit = [" ".join([of_frames(time)] * (time != steps) + [of_pixels(space)] * (space != area))]
        wanted = f"{area} of each of {steps}"
    else:
        total = tokens[POSITIONS] - (factorization == "none")
        if total == steps * area or total < 1:
            return
        held, wanted = f"{total} tubelets", f"{steps * area}"
        fit = [of_frames(total // area)] * (total % area == 0) + [of_pixels(total // steps)] * (total % steps == 0)
        nearest = sorted({*_divisors(total)} - {steps, total // area}, key=lambda n: abs(math.log(n / steps)))
        both = [f"{of_frames(n)} {of_pixels(total // n)}" for n in nearest]
        squares = [choice for choice in both if len(choice.split()) == 4]  # one number for the image size
        fit = [*fit, *(squares or both[: not fit])][:MOST_CHOICES]
    raise UserError(
        f"The positions in '{name}' are for {held}, and clips of {frames} frames of {pixels} pixels have {wanted}. Give the "
        f"size that it was trained on; {', '.join(fit[:-1])}{' or ' * (len(fit) > 1)}{fit[-1]} "
        "would fit."
    )


def _divisors(number: int) -> Iterator[int]:
    for small in range(1, math.isqrt(number) + 1):
        if number % small == 0:
            yield from (small, number // small)


def _sides(area: int, aspect: float) -> tuple[int, int]:
    """(rows, columns) of `area` tubelets in all whose proportion is nearest to an aspect, height ÷ width in tubelets."""
    height = min(_divisors(area), key=lambda n: abs(math.log(n * n / area / aspect)))
    return height, area // height


def _parts(config: VivitConfig) -> Iterator[_Part]:
    """Every tensor of a checkpoint of this config."""
    size = config.hidden_size

    def same(tensor: Tensor) -> Tensor:
        return tensor

    def norm(name: str, ours: str) -> Iterator[_Part]:
        yield _Part(f"{name}/scale", (size,), f"{ours}.weight", same)
        yield _Part(f"{name}/bias", (size,), f"{ours}.bias", same)

    def dense(name: str, ours: str, wide: int, out: int) -> Iterator[_Part]:
        yield _Part(f"{name}/kernel", (wide, out), f"{ours}.weight", lambda t: t.T)
        yield _Part(f"{name}/bias", (out,), f"{ours}.bias", same)

    def attention(name: str, ours: str) -> Iterator[_Part]:
        heads = (config.num_attention_heads, config.head_size)
        for part in ("query", "key", "value"):
            yield _Part(
                f"{name}/{part}/kernel", (size, *heads), f"{ours}.attention.{part}.weight", lambda t: t.flatten(1).T
            )
            yield _Part(f"{name}/{part}/bias", heads, f"{ours}.attention.{part}.bias", lambda t: t.flatten())
        yield _Part(f"{name}/out/kernel", (*heads, size), f"{ours}.output.dense.weight", lambda t: t.flatten(0, 1).T)
        yield _Part(f"{name}/out/bias", (size,), f"{ours}.output.dense.bias", same)

    def layer(name: str, ours: str) -> Iterator[_Part]:
        if config.factorization == "self_attention":
            yield from norm(f"{name}/LayerNorm_time", f"{ours}.layernorm_time")
            yield from attention(f"{name}/{_ATTENTION}_time", f"{ours}.attention_time")
            before, middle, after, mlp = "LayerNorm_space", f"{_ATTENTION}_space", "LayerNorm_mlp", "MlpBlock"
        else:
            before, middle, after, mlp = "LayerNorm_0", f"{_ATTENTION}_0", "LayerNorm_1", "MlpBlock_0"
        yield from norm(f"{name}/{before}", f"{ours}.layernorm_before")
        yield from attention(f"{name}/{middle}", f"{ours}.attention")
        yield from norm(f"{name}/{after}", f"{ours}.layernorm_after")
        yield from dense(f"{name}/{mlp}/Dense_0", f"{ours}.intermediate.dense", size, config.intermediate_size)
        yield from dense(f"{name}/{mlp}/Dense_1", f"{ours}.output.dense", config.intermediate_size, size)

    def encoder(name: str, ours: str, layers: int, positions: str, tokens: int) -> Iterator[_Part]:
        yield _Part(f"{name}/posembed_input/pos_embedding", (1, tokens, size), positions, same)
        for number in range(layers):
            yield from layer(f"{name}/encoderblock_{number}", f"{ours}encoder.layer.{number}")
        yield from norm(f"{name}/encoder_norm", f"{ours}layernorm")

    tokens = [config.has_cls + math.prod(grid) for grid in config.position_grids]
    kernel = (*config.tubelet_size, config.num_channels, size)
    yield _Part("embedding/kernel", kernel, PROJECTION, lambda t: t.permute(4, 3, 0, 1, 2))
    yield _Part("embedding/bias", (size,), PROJECTION.replace("weight", "bias"), same)
    layers = config.num_hidden_layers
    if config.factorization == "encoder":
        yield _Part("cls_SpatialTransformer", (1, 1, size), "embeddings.cls_token", lambda t: t[None])
        yield from encoder("SpatialTransformer", "", layers, POSITIONS, tokens[0])
        yield _Part("cls_TemporalTransformer", (1, 1, size), "temporal.cls_token", same)
        temporal = config.num_temporal_layers
        yield from encoder("TemporalTransformer", "temporal.", temporal, TEMPORAL_POSITIONS, tokens[1])
    else:
        if config.has_cls:
            yield _Part("cls", (1, 1, size), "embeddings.cls_token", same)
        yield from encoder("Transformer", "", layers, POSITIONS, tokens[0])
    yield from dense("output_projection", "classifier", size, config.num_labels)
