"""FlashAttention's packages: what they are called with, and every sentence that says what they need. No GPU is needed."""

import builtins
import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from tests import oracle
from tests.shorter import some
from vivit import VivitConfig, VivitForVideoClassification, flash_attention
from vivit.attention import ATTENTION, eager_attention
from vivit.errors import AttentionUnavailable
from vivit.flash_attention import PACKAGES, installed, lacking
from vivit.names import BACKENDS

GET = {
    "flash_attention_2": "the package flash-attn (pip install flash-attn --no-build-isolation)",
    "flash_attention_3": "the package flash-attn-3 (from the folder hopper of github.com/Dao-AILab/flash-attention)",
    "flash_attention_4": "the package flash-attn-4 (pip install flash-attn-4)",
}
MODULES = {
    "flash_attention_2": "flash_attn",
    "flash_attention_3": "flash_attn_interface",
    "flash_attention_4": "flash_attn.cute",
}
DROPOUT = "attention_probs_dropout_prob 0 (it has no dropout)"


def qkv(dtype: torch.dtype = torch.float16) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = torch.randn(3, 2, 3, 5, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    return query, key, value


@pytest.mark.parametrize("name", PACKAGES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("capability", [(9, 0)])
def test_what_has_everything_lacks_nothing(name: str, dtype: torch.dtype, capability: tuple[int, int]) -> None:
    assert lacking(name, "cuda", capability, dtype, 0.0, True) == ""


@pytest.mark.parametrize("name", PACKAGES)
def test_everything_that_lacks_is_in_one_sentence(name: str) -> None:
    dropout = "" if name == "flash_attention_2" else f", {DROPOUT}"
    wanted = f"'{name}' needs a CUDA GPU (this model is on 'cpu'), float16 or bfloat16 (not float32){dropout} and {GET[name]}"
    assert lacking(name, "cpu", None, torch.float32, 0.1, False) == f"{wanted}. Choose 'sdpa'."


@pytest.mark.parametrize("name", PACKAGES)
def test_each_thing_that_lacks_has_its_words(name: str) -> None:
    def needs(words: str) -> str:
        return f"'{name}' needs {words}. Choose 'sdpa'."

    half = torch.bfloat16
    assert lacking(name, "cuda", (9, 0), half, 0.0, False) == needs(GET[name])
    assert lacking(name, "mps", None, half, 0.0, True) == needs("a CUDA GPU (this model is on 'mps')")
    assert lacking(name, "cuda", (9, 0), torch.float32, 0.0, True) == needs("float16 or bfloat16 (not float32)")
    assert lacking(name, "cuda", (9, 0), half, 0.1, True) == ("" if name == "flash_attention_2" else needs(DROPOUT))


@pytest.mark.parametrize(
    ("name", "runs", "refused", "words"),
    [
        ("flash_attention_2", [(8, 0), (8, 9), (9, 0), (12, 0)], [(7, 0), (7, 5)], "8.0 or newer"),
        ("flash_attention_3", [(9, 0)], [(8, 6), (10, 0), (12, 0)], "9.0"),  # for Hopper alone
        ("flash_attention_4", [(9, 0), (10, 0), (10, 3), (12, 0)], [(8, 0), (8, 6)], "9.0 or newer"),
    ],
)
def test_each_has_its_chips(name: str, runs: list[Any], refused: list[Any], words: str) -> None:
    for capability in runs:
        assert not lacking(name, "cuda", capability, torch.float16, 0.0, True)
    for major, minor in refused:
        assert lacking(name, "cuda", (major, minor), torch.float16, 0.0, True) == (
            f"'{name}' needs compute capability {words} (this GPU has {major}.{minor}). Choose 'sdpa'."
        )


@pytest.mark.parametrize("name", PACKAGES)
def test_on_a_cpu_the_backend_says_so_and_imports_nothing(name: str) -> None:
    with pytest.raises(AttentionUnavailable) as caught:
        ATTENTION[name](*qkv(), 0.0)
    assert str(caught.value) == lacking(name, "cpu", None, torch.float16, 0.0, installed(BACKENDS[name].package))
    assert "flash_attn" not in sys.modules and "flash_attn_interface" not in sys.modules


def test_a_distribution_is_there_or_not_whatever_can_be_imported() -> None:
    assert installed("torch") and not installed("flash-attn-5")


class Package:
    """Stands for an installed package on a GPU that has all it needs. Args: answer: what its function does."""

    def __init__(self, name: str, patch: pytest.MonkeyPatch, answer: Any = None) -> None:
        self.calls: list[dict[str, Any]] = []
        patch.setattr(flash_attention, "lacking", lambda *_: "")
        parts = MODULES[name].split(".")
        for k in range(len(parts)):
            patch.setitem(sys.modules, ".".join(parts[: k + 1]), ModuleType(parts[k]))

        def flash_attn_func(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Any:
            self.calls.append({"shape": tuple(query.shape)} | options)
            if isinstance(answer, Exception):
                raise answer
            query, key, value = (t.transpose(1, 2) for t in (query, key, value))
            out = eager_attention(query, key, value).transpose(1, 2)
            return (out, None) if answer == "tuple" else out

        sys.modules[MODULES[name]].flash_attn_func = flash_attn_func  # type: ignore[attr-defined]


@pytest.mark.parametrize("answer", ["tensor", "tuple"])
@pytest.mark.parametrize("name", PACKAGES)
def test_tensors_go_in_and_come_out_as_each_side_has_them(
    name: str, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, inputs = Package(name, monkeypatch, answer), qkv()
    found = ATTENTION[name](*inputs, 0.0)
    assert torch.equal(found, eager_attention(*inputs))
    options = {"dropout_p": 0.0} if name == "flash_attention_2" else {}
    assert package.calls == [{"shape": (2, 5, 3, 8)} | options], "once, (B, N, A, D)"


def test_dropout_reaches_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    package = Package("flash_attention_2", monkeypatch)
    ATTENTION["flash_attention_2"](*qkv(), 0.25)
    assert package.calls[0]["dropout_p"] == 0.25


@pytest.mark.parametrize("name", PACKAGES)
@pytest.mark.parametrize(
    "error", [RuntimeError("only supports Ampere GPUs or newer"), AssertionError("head_dim"), ValueError("x")]
)
def test_what_a_package_says_is_in_the_details(name: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    Package(name, monkeypatch, error)
    with pytest.raises(AttentionUnavailable) as caught:
        ATTENTION[name](*qkv(), 0.0)
    assert str(caught.value) == (
        f"The package {BACKENDS[name].package} refuses '{name}' for torch.float16 on this GPU with heads of width 8. "
        "Choose 'sdpa'."
    )
    assert caught.value.details == f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("name", PACKAGES)
def test_want_of_memory_is_passed_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Package(name, monkeypatch, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(torch.OutOfMemoryError):
        ATTENTION[name](*qkv(), 0.0)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_of_another_torch_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its distribution is there, and its library has symbols that this torch lacks."""
    real = builtins.__import__

    def importing(module: str, *arguments: Any, **options: Any) -> Any:
        if module == MODULES[name]:
            raise ImportError("flash_attn_2_cuda.so: undefined symbol: _ZN3c10")
        return real(module, *arguments, **options)

    monkeypatch.setattr(flash_attention, "lacking", lambda *_: "")
    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(AttentionUnavailable) as caught:
        ATTENTION[name](*qkv(), 0.0)
    assert f"the package {BACKENDS[name].package} is installed and cannot be imported" in str(caught.value)
    assert "undefined symbol" in caught.value.details


def model(name: str, dropout: float = 0.0) -> VivitForVideoClassification:
    config = VivitConfig(**oracle.TINY, attention_probs_dropout_prob=dropout)
    return VivitForVideoClassification(config, attn_implementation=name)


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("name", some(PACKAGES, "flash_attention_2"))
def test_compiled_it_says_the_same(name: str) -> None:
    ours, pixel_values = model(name).eval(), oracle.clip(VivitConfig(**oracle.TINY))
    with torch.no_grad(), pytest.raises(AttentionUnavailable, match="needs a CUDA GPU") as caught:
        torch.compile(ours, backend="aot_eager")(pixel_values)
    assert GET[name] in str(caught.value)


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("name", ["flash_attention_3", "flash_attention_4"])
def test_compiled_too_dropout_is_never_left_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Package(name, monkeypatch)
    with pytest.raises(RuntimeError, match="it has no dropout"):
        torch.compile(model(name, 0.1).train(), backend="aot_eager", fullgraph=True)(
            oracle.clip(VivitConfig(**oracle.TINY))
        )
