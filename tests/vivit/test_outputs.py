"""Results behave as transformers' do: as a dict, as a tuple and as objects, and tools of PyTorch take them apart."""

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.parallel._functions import Gather
from torch.nn.parallel.scatter_gather import gather
from torch.utils import _pytree as pytree

import vivit
from tests import oracle
from tests.shorter import some
from vivit.outputs import ModelOutput, VideoClassifierOutput, VivitOutput

KINDS = ["VivitForVideoClassification", "VivitModel"]
ASKED: dict[str, dict[str, Any]] = {
    "plain": {},
    "everything": {"output_hidden_states": True, "output_attentions": True},
    "hidden states": {"output_hidden_states": True},
    "labels": {"labels": torch.tensor([3, 0])},
}
CALLS = [(kind, asked) for kind in KINDS for asked in ASKED if kind == KINDS[0] or asked != "labels"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Any]]:
    found = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        theirs = oracle.save(folder, kind)
        found[kind] = getattr(vivit, kind).from_pretrained(folder, attn_implementation="eager"), theirs
    return found


@pytest.fixture(params=CALLS, ids=lambda call: " ".join(call))
def outputs(request: pytest.FixtureRequest, models: dict[str, tuple[Any, Any]]) -> tuple[Any, Any]:
    kind, asked = request.param
    ours, theirs = models[kind]
    pixel_values = oracle.clip(ours.config)
    with torch.no_grad():
        return ours(pixel_values, **ASKED[asked]), theirs(pixel_values, **ASKED[asked])


def same(ours: Any, theirs: Any) -> bool:
    """Whether both are built alike, of tensors that agree as closely as float32 in another order can."""
    mine, my_tree = pytree.tree_flatten(ours)
    wanted, tree = pytree.tree_flatten(theirs)
    close = all(torch.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in zip(mine, wanted, strict=True))
    return close and my_tree == tree


def test_the_same_fields_in_the_same_order(outputs: tuple[Any, Any]) -> None:
    ours, theirs = outputs
    assert list(ours) == list(ours.keys()) == list(theirs.keys())
    assert len(ours) == len(theirs)
    assert same(dict(ours), dict(theirs))
    assert same(ours.to_tuple(), theirs.to_tuple())
    assert [name for name, _ in ours.items()] == [name for name, _ in theirs.items()]


def test_numbers_slices_and_names_index(outputs: tuple[Any, Any]) -> None:
    ours, theirs = outputs
    for key in (0, -1, slice(None), slice(1), slice(1, None), slice(None, None, -1), *theirs.keys()):
        assert same(ours[key], theirs[key]), key
    for name in theirs:
        assert ours[name] is getattr(ours, name)
    for out in (len(ours), "last", "loss" if "loss" not in theirs else "pooler_output"):
        with pytest.raises((IndexError, KeyError)) as theirs_raised:
            theirs[out]
        with pytest.raises(theirs_raised.type):
            ours[out]


def test_every_field_is_an_attribute(outputs: tuple[Any, Any]) -> None:
    ours, theirs = outputs
    names = {"loss", "logits", "last_hidden_state", "pooler_output", "hidden_states", "attentions"}
    assert {name for name in names if hasattr(ours, name)} == {name for name in names if hasattr(theirs, name)}
    for name in names:
        assert (getattr(ours, name, None) is None) == (getattr(theirs, name, None) is None), name


def test_items_are_set_by_name_and_as_attributes_and_never_taken_away(outputs: tuple[Any, Any]) -> None:
    for output in (copy.copy(outputs[0]), copy.copy(outputs[1])):
        first = next(iter(output))
        output[first] = torch.ones(1)
        assert getattr(output, first) is output[first] is output[0]
        setattr(output, first, torch.zeros(1))
        assert output[first] is output[0] and output[0] == 0
        refused: list[tuple[str, tuple[Any, ...]]] = [
            ("pop", (0,)),
            ("update", ({first: 1},)),
            ("setdefault", (first, 1)),
            ("__delitem__", (first,)),
        ]
        for method, arguments in refused:
            with pytest.raises(Exception):  # noqa: B017 — theirs has no class for it
                getattr(output, method)(*arguments)
        assert len(output) == len(type(output)(**output))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("asked", ["plain", "everything"])
def test_a_tuple_where_no_dict_is_wanted(models: dict[str, tuple[Any, Any]], kind: str, asked: str) -> None:
    ours, theirs = models[kind]
    pixel_values = oracle.clip(ours.config)
    found, wanted = (model(pixel_values, return_dict=False, **ASKED[asked]) for model in (ours, theirs))
    assert type(found) is type(wanted) is tuple
    assert same(found, wanted)


