"""FlexAttention, really compiled: one result with the definition, never uncompiled, and what it says where it cannot run."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor

from tests import oracle
from tests.shorter import some
from tests.vivit.test_attention import by_definition
from tests.vivit.test_tools import made
from vivit.attention import ATTENTION
from vivit.benchmark import measure, passes
from vivit.errors import AttentionUnavailable
from vivit.flex_attention import REGION, lacking, refuse_flex

flex_attention = ATTENTION["flex_attention"]
CPU = torch.device("cpu")
EXACT: oracle.Tolerance = {
    "rtol": 1e-5,
    "atol": 2e-6,
}  # float32 sums of up to 200 terms of about 1, as in the other backends' tests
HAVING: dict[str, Any] = {"gradients": False, "compiler": "", "vectors": True}


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def qkv(
    tokens: int, batch: int = 1, heads: int = 3, width: int = 16, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    """As a model makes them: views of one (B, N, 3, A, D)."""
    generator = torch.Generator().manual_seed(tokens)
    together = torch.randn(batch, tokens, 3, heads, width, generator=generator).to(dtype)
    query, key, value = together.permute(2, 0, 3, 1, 4)
    return query, key, value


def compiled_kernels() -> int:
    return len(torch._dynamo.eval_frame._debug_get_cache_entry_list(compiled_code()))


def compiled_code() -> Any:
    from vivit.flex_attention import _traced

    return _traced.__code__


# More than Dynamo's own limit of 8 kinds of tensors, after which it would give up.
TOKENS = (2, 5, 16, 31, 64, 65, 127, 128, 129, 150, 197, 200)


def test_many_numbers_of_tokens_and_clips_share_a_kernel_and_are_right() -> None:
    for tokens in TOKENS:
        inputs = qkv(tokens)
        torch.testing.assert_close(flex_attention(*inputs, 0.0).double(), by_definition(*inputs), **EXACT)
    before = compiled_kernels()
    for tokens in (66, 130, 333):
        flex_attention(*qkv(tokens), 0.0)
    assert compiled_kernels() == before
    for batch in (2, 3, 5):
        inputs = qkv(33, batch)
        torch.testing.assert_close(flex_attention(*inputs, 0.0).double(), by_definition(*inputs), **EXACT)
    assert compiled_kernels() == before + 1


@torch.no_grad()
def check_narrow_heads() -> None:
    """With half a block of keys left over: there PyTorch's kernel for AVX2 writes more scores than a row has."""
    for width, tokens in ((8, 24), (16, 200)):
        inputs = qkv(tokens, width=width)
        for attend in (flex_attention, torch.compile(flex_attention, fullgraph=True)):
            torch.testing.assert_close(attend(*inputs, 0.0).double(), by_definition(*inputs), **EXACT)


@pytest.mark.full
@pytest.mark.parametrize(
    "settings", some([{}, {"ATEN_CPU_CAPABILITY": "avx2"}], {"ATEN_CPU_CAPABILITY": "avx2"}), ids=["as it is", "AVX2"]
)
def test_narrow_heads_with_half_a_block_of_keys_left_over(tmp_path: Path, settings: dict[str, str]) -> None:
    """In processes with caches of their own: PyTorch's does not tell kernels for AVX2 from others."""
    script = "from tests.vivit.test_flex_attention import check_narrow_heads; check_narrow_heads(); print('right')"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | settings | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.stdout == "right\n", ended.stderr


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_half_and_near(dtype: torch.dtype) -> None:
    for tokens in (65, 197):
        inputs = qkv(tokens, dtype=dtype)
        found = flex_attention(*inputs, 0.0)
        assert found.dtype == dtype
        # Probabilities and the result are each rounded to the dtype: a few of its steps at values up to about 2.
        step = torch.finfo(dtype).eps
        torch.testing.assert_close(found.double(), by_definition(*inputs), rtol=2 * step, atol=4 * step)


def test_more_kinds_of_tensors_than_dynamo_allows_by_itself() -> None:
    """Dynamo's own limit is lowered to what is compiled in seconds: the library's limit is what holds."""
    with torch._dynamo.config.patch(recompile_limit=1):
        for width in (4, 8):
            inputs = qkv(9, width=width)
            torch.testing.assert_close(flex_attention(*inputs, 0.0).double(), by_definition(*inputs), **EXACT)


def test_the_logits_of_a_whole_model() -> None:
    flex, eager = made("flex_attention"), made("eager")
    pixel_values = oracle.clip(flex.config)
    found, wanted = flex(pixel_values), eager(pixel_values)
    torch.testing.assert_close(found.logits, wanted.logits, rtol=1e-5, atol=1e-5)  # float32 in another order


def test_the_profiler_names_it_and_only_where_it_was_compiled() -> None:
    inputs = qkv(65)
    _, found = measure.record(lambda: flex_attention(*inputs, 0.0), CPU)
    assert found.kernel == REGION == "compiled flex_attention"
    assert measure.attention_kernel([REGION, "aten::_softmax"]) == "_softmax", "the name alone is no evidence"
    # Scores would take 12 B for each of N × N pairs: 4 B in each of 3 heads.
    tokens = 1000
    _, found = measure.record(lambda: flex_attention(*qkv(tokens), 0.0), CPU)
    assert found.peak_bytes is not None and found.peak_bytes < tokens**2 * 12


