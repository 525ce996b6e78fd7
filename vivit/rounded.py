"""What linear layers whose weight is int8 have in common: how they keep it, load it and write it."""

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn


class RoundedLinear(nn.Module):
    """A linear layer whose weight is int8, with a scale a row: row · scale / 127 is the weight, nearly.

    Derived classes say how a weight is rounded, and what is computed with it.

    Args:
        weight: (O, I) floating point; on 'meta' its values are yet to come.
        bias: (O,), or None.
    """

    SCB: Tensor  # (O,) float32, the rows' scales, by the name that files have for them

    def __init__(self, weight: Tensor, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        rounded, scales = self.quantise(weight.detach())
        self.weight = nn.Parameter(rounded, requires_grad=False)
        self.register_buffer("SCB", scales)
        self.bias = bias

    @staticmethod
    def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
        """(O, I) floating point → (O, I) int8 and (O,) float32."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self.SCB = self.SCB.view(torch.int32)  # `half()` and the like change floating point alone: scales stay exact
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.SCB = self.SCB.view(torch.float32)
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        weight = state_dict.get(f"{prefix}weight")
        if weight is not None and weight.is_floating_point():  # copied as it is it would be cut off to whole numbers
            here = weight if self.weight.is_meta else weight.to(self.weight.device)
            state_dict[f"{prefix}weight"], state_dict[f"{prefix}SCB"] = self.quantise(here)
        super()._load_from_state_dict(state_dict, prefix, *rest)
