"""PyTorch's FlexAttention, always compiled: uncompiled it would write the scores of every head to memory.

Letters: B clips, A heads, N tokens, D width of one head.
"""

import math
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention as flex
from torch.nn.functional import pad

from vivit.compiling import missing_compiler
from vivit.errors import NO_DROPOUT, AttentionUnavailable, out_of_memory, what_it_needs
from vivit.names import BACKENDS
from vivit.tf32 import rounding

NAME = "flex_attention"
REGION = "compiled flex_attention"  # in a profile: there a CPU's kernel has no name of its own
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
# Token counts and batch sizes share a kernel, but for one clip; dtypes, heads, their width, the tensors' layout and the kind
# of call (with gradients, without, in inference mode) do not, and a server sees many checkpoints. PyTorch's limit is 8.
MOST_KERNELS = 256
# With AVX2 PyTorch 2.13's kernel for narrower heads writes 8 scores too many where 8 keys are left of its blocks of 16: its
# `CppMicroGemmFP32Vec` multiplies them in two vectors if the width is 8 or 16. Zeros beside such heads keep it from that.
SAFE_WIDTH = 24 if torch.backends.cpu.get_cpu_capability() == "AVX2" else 0


def flex_attention(query: Tensor, key: Tensor, value: Tensor, dropout_p: float = 0.0) -> Tensor:
    """FlexAttention, compiled by its first call with tensors of a kind, which takes seconds.

    Args:
        query, key, value: (B, A, N, D), of `DTYPES`; float32 is true float32 on a GPU too, except in a model in 'tf32'.
        dropout_p: 0.

    Returns:
        (B, A, N, D).

    Raises:
        AttentionUnavailable: if it cannot run here.
        RuntimeError: for dropout, inside `torch.compile`.
    """
    if torch.jit.is_tracing():  # type: ignore[attr-defined,no-untyped-call]
        raise AttentionUnavailable(what_it_needs(NAME, ["another exporter than torch.jit.trace, which cannot compile"]))
    # Given always, or PyTorch would choose. In a model in 'tf32' the products of attention are rounded as all others are.
    precision = "'tf32'" if rounding() else "'ieee'"
    options: Any = {"FLOAT32_PRECISION": precision} if query.device.type == "cuda" else None
    # Before anything is compiled: within, the width may be a symbol, of which PyTorch makes no C++.
    if query.device.type == "cpu" and query.shape[-1] < SAFE_WIDTH:
        query, key = (pad(x, (0, SAFE_WIDTH - x.shape[-1])) for x in (query, key))
    if torch.compiler.is_compiling():  # where nothing can be looked up or caught
        if dropout_p:
            raise RuntimeError(what_it_needs(NAME, [NO_DROPOUT]))
        if query.device.type == "cpu":
            # PyTorch 2.13 reads the query's shape from the tensor that it is a view of, and fails if that is not (B, A, N, D).
            query = query.clone(memory_format=torch.contiguous_format)
        return flex(query, key, value, scale=1 / math.sqrt(value.shape[-1]), kernel_options=options)
    refuse_flex(query, dropout_p, gradients=torch.is_grad_enabled() and (query.requires_grad or value.requires_grad))
    if query.device.type == "cpu":  # there PyTorch refuses tensors that could have gradients, though none are wanted
        query, key, value = query.detach(), key.detach(), value.detach()
    # These take a second to import, which those who never come here save.
    from torch._dynamo import config
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

    try:
        with torch.profiler.record_function(REGION), config.patch(recompile_limit=MOST_KERNELS):
            return _compiled()(query, key, value, options)
    except (TorchDynamoException, FailOnRecompileLimitHit) as error:
        if out_of_memory(error):
            raise
        raise AttentionUnavailable(
            f"PyTorch {torch.__version__} cannot compile '{NAME}' for {query.dtype} on this {query.device.type} "
            f"with heads of width {value.shape[-1]}. Choose 'sdpa'.",
            str(error),
        ) from error


@cache
def _compiled() -> Callable[..., Tensor]:
    settings: dict[str, Any] = {
        "fullgraph": True,
        "dynamic": True,
        "options": {"compile_threads": 1},  # helpers of a killed process would outlive it
    }
    return torch.compile(_traced, **settings)


def _traced(query: Tensor, key: Tensor, value: Tensor, options: Any) -> Tensor:
    if not torch.compiler.is_compiling():  # never uncompiled, whatever has switched the compiler off
        raise AttentionUnavailable(
            what_it_needs(
                NAME,
                ["torch.compile, which is switched off here (by TORCH_COMPILE_DISABLE or torch.compiler.set_stance)"],
            )
        )
    return flex(query, key, value, scale=1 / math.sqrt(value.shape[-1]), kernel_options=options)


def refuse_flex(query: Tensor, dropout_p: float = 0.0, *, gradients: bool = False) -> None:
    """Raise AttentionUnavailable if FlexAttention cannot run on tensors like this one; compiles nothing.

    Args:
        query: (B, A, N, D).
        dropout_p: as `flex_attention`'s.
        gradients: whether gradients are wanted.
    """
    device = query.device
    needs = lacking(
        device.type,
        torch.cuda.get_device_capability(device) if device.type == "cuda" else None,
        query.dtype,
        dropout_p,
        gradients=gradients,
        compiler=missing_compiler() if device.type == "cpu" else "",
        vectors=torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512") and sys.platform != "darwin",
    )
    if needs:
        raise AttentionUnavailable(needs)


def lacking(
    device: str,
    capability: tuple[int, int] | None,
    dtype: torch.dtype,
    dropout_p: float,
    *,
    gradients: bool,
    compiler: str,
    vectors: bool,
) -> str:
    """Why FlexAttention cannot run: a sentence with everything that it needs and has not; '' if it can.

    Args:
        device: the type of the device that the model is on.
        capability: of a CUDA GPU, (major, minor); None for another device.
        dtype: of the tensors.
        dropout_p, gradients: as `refuse_flex`'s.
        compiler: the C++ compiler that a CPU's kernels want and that is not there, or ''.
        vectors: whether PyTorch makes kernels for a CPU like this one.
    """
    needs = []
    if device not in ("cpu", "cuda"):
        needs.append(f"a CPU or a CUDA GPU (this model is on '{device}')")
    least = BACKENDS[NAME].least_capability
    if capability is not None and capability < least:
        needs.append(
            f"compute capability {least[0]}.{least[1]} or newer (this GPU has {capability[0]}.{capability[1]})"
        )
    if device == "cpu":
        if not vectors:
            needs.append("an x86 processor with AVX2, and not macOS")
        if compiler:
            needs.append(f"the C++ compiler '{compiler}' (install it, or name another in CXX)")
        if gradients:
            needs.append("torch.no_grad() (it has no gradients on a CPU)")
    if dtype not in DTYPES:
        needs.append(f"float32, float16 or bfloat16 (not {str(dtype).removeprefix('torch.')})")
    if dropout_p:
        needs.append(NO_DROPOUT)
    return what_it_needs(NAME, needs)
