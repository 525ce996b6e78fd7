"""The packages of FlashAttention's authors, each under transformers' name for it; what they need stands in `vivit.names`.

Letters: B clips, A heads, N tokens, D width of one head.
"""

from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from typing import cast

import torch
from torch import Tensor

from vivit.errors import NO_DROPOUT, AttentionUnavailable, out_of_memory, what_it_needs
from vivit.names import BACKENDS

Attend = Callable[..., Tensor | tuple[Tensor, ...]]  # of (B, N, A, D) each


def _import_2() -> Attend:
    from flash_attn import flash_attn_func

    return cast(Attend, flash_attn_func)


def _import_3() -> Attend:
    from flash_attn_interface import flash_attn_func

    return cast(Attend, flash_attn_func)


def _import_4() -> Attend:
    from flash_attn.cute import flash_attn_func

    return cast(Attend, flash_attn_func)


# The packages of 2 and 4 share a folder, and that of 2 may hold parts of 4 without what these need: only the distributions say
# which is installed.
PACKAGES = {"flash_attention_2": _import_2, "flash_attention_3": _import_3, "flash_attention_4": _import_4}


def package_attention(name: str, query: Tensor, key: Tensor, value: Tensor, dropout_p: float = 0.0) -> Tensor:
    """A package's attention, never another.

    Args:
        name: a key of `PACKAGES`.
        query, key, value: (B, A, N, D), float16 or bfloat16, on a CUDA GPU.
        dropout_p: dropout on the probabilities, in [0, 1).

    Returns:
        (B, A, N, D).

    Raises:
        AttentionUnavailable: if it cannot run here.
        RuntimeError: inside `torch.compile`, for dropout that it does not have.
    """
    if torch.compiler.is_compiling():  # there nothing can be looked up, and a package's own error is raised
        if dropout_p and not BACKENDS[name].has_dropout:
            raise RuntimeError(what_it_needs(name, [NO_DROPOUT]))
        try:
            return _call(name, query, key, value, dropout_p)
        except ImportError as error:
            raise AttentionUnavailable(what_it_needs(name, [_wanted(name)]), str(error)) from error
    device = query.device
    capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else None
    needs = lacking(name, device.type, capability, query.dtype, dropout_p, installed(BACKENDS[name].package))
    if needs:
        raise AttentionUnavailable(needs)
    package = BACKENDS[name].package
    try:
        return _call(name, query, key, value, dropout_p)
    except ImportError as error:
        raise AttentionUnavailable(
            f"'{name}' cannot run: the package {package} is installed and cannot be imported, most likely because it was built "
            f"for another PyTorch than {torch.__version__}. Install it anew, or choose 'sdpa'.",
            str(error),
        ) from error
    except Exception as error:  # assertions, and what its own compiler raises, too
        if out_of_memory(error):
            raise
        raise AttentionUnavailable(
            f"The package {package} refuses '{name}' for {query.dtype} on this GPU with heads of width {query.shape[-1]}. "
            "Choose 'sdpa'.",
            f"{type(error).__name__}: {error}",
        ) from error


def _call(name: str, query: Tensor, key: Tensor, value: Tensor, dropout_p: float) -> Tensor:
    options = {"dropout_p": dropout_p} if BACKENDS[name].has_dropout else {}
    attend = PACKAGES[name]()
    found = attend(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), **options)  # (B, N, A, D)
    return (found[0] if isinstance(found, tuple) else found).transpose(1, 2)


def lacking(
    name: str,
    device: str,
    capability: tuple[int, int] | None,
    dtype: torch.dtype,
    dropout_p: float,
    is_installed: bool,
) -> str:
    """Why a package's attention cannot run: a sentence with everything that it needs and has not; '' if it can.

    Args:
        name: a key of `PACKAGES`.
        device: the type of the device that the model is on.
        capability: of a CUDA GPU, (major, minor); None for another device.
        dtype: of the tensors.
        dropout_p: as `package_attention`'s.
        is_installed: whether the package is there.
    """
    backend, needs = BACKENDS[name], []
    major, minor = backend.least_capability
    if capability is None:
        needs.append(f"a CUDA GPU (this model is on '{device}')")
    elif capability < (major, minor) or (backend.one_generation and capability[0] > major):
        newer = "" if backend.one_generation else " or newer"
        needs.append(f"compute capability {major}.{minor}{newer} (this GPU has {capability[0]}.{capability[1]})")
    if dtype not in (torch.float16, torch.bfloat16):
        needs.append(f"float16 or bfloat16 (not {str(dtype).removeprefix('torch.')})")
    if dropout_p and not backend.has_dropout:
        needs.append(NO_DROPOUT)
    if not is_installed:
        needs.append(_wanted(name))
    return what_it_needs(name, needs)


def _wanted(name: str) -> str:
    return f"the package {BACKENDS[name].package} ({BACKENDS[name].source})"


@cache  # asked for in every layer
def installed(package: str) -> bool:
    """Whether a distribution is there, without importing it."""
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
