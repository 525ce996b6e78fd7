"""The paper's four models from its formulas, in float64: what `vivit.model` must answer.

Written from the paper and the names of tensors in a checkpoint alone. Nothing is fused, cut short or reshaped into a batch:
every sum is an einsum over named axes.

Letters: b clips, e hidden size, a heads, d width of a head; l (and m) time steps, s (and t) tokens of a step, n (and m) all
tokens. In `tubelets`, also c channels and t × p × q, a tubelet's frames, rows and columns.

Source: Arnab et al. 2021, arXiv:2103.15691, sections 3.2 and 3.3.1 to 3.3.4; LayerNorm before each part, as equations 4 and 5.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vivit import VivitConfig

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Answer:
    """What a model answers; shapes as in `vivit.outputs`."""

    logits: Tensor
    last_hidden_state: Tensor
    hidden_states: tuple[Tensor, ...]
    attentions: tuple[Any, ...]


def answer(tensors: Tensors, config: VivitConfig, pixel_values: Tensor) -> Answer:
    """What the model of a config answers to a clip.

    Args:
        tensors: published name without 'vivit.' → tensor.
        config: its `hidden_act` is the tanh GELU, and dropout is none.
        pixel_values: (b, frames, channels, height, width).
    """
    tensors = {name: tensor.double() for name, tensor in tensors.items()}
    x = tubelets(tensors, config, pixel_values.double())  # (b, l, s, e)
    last, hidden, maps = MODELS[config.factorization](tensors, config, x)
    classified = last[:, 0] if config.factorization in ("none", "encoder") else last.mean(1)
    return Answer(linear(tensors, "classifier", classified), last, tuple(hidden), tuple(maps))


def tubelets(tensors: Tensors, config: VivitConfig, pixel_values: Tensor) -> Tensor:
    """Section 3.2: every tubelet's product with the kernel. Returns (b, l, s, e), the tubelets of a step row by row."""
    (b, frames, c, height, width), (t, p, q) = pixel_values.shape, config.tubelet_size
    boxes = pixel_values.reshape(b, frames // t, t, c, height // p, p, width // q, q)
    name = "embeddings.patch_embeddings.projection"
    x = torch.einsum("bltchpwq,ectpq->blhwe", boxes, tensors[f"{name}.weight"]) + tensors[f"{name}.bias"]
    return x.flatten(2, 3)


def joint(tensors: Tensors, config: VivitConfig, x: Tensor) -> Any:
    """Model 1, section 3.3.1: all tokens attend to all."""
    x = x.flatten(1, 2)
    x = torch.cat([tensors["embeddings.cls_token"].expand(len(x), 1, -1), x], 1)
    x = x + tensors["embeddings.position_embeddings"]
    return encoder(tensors, config, x, "", config.num_hidden_layers)


def factorised_encoder(tensors: Tensors, config: VivitConfig, x: Tensor) -> Any:
    """Model 2, section 3.3.2: each step's tokens alone, then the steps' [CLS]."""
    positions, cls = tensors["embeddings.position_embeddings"], tensors["embeddings.cls_token"].reshape(1, 1, -1)
    steps = [torch.cat([cls.expand(len(x), 1, -1), step], 1) + positions for step in x.unbind(1)]
    spatial = [encoder(tensors, config, step, "", config.num_hidden_layers) for step in steps]
    y = torch.stack([last[:, 0] for last, _, _ in spatial], 1)  # (b, l, e)
    y = torch.cat([tensors["temporal.cls_token"].expand(len(y), 1, -1), y], 1) + tensors["temporal.position_embeddings"]
    last, hidden, maps = encoder(tensors, config, y, "temporal.", config.num_temporal_layers)
    by_layer = [torch.stack(states, 1) for states in zip(*(h for _, h, _ in spatial), strict=True)]
    by_maps = [torch.stack(found, 1) for found in zip(*(m for _, _, m in spatial), strict=True)]
    return last, [*by_layer, *hidden], [*by_maps, *maps]


def encoder(tensors: Tensors, config: VivitConfig, x: Tensor, prefix: str, layers: int) -> Any:
    """Equations 4 and 5 over tokens x (b, n, e), and the last norm."""
    hidden, maps = [x], []
    for k in range(layers):
        layer = f"{prefix}encoder.layer.{k}"
        q, key, v = heads(tensors, config, f"{layer}.attention", norm(tensors, config, f"{layer}.layernorm_before", x))
        p = softmax(torch.einsum("bnad,bmad->banm", q, key))
        x = x + output(tensors, f"{layer}.attention", torch.einsum("banm,bmad->bnad", p, v))
        x = x + mlp(tensors, config, layer, x)
        hidden.append(x)
        maps.append(p)
    return norm(tensors, config, f"{prefix}layernorm", x), hidden, maps


def over_space(q: Tensor, key: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (b, l, s, a, d) attend to those of their step: their sums, and the probabilities (b, l, a, s, s)."""
    p = softmax(torch.einsum("blsad,bltad->blast", q, key))
    return torch.einsum("blast,bltad->blsad", p, v), p


def over_time(q: Tensor, key: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (b, l, s, a, d) attend to those of their place: their sums, and the probabilities (b, s, a, l, l)."""
    p = softmax(torch.einsum("blsad,bmsad->bsalm", q, key))
    return torch.einsum("bsalm,bmsad->blsad", p, v), p


def factorised_self_attention(tensors: Tensors, config: VivitConfig, x: Tensor) -> Any:
    """Model 3, section 3.3.3, equations 6 to 8 or with the first two in the other order."""
    parts = {
        "space": ("layernorm_before", "attention", over_space),
        "time": ("layernorm_time", "attention_time", over_time),
    }
    hidden, maps = [x := with_positions(tensors, x)], []
    for k in range(config.num_hidden_layers):
        layer, found = f"encoder.layer.{k}", []
        for axis in config.attention_order.split("_"):
            before, name, attend = parts[axis]
            y, p = attend(*heads(tensors, config, f"{layer}.{name}", norm(tensors, config, f"{layer}.{before}", x)))
            x = x + output(tensors, f"{layer}.{name}", y)
            found.append(p)
        x = x + mlp(tensors, config, layer, x)
        hidden.append(x)
        maps.append(tuple(found))
    return norm(tensors, config, "layernorm", x).flatten(1, 2), [h.flatten(1, 2) for h in hidden], maps


def factorised_dot_product(tensors: Tensors, config: VivitConfig, x: Tensor) -> Any:
    """Model 4, section 3.3.4: half of the heads over time, half over space, then one product."""
    half = config.num_attention_heads // 2
    hidden, maps = [x := with_positions(tensors, x)], []
    for k in range(config.num_hidden_layers):
        layer = f"encoder.layer.{k}"
        qkv = heads(tensors, config, f"{layer}.attention", norm(tensors, config, f"{layer}.layernorm_before", x))
        y_time, p_time = over_time(*(part[..., :half, :] for part in qkv))
        y_space, p_space = over_space(*(part[..., half:, :] for part in qkv))
        x = x + output(tensors, f"{layer}.attention", torch.cat([y_time, y_space], -2))
        x = x + mlp(tensors, config, layer, x)
        hidden.append(x)
        maps.append((p_time, p_space))
    return norm(tensors, config, "layernorm", x).flatten(1, 2), [h.flatten(1, 2) for h in hidden], maps


def with_positions(tensors: Tensors, x: Tensor) -> Tensor:
    """Tubelets (b, l, s, e) of a model without [CLS], and their positions."""
    return x + tensors["embeddings.position_embeddings"].reshape(1, *x.shape[1:])


def norm(tensors: Tensors, config: VivitConfig, name: str, x: Tensor) -> Tensor:
    """LayerNorm over the last axis."""
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + config.layer_norm_eps).sqrt()
    return scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def linear(tensors: Tensors, name: str, x: Tensor) -> Tensor:
    """Wx + b, without b where there is none."""
    return torch.einsum("fe,...e->...f", tensors[f"{name}.weight"], x) + tensors.get(f"{name}.bias", torch.tensor(0.0))


def heads(tensors: Tensors, config: VivitConfig, name: str, x: Tensor) -> list[Tensor]:
    """Queries, already divided by √d, keys and values of tokens (…, e): each (…, a, d)."""
    a = config.num_attention_heads
    parts = [
        linear(tensors, f"{name}.attention.{part}", x).unflatten(-1, (a, -1)) for part in ("query", "key", "value")
    ]
    return [parts[0] / math.sqrt(parts[0].shape[-1]), *parts[1:]]


def output(tensors: Tensors, name: str, y: Tensor) -> Tensor:
    """The heads' sums (…, a, d), side by side, times the output matrix."""
    return linear(tensors, f"{name}.output.dense", y.flatten(-2))


def mlp(tensors: Tensors, config: VivitConfig, layer: str, x: Tensor) -> Tensor:
    """The layer's MLP of the normed tokens, with the tanh approximation of GELU."""
    y = linear(tensors, f"{layer}.intermediate.dense", norm(tensors, config, f"{layer}.layernorm_after", x))
    y = 0.5 * y * (1 + torch.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))
    return linear(tensors, f"{layer}.output.dense", y)


def softmax(scores: Tensor) -> Tensor:
    """exp(scores) / its sum over the last axis."""
    powers = (scores - scores.amax(-1, keepdim=True)).exp()
    return powers / powers.sum(-1, keepdim=True)


MODELS = {
    "none": joint,
    "encoder": factorised_encoder,
    "self_attention": factorised_self_attention,
    "dot_product": factorised_dot_product,
}
