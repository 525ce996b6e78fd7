"""TF32 is on while a model that wants it is called, and never else. What it computes only a GPU can show: `tests/gpu`."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests import oracle
from vivit import VivitForVideoClassification, VivitModel, tf32
from vivit.checkpoint import open_checkpoint
from vivit.names import PRECISIONS, TF32
from vivit.precision import set_precision
from vivit.tf32 import Tf32Unavailable, products, products_of, why_not

MATMUL: Any = torch.backends.cuda.matmul


def setting() -> tuple[Any, ...]:
    return MATMUL.fp32_precision, MATMUL.allow_tf32, torch.get_float32_matmul_precision()


@pytest.fixture(autouse=True)
def as_pytorch_comes() -> Iterator[None]:
    """A test before that trained in this process may have set TF32 for good."""
    former = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(former)


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that has TF32, as far as `why_not` is asked; PyTorch's setting can be made on any."""
    monkeypatch.setattr(tf32, "why_not", lambda device: ("", ""))
    before = setting()
    yield
    assert setting() == before


def model_in(precision: str) -> Any:
    oracle_config = oracle.reference().config
    config = VivitForVideoClassification.config_class.from_dict(oracle_config.to_dict())
    return set_precision(VivitForVideoClassification(config).eval(), precision)


def seen_by(model: Any) -> list[bool]:
    """What was set in every layer and in the head of one call."""
    seen: list[bool] = []
    for module in (*model.vivit.layers, model.vivit.layernorm, model.classifier):
        module.register_forward_hook(lambda *_: seen.append(MATMUL.allow_tf32))
    with torch.inference_mode():
        model(oracle.clip(model.config))
    return seen


def test_where_there_is_none_a_sentence_says_so(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    for call in (
        lambda: VivitForVideoClassification.from_pretrained(tmp_path, dtype=TF32),
        lambda: open_checkpoint("vivit-mannequin").load(VivitModel, dtype=TF32),
        lambda: model_in(TF32),
    ):
        with pytest.raises(Tf32Unavailable) as caught:
            call()
        assert str(caught.value) == (
            "TF32 needs an NVIDIA GPU of compute capability 8.0 or newer; this is a CPU. Choose 'float32'."
        )
    assert "this is 'mps'" in why_not(torch.device("mps"))[0]


@pytest.mark.parametrize(("capability", "runs"), [((7, 5), False), ((8, 0), True), ((9, 0), True), ((12, 0), True)])
def test_by_the_capability_of_a_gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], runs: bool) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    reason = why_not(torch.device("cuda", 1))[0]
    assert (reason == "") == runs and (runs or "this one has 7.5" in reason)
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "another maker" in why_not(torch.device("cuda"))[0]


def test_it_is_no_exact_precision() -> None:
    assert [name for name, kinds in PRECISIONS.items() if kinds.exact] == ["float32"]


@pytest.mark.usefixtures("there")
def test_it_is_set_around_calls_of_a_model_that_wants_it() -> None:
    assert seen_by(model_in("float32")) == [False] * 5
    model = model_in(TF32)
    assert seen_by(model) == [True] * 5 and model.dtype == torch.float32
    assert seen_by(set_precision(model, "float32")) == [False] * 5
    assert not MATMUL.allow_tf32


@pytest.mark.usefixtures("there")
def test_it_is_as_before_after_an_error() -> None:
    model = model_in(TF32)
    with pytest.raises(ValueError, match="pixel_values must be"):
        model(torch.zeros(3))
    assert not MATMUL.allow_tf32


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("owner", ["nobody", "the older way", "the newer way, off", "the newer way, on"])
def test_what_the_process_was_set_to_stays(owner: str) -> None:
    before = setting()
    try:
        if owner == "the older way":
            torch.set_float32_matmul_precision("high")
        elif owner.startswith("the newer way"):
            MATMUL.fp32_precision = TF32 if owner.endswith("on") else "ieee"
        here, on = MATMUL.fp32_precision, owner.endswith("on") or owner == "the older way"
        with products(True), products(True):
            assert MATMUL.fp32_precision == TF32
        assert MATMUL.fp32_precision == here and (here == TF32) == on
        with products(False):
            assert MATMUL.fp32_precision == here, "float32 is what its owner made of it"
    finally:
        MATMUL.allow_tf32 = False
        torch.set_float32_matmul_precision(before[2])
        MATMUL.fp32_precision = before[0]


@pytest.mark.usefixtures("there")
def test_two_calls_at_once_leave_it_as_it_was() -> None:
    first_in, second_out = threading.Event(), threading.Event()
    seen: list[str] = []

    def long() -> None:
        with products(True):
            first_in.set()
            assert second_out.wait(90)
            seen.append(MATMUL.fp32_precision)

    thread = threading.Thread(target=long)
    thread.start()
    assert first_in.wait(90)
    with products(True):
        pass
    second_out.set()
    thread.join()
    assert seen == [TF32] and MATMUL.fp32_precision != TF32


@pytest.mark.usefixtures("there")
def test_a_compiled_model_is_compiled_and_run_in_it() -> None:
    seen: list[bool] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        seen.append(MATMUL.allow_tf32)

        def run(*given: Tensor) -> Any:
            seen.append(MATMUL.allow_tf32)
            return graph(*given)

        return run

    model = model_in(TF32)
    pixel_values = oracle.clip(model.config)
    with torch.inference_mode():
        wanted = model(pixel_values).logits
        outside: Any = torch.compile(model, backend=backend, fullgraph=True)
        with pytest.raises(Exception, match="products_of"):
            outside(pixel_values)
        assert not seen
        with products_of(model):
            assert torch.equal(outside(pixel_values).logits, wanted)
        assert seen == [True, True]
        model.compile(backend=backend, fullgraph=True)
        assert torch.equal(model(pixel_values).logits, wanted)
    assert all(seen) and len(seen) > 2
    torch.compiler.reset()