@pytest.mark.parametrize("name", ["return_dict", "output_hidden_states", "output_attentions"])
def test_the_config_decides_where_the_call_says_nothing(models: dict[str, tuple[Any, Any]], name: str) -> None:
    config = oracle.reference().config
    value = name != "return_dict"
    setattr(config, name, value)
    ours = vivit.VivitForVideoClassification(vivit.VivitConfig.from_dict(config.to_dict()), attn_implementation="eager")
    pixel_values = oracle.clip(ours.config)
    assert isinstance(ours(pixel_values), tuple) == (name == "return_dict")
    assert isinstance(ours(pixel_values, **{name: not value}), tuple) is False
    plain = ours(pixel_values, return_dict=True)
    assert (plain.hidden_states is None) == (name != "output_hidden_states")
    assert (plain.attentions is None) == (name != "output_attentions")
    setattr(ours.config, name, not value)  # a model's own may be set
    assert isinstance(ours(pixel_values), dict)


def test_what_several_gpus_return_is_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    """By PyTorch's own code for it; what is joined on a GPU there is joined here."""
    monkeypatch.setattr(Gather, "apply", staticmethod(lambda device, dim, *tensors: torch.cat(tensors, dim)))
    parts = [VideoClassifierOutput(logits=torch.full((2, 3), float(k))) for k in range(2)]
    whole = gather(parts, torch.device("cpu"))
    assert type(whole) is VideoClassifierOutput and list(whole) == ["logits"]
    assert torch.equal(whole.logits, torch.cat([part.logits for part in parts]))


def test_what_is_noted_on_a_result_is_no_item(outputs: tuple[Any, Any]) -> None:
    for output in map(copy.copy, outputs):
        before = list(output)
        output.note = "of its user"
        assert list(output) == before and output.note == "of its user"
        assert list(copy.copy(output)) == list(pytree.tree_map(lambda tensor: tensor, output)) == before


def test_copies_are_the_same(outputs: tuple[Any, Any]) -> None:
    output = outputs[0]
    file = io.BytesIO()
    torch.save(output, file)
    file.seek(0)
    copies = [
        copy.copy(output),
        copy.deepcopy(output),
        pickle.loads(pickle.dumps(output)),
        torch.load(file, weights_only=False),
    ]
    for one in copies:
        assert type(one) is type(output)
        assert list(one) == list(output)
        assert same(one.to_tuple(), output.to_tuple())
        assert all(getattr(one, name) is one[name] for name in one)


def test_pytree_takes_them_apart_and_puts_them_together(outputs: tuple[Any, Any]) -> None:
    ours, theirs = outputs
    leaves, tree = pytree.tree_flatten(ours)
    assert [leaf.shape for leaf in leaves] == [leaf.shape for leaf in pytree.tree_leaves(theirs)]
    again = pytree.tree_unflatten(leaves, tree)
    assert type(again) is type(ours) and list(again) == list(ours)
    doubled = pytree.tree_map(lambda tensor: 2 * tensor, ours)
    assert type(doubled) is type(ours) and torch.equal(doubled[0], 2 * ours[0])
    paths = [pytree.keystr(path) for path, _ in pytree.tree_leaves_with_path(ours)]
    assert paths[0] == f"['{next(iter(ours))}']"


@pytest.mark.parametrize("of", [dict, lambda items: iter(items.items())])
def test_one_can_be_made_of_a_dict_or_of_pairs_as_those_that_gather_them_do(
    of: Callable[[dict[str, Any]], Any],
) -> None:
    made = VideoClassifierOutput(of({"logits": torch.ones(2), "attentions": (torch.ones(1),)}))
    assert list(made) == ["logits", "attentions"] and made.loss is None
    assert torch.equal(made.logits, torch.ones(2))
    assert list(VivitOutput()) == [] and issubclass(VivitOutput, ModelOutput)


@pytest.mark.parametrize("attention", some(["eager", "sdpa"], "sdpa"))
def test_export_gives_the_same_kind_of_result(tmp_path: Path, attention: str) -> None:
    oracle.save(tmp_path)
    model = vivit.VivitForVideoClassification.from_pretrained(tmp_path, attn_implementation=attention)
    two, five = oracle.clip(model.config), oracle.clip(model.config, batch=5, seed=1)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (two,), dynamic_shapes={"pixel_values": {0: batch}})
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    again = torch.export.load(file).module()
    for pixel_values in (two, five):  # of another number of clips than it was exported with
        found = again(pixel_values)
        assert type(found) is VideoClassifierOutput and list(found) == ["logits"]
        torch.testing.assert_close(found.logits, model(pixel_values).logits, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("options", [{"strict": False}, {"return_dict": False}])
def test_a_trace_gives_the_same_logits(tmp_path: Path, attention: str, options: dict[str, bool]) -> None:
    """As of transformers', results that are dicts need strict=False, or a tuple in their place."""
    oracle.save(tmp_path)
    changes = {} if "strict" in options else options
    model = vivit.VivitForVideoClassification.from_pretrained(tmp_path, attn_implementation=attention, **changes)
    pixel_values = oracle.clip(model.config)
    traced = torch.jit.trace(model, (pixel_values,), strict=options.get("strict", True))
    other = oracle.clip(model.config, seed=1)
    found = traced(other)
    logits: Tensor = found["logits"] if isinstance(found, dict) else found[0]
    torch.testing.assert_close(logits, model(other)[0], rtol=1e-5, atol=1e-5)
