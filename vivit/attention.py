"""Attention backends: one function each, in one dict; what to say of each stands in `vivit.names.BACKENDS`.

Letters: B clips, A heads, N tokens, D width of one head.
"""

import re
import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from vivit.errors import AttentionUnavailable
from vivit.flash_attention import PACKAGES, package_attention
from vivit.flex_attention import flex_attention
from vivit.names import BACKENDS

AttentionFunction = Callable[[Tensor, Tensor, Tensor, float], Tensor]


def attention_probabilities(query: Tensor, key: Tensor) -> Tensor:
    """Softmax of the scaled dot products, computed in float32 for half-precision input.

    Args:
        query: (B, A, N, D), floating point; (B, A, 1, D) for [CLS] alone.
        key: (B, A, N, D), same dtype.

    Returns:
        (B, A, N, N) or (B, A, 1, N), rows sum to 1, dtype of `query`.

    Source: Vaswani et al. 2017, equation 1; the float32 softmax is transformers' eager attention.
    """
    scores: Tensor = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5  # (B, A, N, N)
    return scores.softmax(dim=-1, dtype=torch.promote_types(query.dtype, torch.float32)).to(query.dtype)


def eager_attention(query: Tensor, key: Tensor, value: Tensor, dropout_p: float = 0.0) -> Tensor:
    """Attention that holds the whole (N, N) matrix of every head. Shapes as in `sdpa_attention`."""
    return F.dropout(attention_probabilities(query, key), dropout_p) @ value


def sdpa_attention(query: Tensor, key: Tensor, value: Tensor, dropout_p: float = 0.0) -> Tensor:
    """PyTorch's fused attention, with the kernel that PyTorch picks.

    Args:
        query, key, value: (B, A, N, D), floating point; the query of [CLS] alone is (B, A, 1, D).
        dropout_p: dropout on the probabilities, in [0, 1); 0 outside training.

    Returns:
        The shape of `query`.
    """
    return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout_p)


KERNELS = {
    "sdpa-math": SDPBackend.MATH,
    "sdpa-flash": SDPBackend.FLASH_ATTENTION,
    "sdpa-efficient": SDPBackend.EFFICIENT_ATTENTION,
    "sdpa-cudnn": SDPBackend.CUDNN_ATTENTION,
}


def kernel_attention(name: str, query: Tensor, key: Tensor, value: Tensor, dropout_p: float = 0.0) -> Tensor:
    """PyTorch's fused attention with one kernel, never another.

    Args:
        name: a key of `KERNELS`.
        query, key, value, dropout_p: as `sdpa_attention`'s.

    Raises:
        AttentionUnavailable: if that kernel cannot run here; PyTorch's own error inside `torch.compile`.
    """
    if query.device.type == "mps" and name != "sdpa-math":  # PyTorch takes 'sdpa-math' there, whatever it is told
        raise AttentionUnavailable(_reason(name, query, dropout_p))
    if torch.compiler.is_compiling():  # compiled code catches nothing: PyTorch's own error is raised
        with sdpa_kernel(KERNELS[name]):
            return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout_p)
    with sdpa_kernel(KERNELS[name]), warnings.catch_warnings(record=True) as said:
        # On CUDA PyTorch gives its reasons for refusing a kernel in warnings only.
        warnings.simplefilter("always")
        try:
            return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout_p)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            details = "\n".join([str(error), *(str(w.message) for w in said)])
            raise AttentionUnavailable(_reason(name, query, dropout_p), details) from error


def _reason(name: str, query: Tensor, dropout_p: float) -> str:
    if query.device.type != "cuda" and BACKENDS[name].cuda_only:
        return f"'{name}' runs on CUDA GPUs only, and this model is on '{query.device.type}'. Choose 'sdpa'."
    if query.device.type == "cpu" and dropout_p > 0:
        return f"'{name}' has no dropout on a CPU. Choose 'sdpa', or set attention_probs_dropout_prob to 0."
    if BACKENDS[name].half_only and query.device.type == "cuda" and query.dtype == torch.float32:
        return f"'{name}' computes in float16 and bfloat16 only, not in float32. Choose such a precision, or 'sdpa'."
    return (
        f"PyTorch {torch.__version__} has no '{name}' kernel for {query.dtype} on this {query.device.type} "
        f"with heads of width {query.shape[-1]}. Choose 'sdpa'."
    )


ATTENTION: dict[str, AttentionFunction] = {
    "eager": eager_attention,
    "sdpa": sdpa_attention,
    **{name: partial(kernel_attention, name) for name in KERNELS},  # a partial call can be copied and pickled
    **{name: partial(package_attention, name) for name in PACKAGES},
    "flex_attention": flex_attention,
}


def get_attention(name: str | None) -> AttentionFunction:
    """The backend of that name; 'sdpa' if None.

    Raises:
        ValueError: for a name that is not in `ATTENTION`, the name of a Hub kernel among them.
    """
    name = "sdpa" if name is None else name
    if isinstance(name, str) and "/" in name:
        raise ValueError(
            f"attn_implementation={name!r} is a kernel of the Hub, which is not loaded here; {_like(name)}"
        )
    if not isinstance(name, str) or name not in ATTENTION:
        raise ValueError(f"attn_implementation={name!r} is unknown; known are {', '.join(ATTENTION)}")
    return ATTENTION[name]


def _like(kernel: str) -> str:
    """What to say of a kernel of the Hub, such as 'kernels-community/flash-attn2': the backend like it here, or all of them."""
    if found := re.search(r"flash-attn-?([234]?)(?:[@:]|$)", kernel):
        ours = f"flash_attention_{found[1] or 2}"
        return f"'{ours}' takes that kernel from the package {BACKENDS[ours].package}"
    return f"known are {', '.join(ATTENTION)}"