def test_names_of_a_gpus_profile() -> None:
    """As they are on a GPU: an operator, an autograd function, Triton's kernels, and what CuTe makes of an object's name."""
    assert (
        measure.attention_kernel(["FlashAttnFunc", "flash_attn::_flash_attn_forward"])
        == "flash_attn::_flash_attn_forward"
    )
    assert measure.attention_kernel(["flash_attn_3::fwd", "flash_attn_3::backward"]) == "flash_attn_3::fwd"
    assert measure.attention_kernel(["FlashAttnFunc", "aten::add"]) == "FlashAttnFunc"
    triton = "triton_tem_fused_flex_attention_0"
    assert measure.attention_kernel([REGION, "Torch-Compiled Region: 0/0", triton]) == triton
    cute = "kernel_cutlass_kernel_flash_attncuteflash_fwd_sm90FlashAttentionForwardSm90"
    assert measure.device_kernels([f"{cute}_object_at__tensor000o1", triton, "gemm"]) == (cute, triton)


def test_nothing_of_the_compiler_is_left_running() -> None:
    flex_attention(*qkv(65), 0.0)
    assert not [c for c in psutil.Process().children(recursive=True) if "torch/_inductor" in " ".join(c.cmdline())]


@pytest.mark.usefixtures("fresh_compiler")
def test_compiling_is_no_part_of_what_is_looked_at_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    model, compiled = made("flex_attention"), []

    def timed(call: Any, device: torch.device) -> Any:
        before = compiled_kernels()
        result = measure.timed(call, device)
        compiled.append(compiled_kernels() - before)
        return result

    monkeypatch.setattr(passes, "timed", timed)
    found = passes.examine(passes.enter(model, "flex_attention", oracle.clip(model.config)[0].numpy()))
    assert compiled_kernels() == 2 and compiled == [2, 0, 0], "made before the first, in inference mode as these are"
    assert found.pass_ms < passes.SLOW_SECONDS * 1e3 and found.logits


def test_gradients_and_dropout_are_refused_in_a_sentence() -> None:
    query, key, value = (t.clone().requires_grad_() for t in qkv(9))
    with torch.enable_grad(), pytest.raises(AttentionUnavailable) as caught:
        flex_attention(query, key, value, 0.1)
    assert str(caught.value) == (
        "'flex_attention' needs torch.no_grad() (it has no gradients on a CPU) and attention_probs_dropout_prob 0 "
        "(it has no dropout). Choose 'sdpa'."
    )
    assert not flex_attention(query, key, value, 0.0).requires_grad, "none are wanted here"


def test_a_dtype_that_it_has_not_is_refused() -> None:
    with pytest.raises(AttentionUnavailable, match=r"needs float32, float16 or bfloat16 \(not float64\)"):
        flex_attention(*qkv(9, dtype=torch.float64), 0.0)


def test_without_a_compiler_it_says_so_and_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/nowhere/g++")
    with pytest.raises(AttentionUnavailable) as caught:
        flex_attention(*qkv(65), 0.0)
    assert str(caught.value) == (
        "'flex_attention' needs the C++ compiler '/nowhere/g++' (install it, or name another in CXX). Choose 'sdpa'."
    )


@pytest.mark.full
def test_it_never_runs_uncompiled() -> None:
    with (
        torch.compiler.set_stance("force_eager"),
        pytest.raises(AttentionUnavailable, match=r"needs torch\.compile, which is switched off here"),
    ):
        flex_attention(*qkv(65), 0.0)
    script = (
        "import torch; from vivit.attention import ATTENTION; ATTENTION['flex_attention'](*torch.randn(3, 1, 2, 9, 8))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={"TORCH_COMPILE_DISABLE": "1", "PATH": "/usr/bin:/bin"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "AttentionUnavailable: 'flex_attention' needs torch.compile, which is switched off here" in ended.stderr


def test_a_trace_is_refused() -> None:
    query, key, value = qkv(9)

    def attend(query: Tensor) -> Tensor:
        return flex_attention(query, key, value, 0.0)

    with pytest.raises(AttentionUnavailable, match=r"another exporter than torch\.jit\.trace"):
        torch.jit.trace(attend, query)


def test_what_pytorch_cannot_compile_is_a_sentence_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._dynamo.exc import Unsupported

    def fail() -> Any:
        raise Unsupported("its own words")

    monkeypatch.setattr("vivit.flex_attention._compiled", fail)
    with pytest.raises(
        AttentionUnavailable, match=r"cannot compile 'flex_attention' for torch\.float32 on this cpu"
    ) as caught:
        flex_attention(*qkv(9), 0.0)
    assert "its own words" in caught.value.details


@pytest.mark.parametrize(
    ("device", "capability", "changes", "words"),
    [
        ("cpu", None, {}, ""),
        ("cuda", (7, 0), {}, ""),
        ("cuda", (9, 0), {"gradients": True}, ""),
        ("cuda", (6, 1), {}, "compute capability 7.0 or newer (this GPU has 6.1)"),
        ("mps", None, {}, "a CPU or a CUDA GPU (this model is on 'mps')"),
        ("cpu", None, {"vectors": False}, "an x86 processor with AVX2, and not macOS"),
        (
            "cpu",
            None,
            {"compiler": "g++", "gradients": True},
            "the C++ compiler 'g++' (install it, or name another in CXX) and torch.no_grad() (it has no gradients on a CPU)",
        ),
    ],
)
def test_what_lacks(device: str, capability: tuple[int, int] | None, changes: dict[str, Any], words: str) -> None:
    found = lacking(device, capability, torch.float32, 0.0, **HAVING | changes)
    assert found == (f"'flex_attention' needs {words}. Choose 'sdpa'." if words else "")


def test_whether_it_could_run_is_told_without_compiling() -> None:
    before = compiled_kernels()
    refuse_flex(torch.empty(1, 7, 9, 11))
    with pytest.raises(AttentionUnavailable, match="gradients"):
        refuse_flex(torch.empty(1, 7, 9, 11), gradients=True)
    assert compiled_kernels() == before
