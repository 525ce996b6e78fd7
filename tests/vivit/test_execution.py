"""Plain, compiled and captured: one answer, and a sentence where one of them cannot be had. Graphs themselves: tests/gpu."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from typing import Any

import pytest
import torch
from torch import nn

import vivit
from tests import oracle
from vivit import execution
from vivit.execution import Execution, ExecutionUnavailable, get_execution, why_not
from vivit.names import EXECUTIONS
from vivit.precision import set_precision


def made(attention: str = "sdpa", **changes: Any) -> vivit.VivitForVideoClassification:
    model = vivit.VivitForVideoClassification(vivit.VivitConfig(**oracle.TINY | changes), attn_implementation=attention)
    oracle.randomise(model)
    return model.eval()


@pytest.fixture(scope="module")
def compiled() -> vivit.VivitForVideoClassification:
    """One for all tests that may compile it, since that takes seconds."""
    torch._dynamo.reset()
    model = made()
    model.set_execution("compiled")
    return model


def plainly(model: vivit.VivitForVideoClassification, *arguments: Any, **options: Any) -> Any:
    """What the same model gives layer by layer."""
    again = copy.deepcopy(model)
    again.set_execution("plain")
    return again(*arguments, **options)


@torch.inference_mode()
def test_compiled_is_plain_in_full(compiled: vivit.VivitForVideoClassification) -> None:
    pixel_values = oracle.clip(compiled.config)
    torch.testing.assert_close(compiled(pixel_values).logits, plainly(compiled, pixel_values).logits, **oracle.EXACT)
    features = copy.deepcopy(compiled)
    features.set_execution("plain")
    torch.testing.assert_close(compiled.features(pixel_values), features.features(pixel_values), **oracle.EXACT)
    assert [*compiled.executions] == [("sdpa", "compiled")]


@pytest.mark.full
def test_gradients_of_a_compiled_model_are_the_plain_ones(compiled: vivit.VivitForVideoClassification) -> None:
    model = copy.deepcopy(compiled)
    plain = copy.deepcopy(compiled)
    plain.set_execution("plain")
    pixel_values, labels = oracle.clip(model.config), torch.tensor([2, 5])
    for one in (model, plain):
        one(pixel_values, labels).loss.backward()
    for (name, ours), theirs in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert ours.grad is not None and theirs.grad is not None, name
        # Of sums of hundreds of terms, in another order.
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5, msg=oracle.said_of(name))


@torch.inference_mode()
def test_another_backend_after_compiling_is_that_backend(compiled: vivit.VivitForVideoClassification) -> None:
    model, pixel_values = copy.deepcopy(compiled), oracle.clip(compiled.config)
    found = {}
    for attention in ("sdpa", "eager", "sdpa"):
        model.set_attn_implementation(attention)
        found[attention] = model(pixel_values).logits
        torch.testing.assert_close(found[attention], plainly(model, pixel_values).logits, **oracle.EXACT)
    assert [*model.executions] == [("sdpa", "compiled"), ("eager", "compiled")], "each is made once"


@pytest.mark.parametrize("how", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_runs_so_with_weights_of_its_own(compiled: vivit.VivitForVideoClassification, how: Any) -> None:
    again, pixel_values = how(compiled), oracle.clip(compiled.config)
    assert again.execution == "compiled"
    nn.init.normal_(again.classifier.weight)
    nn.init.normal_(again.vivit.embeddings.cls_token)
    with torch.inference_mode():
        found, before = again(pixel_values).logits, compiled(pixel_values).logits
        torch.testing.assert_close(found, plainly(again, pixel_values).logits, **oracle.EXACT)
        torch.testing.assert_close(before, plainly(compiled, pixel_values).logits, **oracle.EXACT)
    assert (found - before).abs().max() > 0.1


def test_what_is_made_is_given_up_where_weights_go_elsewhere_and_where_it_is_asked_for_again() -> None:
    model = made()
    for change in (
        lambda: model.to(torch.float32),
        lambda: model.load_state_dict(model.state_dict()),
        lambda: set_precision(model, "float32"),
        lambda: model.set_execution("compiled"),
    ):
        model.executions["sdpa", "compiled"] = Execution("compiled", vivit.model.head_features)
        change()
        assert not model.executions


def test_what_gives_logits_alone_refuses_the_rest(compiled: vivit.VivitForVideoClassification) -> None:
    for asked in ("output_hidden_states", "output_attentions"):
        with pytest.raises(
            ValueError, match=r"'compiled' gives the logits alone; load the model with execution='plain'"
        ):
            compiled(oracle.clip(compiled.config), **{asked: True})


@pytest.mark.parametrize("shape", [(2, 4, 3, 16, 32), (8, 3, 16, 24)])
def test_a_clip_of_a_wrong_shape_is_told_as_it_is_of_a_plain_model(
    compiled: vivit.VivitForVideoClassification, shape: tuple[int, ...]
) -> None:
    for model in (compiled, made()):
        with torch.no_grad(), pytest.raises(ValueError, match=r"pixel_values must be|this model takes"):
            model(torch.zeros(shape))


class Slow:
    """As a graph: one place holds what a caller gives, from which the answer is read; a second caller would overwrite it."""

    def __init__(self, *_: Any) -> None:
        self.place = torch.zeros(1)

    def __call__(self, value: torch.Tensor) -> torch.Tensor:
        self.place.copy_(value)
        sleep(0.001)
        return self.place.clone()

    def stale(self) -> bool:
        return False


def test_a_graph_serves_one_caller_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "_Graph", Slow)
    monkeypatch.setattr(execution, "why_not", lambda *_: "")
    run, model = Execution("captured", vivit.model.head_features), torch.nn.Identity()

    def ask(k: int) -> float:
        with torch.no_grad():
            return run(model, torch.tensor([float(k)]), False).item()

    with ThreadPoolExecutor(4) as threads:
        assert [*threads.map(ask, range(200))] == [*range(200)]


def test_unknown_names_name_the_known_ones() -> None:
    model = made()
    for ask in (get_execution, model.set_execution, model.vivit.set_execution):
        with pytest.raises(ValueError, match=r"execution='fast' is unknown; known are plain, compiled, captured"):
            ask("fast")
    assert [get_execution(name) for name in EXECUTIONS] == [*EXECUTIONS] and model.execution == "plain"


def test_only_classifiers_have_a_choice() -> None:
    model = made().vivit
    model.set_execution("plain")
    with pytest.raises(ValueError, match=r"execution='compiled' is a classifier's; a VivitModel runs 'plain'"):
        model.set_execution("compiled")


def test_a_graph_is_of_a_gpu_alone() -> None:
    model = made()
    with pytest.raises(ExecutionUnavailable, match=r"'captured' is a CUDA graph, and there is none on 'cpu'"):
        model.set_execution("captured")
    assert model.execution == "plain"
    assert (why_not("captured", "cuda"), why_not("plain", "mps")) == ("", "")


def test_without_a_compiler_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    model = made()
    with pytest.raises(
        ExecutionUnavailable, match=r"wants the compiler 'no-such-compiler'.* Install it, name another in CXX"
    ):
        model.set_execution("compiled")
    model.execution = "compiled"  # as a file says that was written where there is one
    with pytest.raises(ExecutionUnavailable, match="wants the compiler"), torch.no_grad():
        model(oracle.clip(model.config))


def test_what_the_compiler_refuses_is_one_sentence_with_its_words() -> None:
    def breaks(model: Any, pixel_values: torch.Tensor, _: bool) -> torch.Tensor:
        torch._dynamo.graph_break()
        return pixel_values

    with pytest.raises(ExecutionUnavailable, match="cannot run this attention and precision 'compiled'") as caught:
        Execution("compiled", breaks)(None, torch.ones(1), False)
    assert caught.value.details and "\n" not in str(caught.value)


def test_a_copy_of_what_was_made_begins_anew() -> None:
    one = Execution("compiled", vivit.model.head_features)
    one._compiled = lambda *_: torch.zeros(())
    again = copy.deepcopy(one)
    assert (again.name, again.function, again._compiled, again._graphs) == (one.name, one.function, None, {})
    assert execution.MOST_GRAPHS < execution.MOST_KERNELS


def test_a_checkpoint_is_loaded_so(tmp_path: Path) -> None:
    made().save_pretrained(tmp_path)
    model = vivit.VivitForVideoClassification.from_pretrained(tmp_path, execution="compiled")
    assert model.execution == "compiled" and not model.executions, "nothing is compiled before it is wanted"
    with pytest.raises(ValueError, match="execution='fast' is unknown"):
        vivit.VivitForVideoClassification.from_pretrained(tmp_path / "nowhere", execution="fast")
    with pytest.raises(ExecutionUnavailable, match="CUDA graph"):
        vivit.VivitForVideoClassification.from_pretrained(tmp_path, execution="captured")
