"""LayerNorms that are made ahead, with the sum before them: by PyTorch's kernels here, by one of ours where there is a GPU."""

from typing import Any

import pytest
import torch
from torch import Tensor

import vivit
from tests import oracle
from vivit.fused import hooked, one_kernel_pays
from vivit.model import VivitLayer


@pytest.fixture
def model() -> Any:
    model = vivit.VivitForVideoClassification(vivit.VivitConfig(**oracle.TINY | {"num_hidden_layers": 4}))
    oracle.randomise(model)
    return model.eval()


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call it to have them made ahead, as on a GPU."""
    return lambda: monkeypatch.setattr("vivit.model.one_kernel_pays", lambda x: not torch.is_grad_enabled())


def times_made(model: Any) -> list[int]:
    """How often the LayerNorm at the beginning of each layer is called by the layer before it, or by itself."""
    counts = [0] * len(model.vivit.layers)
    for k, layer in enumerate(model.vivit.layers):
        norm, usual = layer.layernorm_before, layer.layernorm_before.forward

        def counted(x: Tensor, k: int = k, usual: Any = usual) -> Tensor:
            counts[k] += 1
            normed: Tensor = usual(x)
            return normed

        norm.forward = counted
    return counts


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"output_hidden_states": True}], ids=str)
def test_answers_are_the_same_and_every_norm_is_made_once(model: Any, ahead: Any, options: dict[str, bool]) -> None:
    pixel_values = oracle.clip(model.config, batch=2)
    wanted = model(pixel_values, **options)
    counts = times_made(model)
    ahead()
    found = model(pixel_values, **options)
    assert counts == [1, 1, 1, 1]
    assert torch.equal(found.logits, wanted.logits)
    for mine, other in zip(found.hidden_states or (), wanted.hidden_states or (), strict=True):
        assert torch.equal(mine, other)


def zeroed(module: Any, inputs: Any, output: Any) -> Any:
    return torch.zeros_like(output[0]), output[1]


@torch.no_grad()
@pytest.mark.parametrize("which", ["output", "input", "in place"])
def test_whoever_changes_what_a_layer_gets_or_gives_changes_all_of_it(model: Any, ahead: Any, which: str) -> None:
    pixel_values, layers = oracle.clip(model.config), model.vivit.layers
    usual = model(pixel_values).logits
    if which == "output":
        layers[0].register_forward_hook(zeroed)
    elif which == "input":
        layers[1].register_forward_pre_hook(lambda module, inputs: (torch.zeros_like(inputs[0]), *inputs[1:]))
    else:
        layers[0].register_forward_hook(lambda module, inputs, output: (output[0].zero_(), None)[1])
    wanted = model(pixel_values).logits
    ahead()
    assert torch.equal(model(pixel_values).logits, wanted) and not torch.equal(wanted, usual)


class Ignoring(VivitLayer):
    """A layer that somebody has written: it would leave what was made ahead where it is, and makes its own LayerNorm."""

    def forward(self, x: Tensor, *rest: Any) -> Any:
        return super().forward(2 * x, *rest[:2])


@torch.no_grad()
def test_a_layer_of_another_class_is_given_nothing_that_was_made_ahead(model: Any, ahead: Any) -> None:
    pixel_values = oracle.clip(model.config)
    former = model.vivit.layers[2]
    model.vivit.layers[2] = Ignoring(model.config).eval()
    model.vivit.layers[2].load_state_dict(former.state_dict())
    wanted = model(pixel_values).logits
    ahead()
    assert torch.equal(model(pixel_values).logits, wanted)


class Strange(torch.nn.Module):
    """A layer that takes what layers of transformers take, and no more."""

    def forward(self, x: Tensor, output_attentions: bool = False) -> tuple[Tensor, None]:
        return 1.5 * x, None


@torch.no_grad()
@pytest.mark.parametrize("place", [0, 3])
def test_a_layer_that_knows_nothing_of_this_fits(model: Any, ahead: Any, place: int) -> None:
    model.vivit.layers[place] = Strange()
    pixel_values = oracle.clip(model.config)
    wanted = model(pixel_values, output_hidden_states=True).logits  # which wants every layer whole
    found = [model(pixel_values).logits]
    ahead()
    found.append(model(pixel_values).logits)
    for logits in found:  # the last layer of [CLS] alone sums in another order
        torch.testing.assert_close(logits, wanted, rtol=1e-5, atol=1e-5)


def test_gradients_want_each_layer_whole(model: Any, ahead: Any) -> None:
    pixel_values = oracle.clip(model.config)
    model(pixel_values).logits.sum().backward()
    wanted = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    ahead()
    model(pixel_values).logits.sum().backward()
    assert all(torch.equal(p.grad, wanted[name]) for name, p in model.named_parameters())


def test_it_is_a_gpus(model: Any) -> None:
    with torch.no_grad():
        assert not one_kernel_pays(torch.randn(2**12, 2**12))


def test_a_hook_of_every_kind_is_seen() -> None:
    norm: Any = torch.nn.LayerNorm(3)
    assert not hooked(norm)
    for register in (norm.register_forward_hook, norm.register_forward_pre_hook):
        with register(lambda *_: None):
            assert hooked(norm)
    with torch.nn.modules.module.register_module_forward_hook(lambda *_: None):
        assert hooked(norm)
    norm.forward = lambda x: x
    assert hooked(norm)
