"""Layers that are computed twice, gradient checkpointing: the gradients of those that are computed once."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from tests import oracle
from vivit import VivitForVideoClassification
from vivit.checkpoint.layout import published_name, published_tensors

pytestmark = pytest.mark.usefixtures("no_warning")
load = VivitForVideoClassification.from_pretrained


def gradients(model: Any, kwargs: dict[str, Any] | None = None) -> tuple[dict[str, Tensor], int]:
    """Every gradient of a step in training, and how many times layers were computed, all together."""
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    hooks = [layer.layernorm_before.register_forward_hook(count) for layer in model.base_model.layers]
    model.train().zero_grad()
    torch.manual_seed(0)
    model(oracle.clip(model.config), labels=torch.tensor([1, 5])).loss.backward()
    for hook in hooks:
        hook.remove()
    return {name: p.grad.clone() for name, p in model.named_parameters()}, calls


@pytest.mark.parametrize("kwargs", [None, {}, {"use_reentrant": False}, {"use_reentrant": True}], ids=str)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_layers_that_are_computed_twice_give_the_same_gradients(
    attention: str, kwargs: dict[str, Any] | None, classifier: Path
) -> None:
    options = {"hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.4}  # the same masks a second time
    ours = load(classifier, attn_implementation=attention, **options)
    assert not ours.is_gradient_checkpointing
    wanted, once = gradients(ours)
    ours.gradient_checkpointing_enable(*([] if kwargs is None else [kwargs]))
    assert ours.is_gradient_checkpointing and ours.vivit.is_gradient_checkpointing
    found, twice = gradients(ours)
    assert (once, twice) == (3, 6)
    for name, gradient in wanted.items():
        assert torch.equal(found[name], gradient), name
    ours.eval()
    calls: list[int] = []
    ours.vivit.layers[0].register_forward_hook(lambda *_: calls.append(1))
    ours(oracle.clip(ours.config), labels=torch.tensor([1, 5])).loss.backward()
    assert len(calls) == 1, "in evaluation mode nothing is"
    ours.gradient_checkpointing_disable()
    assert not ours.is_gradient_checkpointing and gradients(ours)[1] == 3


def test_gradients_with_recomputation_are_transformers(classifier: Path) -> None:
    theirs = transformers.VivitForVideoClassification.from_pretrained(classifier, attn_implementation="eager")
    ours = load(classifier, attn_implementation="eager")
    for model in (ours, theirs):
        model.train()
        model.activation_checkpointing_enable({"use_reentrant": False})
        assert model.is_activation_checkpointing
        model(oracle.clip(ours.config), labels=torch.tensor([1, 5])).loss.backward()
    mine = published_tensors(ours, of=oracle.gradient)
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(mine[published_name(name)], parameter.grad, **oracle.EXACT, msg=oracle.said_of(name))


@pytest.mark.parametrize("every", [1, 2, 3, 9])
def test_every_few_layers_are_computed_twice_by_either_name(every: int, classifier: Path) -> None:
    ours = load(classifier)
    wanted, once = gradients(ours)
    for enable in (ours.activation_checkpointing_enable, ours.gradient_checkpointing_enable):
        enable(every_n_layers=every)
        assert ours.is_activation_checkpointing and ours.is_gradient_checkpointing
        found, calls = gradients(ours)
        assert calls - once == len(range(0, 3, every))
        assert all(torch.equal(found[name], gradient) for name, gradient in wanted.items())
    ours.activation_checkpointing_disable()
    assert not ours.is_activation_checkpointing and gradients(ours)[1] == once
    for impossible in ({"every_n_layers": 0}, {"offload": True}):
        with pytest.raises(ValueError, match=next(iter(impossible))):
            ours.activation_checkpointing_enable(**impossible)
