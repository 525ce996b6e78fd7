"""Training each of the four models: gradients against the paper's formulas, layers computed twice, dropout, one graph."""

import pytest
import torch
from torch import Tensor, nn

from tests import factorized, oracle
from tests.factorized_models import FLOAT32, KINDS, ORDERED, config_of, logits_of, made, same, wanted_of
from tests.shorter import some
from vivit import VivitForVideoClassification
from vivit.checkpoint.layout import published_tensors


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize(("kind", "order"), ORDERED)
def test_gradients_of_every_parameter(kind: str, order: str, attention: str) -> None:
    model = made(kind, attention, attention_order=order).train()
    pixel_values, labels = oracle.clip(model.config), torch.tensor([1, 4])
    leaves = {name: tensor.double().requires_grad_() for name, tensor in published_tensors(model).items()}
    tensors = {name.removeprefix("vivit."): leaf for name, leaf in leaves.items()}
    exact = nn.functional.cross_entropy(factorized.answer(tensors, model.config, pixel_values).logits, labels)
    wanted = dict(zip(leaves, torch.autograd.grad(exact, [*leaves.values()]), strict=True))

    def gradients() -> dict[str, Tensor]:
        model.zero_grad()
        loss = model(pixel_values, labels=labels).loss
        torch.testing.assert_close(loss.double(), exact, **FLOAT32)
        loss.backward()
        return {name: tensor.clone() for name, tensor in published_tensors(model, oracle.gradient).items()}

    plain = gradients()
    assert plain.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(plain[name].double(), gradient, rtol=1e-4, atol=1e-5)  # float32 sums, there and back
        # A key's bias adds one number to all scores of a query, which leaves their softmax as it is: no gradient.
        assert plain[name].isfinite().all() and (plain[name].abs().max() > 1e-5) != name.endswith("key.bias"), name
    for every in (1, 2):
        model.gradient_checkpointing_enable(every_n_layers=every)
        assert model.is_gradient_checkpointing
        for name, gradient in gradients().items():
            torch.testing.assert_close(gradient, plain[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_computed_twice_where_that_is_asked_for(kind: str) -> None:
    model, ran = made(kind).train(), []
    for layer in model.vivit.encoder_layers():
        layer.intermediate.register_forward_hook(lambda module, *_: ran.append(module))
    assert len(model.vivit.encoder_layers()) == (5 if kind == "encoder" else 3)

    def times() -> list[int]:
        ran.clear()
        model(oracle.clip(model.config)).logits.sum().backward()
        return [ran.count(layer.intermediate) for layer in model.vivit.encoder_layers()]

    assert set(times()) == {1}
    model.gradient_checkpointing_enable()
    assert set(times()) == {2}
    model.gradient_checkpointing_enable(every_n_layers=2)
    assert times()[:3] == [2, 1, 2]
    model.gradient_checkpointing_disable()
    assert set(times()) == {1}


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("dropout", ["hidden_dropout_prob", "attention_probs_dropout_prob"])
@pytest.mark.parametrize("kind", KINDS)
def test_dropout_in_training_alone(kind: str, dropout: str, attention: str) -> None:
    model = made(kind, attention, **{dropout: 0.2})
    wanted = wanted_of(model, oracle.clip(model.config)).logits
    same(logits_of(model), wanted, torch.float32, **FLOAT32)
    model.train()
    ran: set[nn.Module] = set()
    dropouts = {module for module in model.modules() if isinstance(module, nn.Dropout)}
    assert len(dropouts) == 1 + 3 + (1 + 2 if kind == "encoder" else 0)  # of the embeddings, and one for each layer
    for module in dropouts:
        module.register_forward_hook(lambda module, *_: ran.add(module))
    first, second = logits_of(model), logits_of(model)
    assert ran == dropouts
    assert (first - second).abs().max() > 1e-4 and (first - wanted).abs().max() > 1e-4
    same(logits_of(model.eval()), wanted, torch.float32, **FLOAT32)


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_steps_of_training(kind: str) -> None:
    torch.manual_seed(0)
    model = VivitForVideoClassification(config_of(kind)).train()
    pixel_values, labels = oracle.clip(model.config, batch=4), torch.tensor([0, 1, 2, 3])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = model(pixel_values, labels=labels).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2, losses


@pytest.mark.parametrize("kind", KINDS)
def test_new_weights_are_as_everywhere(kind: str) -> None:
    torch.manual_seed(0)
    for name, tensor in published_tensors(VivitForVideoClassification(config_of(kind))).items():
        if "norm" in name:
            assert (tensor == (1 if name.endswith("weight") else 0)).all(), name
        elif name.endswith((".bias", "cls_token")):
            assert (tensor == 0).all(), name
        else:
            assert tensor.std() == pytest.approx(0.02, rel=0.25), name  # of 200 numbers or more


@pytest.mark.parametrize(("kind", "order"), some(ORDERED, ORDERED[0]))
def test_one_graph_without_breaks(kind: str, order: str) -> None:
    model = made(kind, "sdpa", attention_order=order, num_hidden_layers=2, num_temporal_layers=1)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(logits_of(compiled, oracle.clip(model.config)), logits_of(model), rtol=1e-6, atol=1e-6)
    model.train()
    for trained in (compiled, model):
        trained(oracle.clip(model.config), labels=torch.tensor([1, 4])).loss.backward()
        if trained is compiled:
            found = {name: p.grad.clone() for name, p in model.named_parameters()}
            model.zero_grad()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-5, atol=1e-6)
    torch.compiler.reset()


def test_execution_compiled() -> None:
    """In one case alone, for compiling takes its time: the factorised encoder has most parts."""
    model = made("encoder", "sdpa", num_hidden_layers=1, num_temporal_layers=1)
    wanted = wanted_of(model, oracle.clip(model.config)).logits
    model.set_execution("compiled")
    same(logits_of(model), wanted, torch.float32, **FLOAT32)
    with pytest.raises(ValueError, match="execution='plain'"):
        model(oracle.clip(model.config), output_hidden_states=True)
