"""What only an NVIDIA GPU can show: `make test-gpu`, for whoever has one. Needs no streamlit.

The other tests run on the CPU even where there is a GPU: kernels, threads and figures in them are the CPU's.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch._dynamo.testing import CompileCounterWithBackend

import engine.model as worker
from engine import Engine, Job, WorkerSpec, loaded
from engine.tasks import Classify, ExamineCell, MeasureRound, TimeCells
from tests import oracle
from tests.vivit.benchmark import children
from tests.vivit.test_model import assert_same_gradients
from vivit import VivitConfig, VivitForVideoClassification, VivitImageProcessor, pipeline
from vivit.attention import ATTENTION, AttentionUnavailable
from vivit.benchmark.child import in_child, measure_here, measure_in_child
from vivit.benchmark.measure import peak_memory, timed
from vivit.benchmark.measurement import Cell, StoppingRule
from vivit.benchmark.memory import weights_bytes
from vivit.benchmark.ratios import FASTER
from vivit.benchmark.side_by_side import Examine, SideBySide
from vivit.benchmark.sweep import PlannedRound
from vivit.checkpoint import RANDOM, open_checkpoint
from vivit.checkpoint.layout import published_name, published_tensors
from vivit.crossing import cross
from vivit.device import default_device
from vivit.dynamic_int8 import DynamicInt8Unavailable
from vivit.eight_bit import EightBitUnavailable
from vivit.errors import UserError
from vivit.flash_attention import installed
from vivit.names import BACKENDS
from vivit.precision import EIGHT_BIT, kept_bytes, set_precision
from vivit.tf32 import products

pytestmark = pytest.mark.gpu

KERNELS = {
    "eager": "_softmax",
    "sdpa-math": "_scaled_dot_product_attention_math",
    "sdpa-flash": "_scaled_dot_product_flash_attention",
    "sdpa-efficient": "_scaled_dot_product_efficient_attention",
    "sdpa-cudnn": "_scaled_dot_product_cudnn_attention",
}
PACKAGES = [name for name, backend in BACKENDS.items() if backend.package]
ABSENT = [name for name in PACKAGES if not installed(BACKENDS[name].package)]
HERE = [name for name in ATTENTION if name not in ABSENT]
ANY_PRECISION = [name for name in HERE if not BACKENDS[name].half_only]
TRACED = [name for name in ATTENTION if name not in PACKAGES]  # whose graphs are the packages' own word
MANNEQUIN = "vivit-mannequin"
SMALL = {
    "hidden_size": 128,
    "num_attention_heads": 2,
    "intermediate_size": 256,
}  # heads of a width that every kernel has
RULE = StoppingRule(min_samples=5, max_samples=5, seconds=20.0, warm_up_seconds=0.01)


@pytest.fixture(scope="module", autouse=True)
def exact_products() -> Iterator[None]:
    """TF32, which PyTorch uses for convolutions unless told otherwise, would round the oracle's embedding."""
    usual = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = usual


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, torch.Tensor]:
    """transformers' ViViT-B/16x2 with random weights on the GPU, its folder, and a clip."""
    torch.manual_seed(0)
    config = transformers.VivitConfig(num_labels=400, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = transformers.VivitForVideoClassification(config).eval()
    folder = tmp_path_factory.mktemp("vivit-b")
    model.save_pretrained(folder)
    return model.cuda(), folder, oracle.clip(config, batch=1).cuda()


@pytest.mark.parametrize("attention", ANY_PRECISION)
def test_every_output_of_vivit_b_in_float32(theirs: tuple[Any, Path, torch.Tensor], attention: str) -> None:
    reference, folder, pixel_values = theirs
    ours = VivitForVideoClassification.from_pretrained(folder, attn_implementation=attention, device="cuda").eval()
    with torch.no_grad():
        found, wanted = (m(pixel_values, output_hidden_states=True) for m in (ours, reference))
    # Other kernels sum in another order: values of about 1 then differ by some 1e-6, and 12 layers add to it.
    torch.testing.assert_close(found.logits, wanted.logits, rtol=1e-5, atol=1e-5)
    for mine, other in zip(found.hidden_states, wanted.hidden_states, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("attention", ANY_PRECISION)
def test_tf32_rounds_products_and_leaves_the_setting(theirs: tuple[Any, Path, torch.Tensor], attention: str) -> None:
    _, folder, pixel_values = theirs
    load: Any = VivitForVideoClassification.from_pretrained
    model, exact = (
        load(folder, attn_implementation=attention, dtype=name, device="cuda") for name in ("tf32", "float32")
    )
    before = torch.backends.cuda.matmul.fp32_precision, torch.get_float32_matmul_precision()
    with torch.inference_mode():
        wanted = exact(pixel_values).logits
        found = model(pixel_values).logits
        assert torch.equal(exact(pixel_values).logits, wanted), "float32 stays what it is beside it"
        model.compile(fullgraph=True)
        compiled = model(pixel_values).logits
    assert model.dtype == found.dtype == torch.float32
    for logits in (found, compiled):
        # Factors of every product are rounded to 10 bits as float16's are, so it is as far off: see the half precisions.
        torch.testing.assert_close(logits, wanted, rtol=0, atol=8e-3)
        # Another order of sums differs by some 1e-6, rounded factors by a thousand times that.
        assert (logits - wanted).abs().max() > 5e-5
    with pytest.raises(ValueError, match="pixel_values must be"):
        model.vivit(torch.zeros(3, device="cuda"))
    assert (torch.backends.cuda.matmul.fp32_precision, torch.get_float32_matmul_precision()) == before


def test_tf32_products_are_rounded_to_10_bits() -> None:
    x = torch.full((512, 512), 1 + 2**-12, device="cuda")
    eye = torch.eye(512, device="cuda")
    with products(True):
        rounded = x @ eye
    assert torch.equal(rounded, torch.ones_like(x)) and torch.equal(x @ eye, x)


def test_a_cell_in_tf32() -> None:
    rows = [
        measure_in_child(PlannedRound(Cell(MANNEQUIN, "sdpa", name, batch_size=2, execution=e), RULE))[0]
        for name, e in (("float32", "plain"), ("tf32", "plain"), ("tf32", "compiled"), ("tf32", "captured"))
    ]
    assert all(row.status == "ok" and row.logits for row in rows), [row.details for row in rows]
    exact, *rounded = (torch.tensor(row.logits) for row in rows)
    for logits in rounded:
        assert 1e-5 < (logits - exact).abs().max() < 5e-2  # logits reach 7, in an encoder of 192 numbers
    step, _ = measure_in_child(PlannedRound(Cell(MANNEQUIN, "sdpa", "tf32", mode="training"), RULE))
    assert step.status == "ok", step.details


def test_dynamic_int8_is_refused_on_a_gpu() -> None:
    with pytest.raises(DynamicInt8Unavailable, match="runs on CPUs alone"):
        VivitForVideoClassification.from_pretrained(MANNEQUIN, dtype="int8-dynamic", device="cuda")
    row, _ = measure_in_child(PlannedRound(Cell(MANNEQUIN, "sdpa", "int8-dynamic"), RULE))
    assert row.status == "unavailable" and "runs on CPUs alone" in row.reason
    model = VivitForVideoClassification.from_pretrained(MANNEQUIN, dtype="int8-dynamic").to("cuda")
    with pytest.raises(DynamicInt8Unavailable, match="moved to 'cuda'"):
        model(oracle.clip(model.config).to("cuda"))


@pytest.mark.parametrize(("dtype", "off"), [("float16", 8e-3), ("bfloat16", 6e-2)])
@pytest.mark.parametrize("attention", HERE)
def test_half_precisions_stay_near(
    theirs: tuple[Any, Path, torch.Tensor], attention: str, dtype: str, off: float
) -> None:
    """Within some units in the last place of the largest logits, which are about 2."""
    reference, folder, pixel_values = theirs
    ours = VivitForVideoClassification.from_pretrained(
        folder, attn_implementation=attention, dtype=dtype, device="cuda"
    ).eval()
    with torch.no_grad():
        found, wanted = ours(pixel_values).logits, reference(pixel_values).logits
    assert found.dtype == getattr(torch, dtype)
    torch.testing.assert_close(found.float(), wanted, rtol=0, atol=off)


@pytest.mark.parametrize(
    ("attention", "dtype"),
    [
        (name, dtype)
        for name in TRACED
        for dtype in ("float32", "float16")
        if dtype != "float32" or name in ANY_PRECISION
    ],
)
def test_every_kernel_compiles_to_one_graph(attention: str, dtype: str) -> None:
    """By Inductor, on a small model: each kernel's own conditions hold there as in ViViT-B."""
    model = VivitForVideoClassification(VivitConfig(**oracle.TINY | SMALL), attn_implementation=attention)
    oracle.randomise(model)
    model = set_precision(model.eval(), dtype).cuda()
    pixel_values = oracle.clip(model.config).cuda()
    torch._dynamo.reset()
    count = CompileCounterWithBackend("inductor")
    with torch.inference_mode():
        found = torch.compile(model, fullgraph=True, backend=count)(pixel_values).logits
        wanted = model(pixel_values).logits
    assert count.frame_count == 1 and found.dtype == wanted.dtype
    # Fused kernels round less often: a unit or two in the last place of half-precision logits of about 2.
    off = 1e-5 if dtype == "float32" else 8e-3
    torch.testing.assert_close(found, wanted, rtol=0, atol=off)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_every_gradient_of_vivit_b(theirs: tuple[Any, Path, torch.Tensor], attention: str) -> None:
    reference, folder, pixel_values = theirs
    ours = VivitForVideoClassification.from_pretrained(folder, attn_implementation=attention, device="cuda")
    labels = torch.tensor([116], device="cuda")
    for model in (reference, ours):
        model.zero_grad()
        model(pixel_values, labels=labels).loss.backward()
    # Sums over 3,137 tokens that come to as much as 70.
    assert_same_gradients(ours, reference, rtol=1e-4, atol=5e-4)


def test_8_bit_answers_as_transformers_with_bitsandbytes(theirs: tuple[Any, Path, torch.Tensor]) -> None:
    _, folder, pixel_values = theirs
    if find_spec("bitsandbytes") is None:
        with pytest.raises(EightBitUnavailable, match="pip install bitsandbytes"):
            VivitForVideoClassification.from_pretrained(folder, load_in_8bit=True, device_map="auto")
        return
    ours = VivitForVideoClassification.from_pretrained(folder, load_in_8bit=True, device_map="auto")
    assert ours.dtype == torch.float16 and sum(kept_bytes(ours).values()) == weights_bytes(
        ours.config, EIGHT_BIT, "cuda"
    )
    config = transformers.BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=["classifier"])
    kind = transformers.VivitForVideoClassification
    reference = kind.from_pretrained(folder, quantization_config=config, dtype=torch.float16, device_map="cuda")
    wanted = {published_name(name): tensor for name, tensor in reference.state_dict().items()}
    for name, tensor in published_tensors(ours).items():
        assert torch.equal(tensor, wanted[name]), name
    with torch.inference_mode():
        found, expected = ours(pixel_values).logits, reference(pixel_values.half()).logits
        moved = reference((pixel_values * (1 + 2**-11)).half()).logits
    # Numbers in float16 tip over to the next of int8 here and there, a step of the largest of a token / 127, and twelve layers
    # carry that on: transformers' own logits move as far if the last bit of its pixels does.
    assert (found - expected).abs().max() <= 1.5 * (moved - expected).abs().max() < 0.2
    # One layer of the same input is the same to float16's last bits.
    one, other = ours.vivit.layers[0], reference.vivit.layers[0]
    with torch.inference_mode():
        x = reference.vivit.embeddings(pixel_values.half())
        torch.testing.assert_close(one.intermediate(x), other.mlp.fc1(x), rtol=0, atol=0)
        torch.testing.assert_close(one(x)[0], _first(other(x)), rtol=0, atol=6e-2)


def _first(output: Any) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output


def test_a_fresh_child_has_not_touched_cuda() -> None:
    assert in_child(children.state)["cuda"] is False


@pytest.mark.parametrize("megabytes", [400, 4000])
def test_a_known_allocation_is_reported(megabytes: int) -> None:
    assert in_child(children.allocate, megabytes)["peak_bytes"] == pytest.approx(megabytes * children.MB, rel=0.02)


@pytest.mark.parametrize("attention", KERNELS)
def test_the_kernel_that_ran_is_seen(attention: str) -> None:
    found = in_child(children.attend, attention, "float16")
    assert found["kernel"] == KERNELS[attention] and found["device_kernels"]


def random_qkv(tokens: int, dtype: torch.dtype, batch: int = 2) -> list[torch.Tensor]:
    """As ViViT-B makes them: views of one (B, N, 3, 12, 64)."""
    generator = torch.Generator().manual_seed(tokens)
    made = torch.randn(batch, tokens, 3, 12, 64, generator=generator).to("cuda", dtype)
    return [part.permute(0, 2, 1, 3).requires_grad_() for part in made.unbind(2)]


def result_and_gradients(attention: str, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Of a backend: what it gives, without and with gradients, and these."""
    with torch.inference_mode():
        plain = ATTENTION[attention](*inputs, 0.0)
    found = ATTENTION[attention](*inputs, 0.0)
    pull = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).to(found)
    return [plain.clone(), found.detach(), *torch.autograd.grad(found, inputs, pull)]


@pytest.mark.parametrize("tokens", [65, 197, 3137])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("attention", [*PACKAGES, "flex_attention"])
def test_packages_and_flex_agree_with_eager(attention: str, dtype: torch.dtype, tokens: int) -> None:
    """Where a package is absent, and in float32, which none of them has, the sentence says so."""
    inputs = random_qkv(tokens, dtype)
    if attention in ABSENT or (BACKENDS[attention].half_only and dtype == torch.float32):
        with pytest.raises(AttentionUnavailable) as caught:
            ATTENTION[attention](*inputs, 0.0)
        assert (f"the package {BACKENDS[attention].package} (" in str(caught.value)) == (attention in ABSENT)
        assert ("not float32" in str(caught.value)) == (dtype == torch.float32)
        return
    exact = result_and_gradients("eager", [t.detach().float().requires_grad_() for t in inputs])
    # Of the whole tensor's length. Half precision: inputs are the same, probabilities and results are each rounded to a
    # step of the dtype, and gradients are products of three such. float32: another order of sums.
    off = 1e-5 if dtype == torch.float32 else 4 * torch.finfo(dtype).eps
    for found, wanted in zip(result_and_gradients(attention, inputs), exact, strict=True):
        assert found.dtype == dtype and found.shape == wanted.shape
        assert (found.float() - wanted).norm() <= off * wanted.norm()
        assert (found.float() - wanted).abs().max() <= 10 * off * wanted.abs().max()


def test_flex_is_true_float32_whatever_products_are_rounded_to() -> None:
    usual = torch.get_float32_matmul_precision()
    inputs = [t.detach() for t in random_qkv(197, torch.float32)]
    wanted = ATTENTION["eager"](*inputs, 0.0)
    torch.set_float32_matmul_precision("high")
    try:
        found = ATTENTION["flex_attention"](*inputs, 0.0)
    finally:
        torch.set_float32_matmul_precision(usual)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=2e-6)  # TF32 would be off by some 1e-4


@pytest.mark.parametrize("attention", [*PACKAGES, "flex_attention"])
def test_the_kernel_of_a_package_or_of_flex_is_seen(attention: str) -> None:
    if attention in ABSENT:
        with pytest.raises(AttentionUnavailable, match=f"the package {BACKENDS[attention].package} "):
            children.attend(attention, "float16")
        return
    found = in_child(children.attend, attention, "float16")
    word = "flex" if attention == "flex_attention" else "flash"
    assert word in found["kernel"].lower() and any(word in name.lower() for name in found["device_kernels"]), found


def test_a_cell_of_flex_compiles_in_its_first_call() -> None:
    row, _ = measure_in_child(PlannedRound(Cell(MANNEQUIN, "flex_attention", "float16", batch_size=2), RULE))
    assert row.status == "ok" and row.latency and row.logits and row.device_kernels, row.details
    assert row.latency.first_ms > 10 * row.latency.median


@pytest.mark.parametrize("attention", ["sdpa-flash", "sdpa-cudnn"])
def test_what_is_unavailable_is_a_row(attention: str) -> None:
    row, _ = measure_in_child(PlannedRound(Cell(RANDOM, attention), RULE))
    assert row.status == "unavailable" and "computes in float16 and bfloat16 only" in row.reason


def test_what_does_not_fit_is_a_row() -> None:
    row, _ = measure_in_child(PlannedRound(Cell(RANDOM, "eager", batch_size=256), RULE))
    assert row.status == "out-of-memory" and "does not fit" in row.reason


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_a_measured_cell(attention: str) -> None:
    row, _ = measure_in_child(PlannedRound(Cell(MANNEQUIN, attention, "float16", batch_size=2), RULE))
    assert row.status == "ok" and row.latency and row.latency.median > 0 and row.logits, row.details
    memory = row.memory
    assert memory and memory.allocated and memory.reserved and row.device_kernels
    # What CUDA's libraries keep for themselves is allocated, and no activation.
    assert memory.activations > 0 and memory.peak <= memory.allocated <= memory.reserved


def test_a_compiled_cell_answers_alike() -> None:
    compiled, plain = (
        measure_in_child(PlannedRound(Cell(MANNEQUIN, "sdpa", execution=e), RULE))[0] for e in ("compiled", "plain")
    )
    assert compiled.latency and plain.latency and plain.logits and compiled.status == "ok", compiled.details
    assert compiled.latency.first_ms > 10 * compiled.latency.median
    np.testing.assert_allclose(compiled.logits or (), plain.logits, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_captured_cell_answers_alike_and_its_memory_is_a_passs(precision: str) -> None:
    captured, plain = (
        measure_in_child(PlannedRound(Cell(MANNEQUIN, "sdpa", precision, 2, execution=e), RULE))[0]
        for e in ("captured", "plain")
    )
    assert captured.status == "ok" and captured.latency and captured.latency.warm, captured.details
    assert captured.memory and plain.memory and captured.kernel
    # The pass that captures holds what a pass holds. The rest is the graph's own copy of its input, and what cuBLAS takes to
    # work in on a stream that it has not seen, 32 MiB on chips of 9.0 and 8 elsewhere.
    copy = 2 * 3 * math.prod(open_checkpoint(MANNEQUIN).config.clip_size) * (2 if precision == "bfloat16" else 4)
    more = captured.memory.activations - plain.memory.activations
    assert -0.1 * plain.memory.activations < more < copy + 34 * 2**20, more
    # In a graph a sum and its LayerNorm are one kernel whatever their size, which is another order; bfloat16 has 8 bits.
    np.testing.assert_allclose(
        captured.logits or (), plain.logits or (), **({"rtol": 0.1, "atol": 0.1} if precision == "bfloat16" else CLOSE)
    )


def test_a_captured_training_step_is_a_row() -> None:
    row = measure_here(PlannedRound(Cell(MANNEQUIN, "sdpa", mode="training", execution="captured"), RULE))
    assert row.status == "unavailable" and "no gradients" in row.reason


CLOSE = {"rtol": 1e-4, "atol": 1e-4}  # float32 through all layers, in another order


def question(checkpoint: str, attention: str, precision: str) -> tuple[Classify, list[bytes]]:
    """A classification of random pixels."""
    frames, height, width = open_checkpoint(checkpoint).config.clip_size
    shape = (frames, height, width, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return Classify(checkpoint, attention, precision, "checkpoint", 5, shape), [pixels.tobytes()]


def test_the_model_worker_answers_as_the_cpu_does() -> None:
    engine = Engine({"model": WorkerSpec("engine.model")})
    engine.start()

    def done(job: Job[Any]) -> Any:
        assert job.wait(120) and job.state == "done", (job.state, job.error, job.details)
        return job.result

    try:
        request, blobs = question(MANNEQUIN, "sdpa", "float32")
        pixels = np.frombuffer(blobs[0], np.uint8).reshape(request.shape)
        pixel_values = torch.from_numpy(VivitImageProcessor.from_pretrained(MANNEQUIN).normalise(pixels))[None]
        with torch.no_grad():
            logits = VivitForVideoClassification.from_pretrained(MANNEQUIN).eval()(pixel_values).logits
        wanted = logits.softmax(-1).topk(5).values[0].tolist()
        for precision, off in (("float32", 1e-5), ("float16-weights", 5e-3), ("float16", 2e-2), ("bfloat16", 1e-1)):
            for attention in (
                HERE if precision in ("float16", "bfloat16") else ANY_PRECISION
            ):  # the others compute in float32
                found = done(engine.ask(*question(MANNEQUIN, attention, precision)))
                assert found.device == "cuda" and found.warm and found.peak_bytes > 0
                scores = [p.score for p in found.predictions]
                assert scores == pytest.approx(wanted, abs=off), (attention, precision)
        rule = StoppingRule(min_samples=3, max_samples=3, seconds=20.0)
        planned = PlannedRound(Cell(MANNEQUIN, "sdpa", "float16"), rule)
        row = done(engine.ask(MeasureRound(planned, None))).measurement
        assert row.status == "ok" and row.memory.allocated
    finally:
        engine.stop()


def test_cells_side_by_side() -> None:
    """ViViT-B on the worker's own functions. To 2 %: the sweep's child measures the same memory with nothing else loaded."""
    request, blobs = question(RANDOM, "eager", "float32")
    cells = [
        Cell(RANDOM, attention, precision) for precision in ("float32", "float16") for attention in ("eager", "sdpa")
    ]
    comparison = SideBySide(cells, seconds=10.0, sound=True)
    while step := comparison.next():
        if isinstance(step, Examine):
            examine = ExamineCell(cells[step.place], request.shape)
            comparison.examined(step, worker.examine_cell(examine, blobs, lambda *_: None)[0])
        else:
            begin = monotonic()
            time = TimeCells(1, tuple(cells[place] for place in step.places), request.shape)
            timed, _ = worker.time_cells(time, blobs, lambda *_: None)
            comparison.timed(step, timed, monotonic() - begin)
    loaded.unload()
    rows = comparison.rows()
    assert rows[3].ratio and rows[3].ratio.verdict == FASTER, rows[3].ratio
    assert comparison.rounds >= 6 and not comparison.busy and "CUDA events" in comparison.method
    for row in rows:
        assert row.found.device == "cuda" and row.found.logits
        alone, _ = measure_in_child(PlannedRound(row.cell, RULE))
        assert alone.memory and alone.memory.weights == row.found.weights, alone.details
        assert row.found.activations == pytest.approx(alone.memory.activations, rel=0.02), row.cell


def test_one_copy_of_a_model_in_each_precision_and_nothing_left_over() -> None:
    def beyond_weights() -> list[int]:
        """What is held after each setting beyond the weights of every model that is loaded, in bytes."""
        held = []
        for precision in ("float32", "float16", "bfloat16"):
            for attention in ("eager", "sdpa", "sdpa-efficient"):
                worker.classify(*question(MANNEQUIN, attention, precision), lambda *_: None)
                held.append(torch.cuda.memory_allocated() - sum(map(loaded.held_bytes, loaded.LOADED.values())))
        return held

    beyond_weights()  # cuBLAS takes its work space, once
    assert len(loaded.LOADED) == 3
    first, *_, last = (beyond_weights() for _ in range(20))
    assert last == first
    assert max(first) - min(first) < 2**20, "a second copy takes 4.7 MB"
    loaded.unload()


def cramped() -> dict[str, Any]:
    """Two classifications with 1 GiB: eager in float32 needs 1.4 GB, sdpa in float16 0.3."""
    torch.cuda.set_per_process_memory_fraction(2**30 / torch.cuda.get_device_properties(0).total_memory)
    try:
        worker.classify(*question(RANDOM, "eager", "float32"), lambda *_: None)
        sentence = ""
    except UserError as error:
        sentence = str(error)
    found, _ = worker.classify(*question(RANDOM, "sdpa", "float16"), lambda *_: None)
    return {"sentence": sentence, "latency_ms": found.latency_ms}


def test_what_does_not_fit_into_the_gpu_says_what_to_try_and_the_next_job_runs() -> None:
    found = in_child(cramped)
    assert "does not fit into this machine's memory. Try sdpa" in found["sentence"]
    assert found["latency_ms"] > 0


def described() -> dict[str, Any]:
    return asdict(worker.start())


def test_a_gpu_that_others_have_filled_is_described_all_the_same() -> None:
    torch.cuda.empty_cache()
    others = torch.empty(torch.cuda.mem_get_info()[0] - 5 * 2**29, dtype=torch.uint8, device="cuda")
    found = in_child(described)
    assert found["device"] == "cuda" and found["flops_per_second"]["float16"] > 0 and found["bytes_per_second"] > 0
    del others
    torch.cuda.empty_cache()


def chosen(name: str) -> dict[str, Any]:
    """Everything on the GPU that VIVIT_DEVICE names, and what each GPU has held at most."""
    os.environ["VIVIT_DEVICE"] = name
    device, megabytes = default_device(), 400
    _, peak = peak_memory(lambda: torch.empty(megabytes * children.MB, dtype=torch.uint8, device=device), device)
    matrix = torch.randn(8192, 8192, device=device)
    timed(lambda: matrix @ matrix, device)
    begin = perf_counter()
    _, ms = timed(lambda: matrix @ matrix, device)
    wall_ms = (perf_counter() - begin) * 1e3
    machine = worker.start()
    answer, _ = worker.classify(*question(MANNEQUIN, "sdpa", "float16"), lambda *_: None)
    row = measure_here(PlannedRound(Cell(MANNEQUIN, "sdpa", "float16"), RULE))
    assert row.memory and row.memory.allocated, row.details
    return {
        "place": machine.place,
        "devices": machine.devices,
        "peak_megabytes": peak and peak / children.MB,
        "ms": ms,
        "wall_ms": wall_ms,
        "classified": answer.peak_bytes,
        "measured": row.memory.activations,
        "held": [torch.cuda.max_memory_allocated(k) for k in range(torch.cuda.device_count())],
    }


@pytest.mark.parametrize("index", [0, 1])
def test_one_gpu_of_several_is_chosen_and_no_other_is_touched(index: int) -> None:
    if index >= (count := torch.cuda.device_count()):
        pytest.skip(f"PyTorch sees {count} GPU here, and this test wants another one")
    found = in_child(chosen, f"cuda:{index}")
    assert found["place"] == f"cuda:{index}" and len(found["devices"]) == count
    assert found["peak_megabytes"] == pytest.approx(400, rel=0.02)
    # A product takes 20 ms and more: events of another GPU's stream would pass each other at once.
    assert 0.5 * found["wall_ms"] < found["ms"] <= found["wall_ms"], found
    assert found["classified"] > 0 < found["measured"]
    held = found["held"]
    assert held.pop(index) > 0 and not any(held), "the others have held nothing"


def test_the_gpu_is_seen() -> None:
    """Were it hidden, every test above would have run on the CPU or failed for that reason."""
    assert torch.cuda.is_available(), os.environ.get("CUDA_VISIBLE_DEVICES", "no CUDA_VISIBLE_DEVICES")
    assert worker.start().device == "cuda"


@pytest.mark.parametrize("options", [{}, {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}])
def test_bytes_are_normalised_on_the_gpu_as_on_the_cpu(options: dict[str, Any]) -> None:
    """Product and sum are two kernels there, so that nothing is fused and every bit is NumPy's."""
    processor, clips = (
        VivitImageProcessor(**options),
        [*np.random.default_rng(0).integers(0, 256, (2, 32, 64, 48, 3), np.uint8)],
    )
    wanted = torch.from_numpy(np.stack([processor.normalise(clip) for clip in clips]))
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        assert torch.equal(cross(clips, processor, torch.device("cuda"), dtype).cpu(), wanted.to(dtype))


def test_a_pipeline_has_its_next_pass_begin_before_it_answers() -> None:
    """And none without threads. The answers are the same, and their times those of the passes alone."""
    classify = pipeline(model=MANNEQUIN, device="cuda", batch_size=2)
    passes: list[int] = []
    shape = (8, *classify.model.config.clip_size, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    wanted = [classify(clip) for clip in frames]
    for workers in (0, 2):
        passes.clear()
        with classify.model.vivit.register_forward_hook(lambda *_: passes.append(1)):
            answers = classify(iter(frames), num_workers=workers)
            first = next(answers)
            assert len(passes) == (2 if workers else 1)
            found = [first, *answers]
        for one, other in zip(found, wanted, strict=True):
            assert [p["label"] for p in one] == [p["label"] for p in other]
            # Sums of a batch of two are in another order, in float32.
            assert [p["score"] for p in one] == pytest.approx([p["score"] for p in other], abs=1e-5)
            assert one.timings_ms["forward"] > 0
