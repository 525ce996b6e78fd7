"""What models return: fields by name, which are a dict and a tuple too, as those of transformers.

Letters: B clips, N tokens, E hidden size, A heads; L time steps of S tokens each.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, NoReturn

from torch import Tensor
from torch.utils import _pytree as pytree


class ModelOutput(dict[str, Any]):
    """The fields that are not None: a dict of them, which a number or a slice indexes as a tuple.

    A derived class is a dataclass whose fields are all None by default, and is registered with PyTorch's pytree. Items are set,
    by name or as attributes, and never taken away.

    Source: `ModelOutput` of transformers 4 and 5.
    """

    def __init_subclass__(cls) -> None:
        pytree.register_pytree_node(
            cls,
            lambda output: ([*output.values()], [*output]),
            lambda values, names: cls(**dict(zip(names, values, strict=True))),
            flatten_with_keys_fn=lambda output: ([(pytree.MappingKey(k), v) for k, v in output.items()], [*output]),
            serialized_type_name=f"{cls.__module__}.{cls.__qualname__}",
        )

    def __post_init__(self) -> None:
        first = next(iter(self), None)
        if first and isinstance(self[first], dict | Iterator):
            items = dict(self[first])  # what gathers or moves outputs makes them anew, of a dict or of its pairs
            dict.clear(self)
            object.__setattr__(self, first, None)
            for name, value in items.items():
                self[name] = value

    def __getitem__(self, key: Any) -> Any:
        return dict.__getitem__(self, key) if isinstance(key, str) else self.to_tuple()[key]

    def __setitem__(self, name: str, value: Any) -> None:
        dict.__setitem__(self, name, value)
        object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if value is not None and name in {field.name for field in fields(self)}:  # type: ignore[arg-type]
            dict.__setitem__(self, name, value)
        object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), dict(self))

    def to_tuple(self) -> tuple[Any, ...]:
        """The fields that are not None, in their order."""
        return tuple(self.values())

    def _kept(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} keeps its items; make a dict of it first")

    __delitem__ = clear = pop = popitem = setdefault = update = _kept


def _made(kind: type[ModelOutput], items: dict[str, Any]) -> ModelOutput:
    return kind(**items)


@dataclass
class VivitOutput(ModelOutput):
    """What `VivitModel` returns.

    Args:
        last_hidden_state: (B, N, E), after the final LayerNorm; token 0 is [CLS] where there is one, and with `cls_only` the
            only token. Of the factorised encoder it is the temporal encoder's, and N = 1 + L.
        pooler_output: (B, pooler_output_size), or None for a model without a pooler.
        hidden_states: on request, num_hidden_layers + 1 times (B, N, E): the embeddings and each layer's output. Of the
            factorised encoder those are (B, L, S, E), each time step's [CLS] first, and then come num_temporal_layers + 1 times
            (B, 1 + L, E).
        attentions: on request, for each layer (B, A, N, N), rows sum to 1; over space (B, L, A, S, S), over time
            (B, S, A, L, L). A layer of 'self_attention' has a tuple of two, in their order; one of 'dot_product' too, of half
            of the heads each, over time and over space.
    """

    last_hidden_state: Tensor = None  # type: ignore[assignment]
    pooler_output: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class VideoClassifierOutput(ModelOutput):
    """What `VivitForVideoClassification` returns.

    Args:
        loss: a scalar where labels were given.
        logits: (B, num_labels).
        hidden_states, attentions: as in `VivitOutput`.
    """

    loss: Tensor | None = None
    logits: Tensor = None  # type: ignore[assignment]
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
