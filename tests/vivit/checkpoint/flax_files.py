"""Files as Flax writes them, from our models: the way back, written apart from the reader."""

from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import torch

from vivit import VivitConfig, VivitForVideoClassification
from vivit.checkpoint.layout import published_tensors

SCENIC = Path(__file__).parents[2] / "scenic"
Tree = dict[str, Any]


def packed(array: np.ndarray, dtype: str = "") -> msgpack.ExtType:
    """An array as `flax.serialization` packs one. Args: dtype: the name to give it, if not its own."""
    array = np.asarray(array)
    return msgpack.ExtType(1, msgpack.packb((array.shape, dtype or array.dtype.name, array.tobytes("C"))))


def chunked(array: np.ndarray, size: int) -> Tree:
    """An array as Flax splits one that is too large, in pieces of so many numbers."""
    pieces = [array.reshape(-1)[k : k + size] for k in range(0, array.size, size)]
    return {
        "__msgpack_chunked_array__": True,
        "shape": {str(k): n for k, n in enumerate(array.shape)},
        "chunks": {str(k): packed(piece) for k, piece in enumerate(pieces)},
    }


def bfloat16(array: np.ndarray) -> msgpack.ExtType:
    """An array in bfloat16, cut rather than rounded, as Flax packs one."""
    return packed((array.view(np.uint32) >> 16).astype(np.uint16), "bfloat16")


def model(**changes: Any) -> VivitForVideoClassification:
    """A small model with nothing left at 0 or 1 where a fault could hide."""
    shape: dict[str, Any] = {
        "image_size": (24, 20),
        "num_frames": 8,
        "tubelet_size": (2, 8, 4),
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 44,
        "num_labels": 7,
    }
    made = VivitForVideoClassification(VivitConfig(**shape | changes)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.3, generator=generator)
    return made


def tree_of(model: VivitForVideoClassification) -> Tree:
    """A model's parameters by the original's names and shapes, as numpy arrays."""
    config = model.config
    ours = {name: tensor.numpy().copy() for name, tensor in published_tensors(model).items()}
    heads = (config.num_attention_heads, config.head_size)

    def norm(name: str) -> Tree:
        return {"scale": ours[f"{name}.weight"], "bias": ours[f"{name}.bias"]}

    def dense(name: str) -> Tree:
        return {"kernel": ours[f"{name}.weight"].T.copy(), "bias": ours[f"{name}.bias"]}

    def attention(name: str) -> Tree:
        parts: Tree = {}
        for part in ("query", "key", "value"):
            weight, bias = ours[f"{name}.attention.{part}.weight"], ours[f"{name}.attention.{part}.bias"]
            kernel = np.stack([rows.T for rows in np.split(weight, heads[0])], axis=1)  # a head's rows: (D, E)
            parts[part] = {"kernel": kernel, "bias": np.stack(np.split(bias, heads[0]))}
        columns = np.split(ours[f"{name}.output.dense.weight"], heads[0], axis=1)  # a head's columns: (E, D)
        parts["out"] = {"kernel": np.stack([c.T for c in columns]), "bias": ours[f"{name}.output.dense.bias"]}
        return parts

    def block(name: str) -> Tree:
        mlp = {"Dense_0": dense(f"{name}.intermediate.dense"), "Dense_1": dense(f"{name}.output.dense")}
        if config.factorization == "self_attention":
            return {
                "LayerNorm_time": norm(f"{name}.layernorm_time"),
                "MultiHeadDotProductAttention_time": attention(f"{name}.attention_time"),
                "LayerNorm_space": norm(f"{name}.layernorm_before"),
                "MultiHeadDotProductAttention_space": attention(f"{name}.attention"),
                "LayerNorm_mlp": norm(f"{name}.layernorm_after"),
                "MlpBlock": mlp,
            }
        return {
            "LayerNorm_0": norm(f"{name}.layernorm_before"),
            "MultiHeadDotProductAttention_0": attention(f"{name}.attention"),
            "LayerNorm_1": norm(f"{name}.layernorm_after"),
            "MlpBlock_0": mlp,
        }

    def encoder(prefix: str, positions: str, layers: int) -> Tree:
        blocks = {f"encoderblock_{k}": block(f"{prefix}encoder.layer.{k}") for k in range(layers)}
        return blocks | {
            "posembed_input": {"pos_embedding": ours[positions]},
            "encoder_norm": norm(f"{prefix}layernorm"),
        }

    projection = "embeddings.patch_embeddings.projection"
    tree: Tree = {
        "embedding": {
            "kernel": ours[f"{projection}.weight"].transpose(2, 3, 4, 1, 0).copy(),
            "bias": ours[f"{projection}.bias"],
        },
        "output_projection": dense("classifier"),
    }
    space = encoder("", "embeddings.position_embeddings", config.num_hidden_layers)
    if config.factorization == "encoder":
        time = encoder("temporal.", "temporal.position_embeddings", config.num_temporal_layers)
        return tree | {
            "cls_SpatialTransformer": ours["embeddings.cls_token"][0],
            "cls_TemporalTransformer": ours["temporal.cls_token"],
            "SpatialTransformer": space,
            "TemporalTransformer": time,
        }
    cls = {"cls": ours["embeddings.cls_token"]} if config.has_cls else {}
    return tree | cls | {"Transformer": space}


def packed_tree(tree: Tree) -> Tree:
    """A tree with every array packed."""
    return {
        name: packed_tree(node) if isinstance(node, dict) else packed(node) if isinstance(node, np.ndarray) else node
        for name, node in tree.items()
    }


def write(path: Path, tree: Tree) -> Path:
    """Write a file of Flax."""
    path.write_bytes(msgpack.packb(packed_tree(tree), strict_types=True))
    return path
