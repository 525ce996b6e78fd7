"""The calls that models share, against transformers' of the same folder: from_pretrained's options, state dicts, training."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from torch.nn import functional as F

import vivit
from tests import oracle
from tests.vivit.checkpoint.folders import (
    HEAD,
    POOLER,
    POSITIONS,
    equal_tensors,
    logits_agree,
    memory_names,
    rewrite,
    tensors_of,
)
from vivit import VivitConfig, VivitForVideoClassification, VivitModel, pipeline
from vivit.checkpoint import open_checkpoint
from vivit.checkpoint.layout import published_tensors
from vivit.errors import UserError

pytestmark = pytest.mark.usefixtures("no_warning")
load = VivitForVideoClassification.from_pretrained


# A head that is not there, or of another size


def test_a_checkpoint_without_a_head_gets_a_new_one_and_says_so(headless: Path) -> None:
    with pytest.warns(UserWarning, match="'headless' has no classification head: .* random weights") as told:
        ours = load(headless, num_labels=7)
    assert [w.filename for w in told] == [__file__], "a warning points at the line that asked"
    equal_tensors(ours, tensors_of(headless), but=HEAD + POOLER)
    assert ours.classifier.weight.shape == (7, 35) and ours.classifier.weight.std() > 0
    assert not ours.classifier.bias.any() and not ours.training


def test_a_new_head_has_as_many_classes_as_the_config_says(headless: Path) -> None:
    three = {"id2label": {0: "a", 1: "b", 2: "c"}}
    cases: list[tuple[dict[str, Any], int]]
    cases = [({}, 7), ({"num_labels": 3}, 3), (three, 3), ({"ignore_mismatched_sizes": True}, 7)]
    for options, classes in cases:
        with pytest.warns(UserWarning, match="no classification head"):
            ours = load(headless, **options)
        assert ours.num_labels == ours.classifier.out_features == classes


def test_whoever_answers_with_a_model_still_refuses_one_without_a_head(headless: Path) -> None:
    for use in (
        lambda: open_checkpoint(headless).load(VivitForVideoClassification),
        lambda: pipeline("video-classification", headless),
    ):
        with pytest.raises(UserError, match="'headless' is a ViViT without a classification head"):
            use()


def test_half_a_head_is_no_head_that_is_missing(classifier: Path, tmp_path: Path) -> None:
    VivitConfig.from_pretrained(classifier).save_pretrained(tmp_path)
    rewrite(tmp_path, {n: t for n, t in tensors_of(classifier).items() if n != "classifier.bias"})
    with pytest.raises(UserError, match="1 missing"):
        load(tmp_path)
    with pytest.warns(UserWarning, match="a classification head that does not fit 7 classes"):
        load(tmp_path, ignore_mismatched_sizes=True)


def test_a_head_of_another_size_is_new_and_nothing_else_is(classifier: Path) -> None:
    with pytest.warns(UserWarning, match="a classification head that does not fit 3 classes") as told:
        ours = load(classifier, num_labels=3, ignore_mismatched_sizes=True)
    assert [w.filename for w in told] == [__file__]
    equal_tensors(ours, tensors_of(classifier), but=HEAD)
    assert ours.config.id2label == {k: f"LABEL_{k}" for k in range(3)} and ours.classifier.out_features == 3


# Another number of frames, or another size


def stored_at(classifier: Path, grid: tuple[int, int, int]) -> Tensor:
    """The position embeddings of the classifier at another grid than its (4, 3, 5), by PyTorch's own interpolation."""
    stored = tensors_of(classifier)[f"vivit.{POSITIONS}"]
    body = F.interpolate(stored[:, 1:].view(1, 4, 3, 5, 35).permute(0, 4, 1, 2, 3), size=grid, mode="trilinear")
    return torch.cat([stored[:, :1], body.flatten(2).transpose(1, 2)], dim=1)


SIZES: dict[str, tuple[dict[str, Any], tuple[int, int, int]]] = {
    "more frames": ({"num_frames": 12}, (6, 3, 5)),
    "fewer frames": ({"num_frames": 2}, (1, 3, 5)),
    "another image size": ({"image_size": (40, 12)}, (4, 5, 3)),
    "both": ({"num_frames": 6, "image_size": (16, 24)}, (3, 2, 6)),
    "as many tubelets in another grid": ({"num_frames": 6, "image_size": (32, 20)}, (3, 4, 5)),
}


@pytest.mark.parametrize("size", SIZES)
def test_positions_of_another_size_are_interpolated_and_told(size: str, classifier: Path) -> None:
    changes, grid = SIZES[size]
    words = rf"position embeddings of 'classifier', of \(4, 3, 5\) tubelets, were interpolated to \({grid[0]}, "
    with pytest.warns(UserWarning, match=words) as told:
        ours, info = load(classifier, ignore_mismatched_sizes=True, output_loading_info=True, **changes)
    assert len(told) == 1 and told[0].filename == __file__
    equal_tensors(ours, tensors_of(classifier), but=(POSITIONS,))
    wanted = stored_at(classifier, grid)
    # The same interpolation of the same numbers.
    torch.testing.assert_close(published_tensors(ours)[POSITIONS], wanted, rtol=0, atol=1e-7)
    assert {name for name, *_ in info["mismatched_keys"]} == {f"vivit.{POSITIONS}"}
    as_lists: dict[str, Any] = {k: list(v) if isinstance(v, tuple) else v for k, v in changes.items()}
    theirs = oracle.reference(**as_lists)
    theirs.load_state_dict(memory_names(tensors_of(classifier) | {f"vivit.{POSITIONS}": wanted}))
    logits_agree(ours, theirs)


@pytest.mark.parametrize("size", SIZES)
def test_positions_of_another_size_are_refused_without_the_callers_word(size: str, classifier: Path) -> None:
    with pytest.raises(UserError, match="1 of another shape") as caught:
        load(classifier, **SIZES[size][0])
    said = str(caught.value)
    assert POSITIONS in said and said.endswith("interpolate position embeddings.")
    assert "ignore_mismatched_sizes=True" in said.splitlines()[-1]


def test_positions_are_interpolated_in_float32_whatever_the_file_is_in(classifier: Path, tmp_path: Path) -> None:
    transformers.VivitForVideoClassification.from_pretrained(classifier).half().save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="interpolated"):
        ours = load(tmp_path, num_frames=12, ignore_mismatched_sizes=True)
    stored = tensors_of(tmp_path)[f"vivit.{POSITIONS}"]
    assert stored.dtype == torch.float16 and ours.dtype == torch.float32
    body = stored[:, 1:].float().view(1, 4, 3, 5, 35).permute(0, 4, 1, 2, 3)
    wanted = F.interpolate(body, size=(6, 3, 5), mode="trilinear").flatten(2).transpose(1, 2)
    mine = published_tensors(ours)[POSITIONS][:, 1:]
    # Of about 0.1, rounded once to the file's float16.
    torch.testing.assert_close(mine, wanted, rtol=2**-11, atol=1e-7)


def test_other_tubelets_are_no_other_size(classifier: Path) -> None:
    for ignore in (False, True):
        with pytest.raises(UserError, match="projection"):
            load(classifier, tubelet_size=(4, 8, 4), ignore_mismatched_sizes=ignore)


def test_a_config_given_needs_nothing_of_the_one_in_the_folder(classifier: Path, tmp_path: Path) -> None:
    rewrite(tmp_path, tensors_of(classifier))
    (tmp_path / "config.json").write_text('{"hidden_act": "an_activation_of_mine"}')
    with pytest.raises(UserError, match="an_activation_of_mine"):
        load(tmp_path)
    ours = load(tmp_path, config=VivitConfig.from_pretrained(classifier))
    equal_tensors(ours, tensors_of(classifier))


def test_a_config_by_its_folder(classifier: Path, tmp_path: Path) -> None:
    config = json.loads((classifier / "config.json").read_text()) | {"layer_norm_eps": 0.5}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert load(classifier, config=str(tmp_path)).config.layer_norm_eps == 0.5


def test_a_pooler_is_left_out_on_request(headless: Path) -> None:
    ours = VivitModel.from_pretrained(headless, add_pooling_layer=False)
    theirs = transformers.VivitModel.from_pretrained(headless, add_pooling_layer=False).eval()
    pixel_values = oracle.clip(ours.config)
    mine, wanted = ours(pixel_values), theirs(pixel_values)
    assert list(mine) == list(wanted.keys()) == ["last_hidden_state"]
    torch.testing.assert_close(mine.last_hidden_state, wanted.last_hidden_state, **oracle.EXACT)


# What did not fit, as transformers tells it

LOADS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "all fits": ("VivitForVideoClassification", "classifier", {}),
    "no head": ("VivitForVideoClassification", "headless", {}),
    "no pooler": ("VivitModel", "classifier", {}),
    "all of a bare model": ("VivitModel", "headless", {}),
    "another head": ("VivitForVideoClassification", "classifier", {"num_labels": 3, "ignore_mismatched_sizes": True}),
    "other positions": (
        "VivitForVideoClassification",
        "classifier",
        {"num_frames": 12, "ignore_mismatched_sizes": True},
    ),
    "other positions, bare": ("VivitModel", "headless", {"num_frames": 12, "ignore_mismatched_sizes": True}),
}


@pytest.mark.parametrize("case", LOADS)
def test_the_loading_info_is_transformers(case: str, request: pytest.FixtureRequest) -> None:
    kind, folder, options = LOADS[case]
    path = request.getfixturevalue(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, info = getattr(vivit, kind).from_pretrained(path, output_loading_info=True, **options)
    wanted = getattr(transformers, kind).from_pretrained(path, output_loading_info=True, **options)[1]
    assert info == {
        k: {(n, tuple(a), tuple(b)) for n, a, b in v} if k == "mismatched_keys" else v for k, v in wanted.items()
    }
    assert isinstance(model, getattr(vivit, kind)) and not model.training


# dtype

AUTO: dict[str, tuple[dict[str, Any], torch.dtype, str]] = {
    "what the config says": ({"dtype": "float16"}, torch.float16, "float16"),
    "as it was spelt": ({"torch_dtype": "bfloat16"}, torch.bfloat16, "bfloat16"),
    "the config before the tensors": ({"dtype": "bfloat16"}, torch.float16, "bfloat16"),
    "the tensors": ({}, torch.float16, "float16"),
    "null": ({"dtype": None}, torch.bfloat16, "bfloat16"),
    "float32": ({}, torch.float32, "float32"),
}


@pytest.mark.parametrize("case", AUTO)
@pytest.mark.parametrize("spelling", ["dtype", "torch_dtype"])
def test_the_dtype_that_a_checkpoint_is_in(case: str, spelling: str, classifier: Path, tmp_path: Path) -> None:
    said, kept, wanted = AUTO[case]
    values = json.loads((classifier / "config.json").read_text())
    values = {k: v for k, v in values.items() if k not in ("dtype", "torch_dtype")} | said
    (tmp_path / "config.json").write_text(json.dumps(values))
    rewrite(tmp_path, {name: tensor.to(kept) for name, tensor in tensors_of(classifier).items()})
    ours = load(tmp_path, **{spelling: "auto"})
    assert {str(p.dtype) for p in ours.parameters()} == {f"torch.{wanted}"}
    assert ours.dtype == transformers.VivitForVideoClassification.from_pretrained(tmp_path, dtype="auto").dtype
    assert load(tmp_path).dtype == torch.float32
    equal_tensors(ours, {name: t.to(ours.dtype) for name, t in tensors_of(tmp_path).items()})


def test_the_dtype_of_a_variant_is_its_own(classifier: Path, tmp_path: Path) -> None:
    theirs = transformers.VivitForVideoClassification.from_pretrained(classifier)
    theirs.save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in values.items() if k != "dtype"}))
    halved = {n: t.half() for n, t in tensors_of(tmp_path).items()}
    torch.save(halved, tmp_path / "pytorch_model.fp16.bin")
    assert load(tmp_path, dtype="auto").dtype == torch.float32
    assert load(tmp_path, dtype="auto", variant="fp16").dtype == torch.float16


def test_a_dtype_that_is_not_computed_in_is_named(classifier: Path, tmp_path: Path) -> None:
    values = json.loads((classifier / "config.json").read_text()) | {"dtype": "float64"}
    (tmp_path / "config.json").write_text(json.dumps(values))
    rewrite(tmp_path, tensors_of(classifier))
    with pytest.raises(ValueError, match="'float64' is unknown"):
        load(tmp_path, dtype="auto")


@pytest.mark.parametrize("other", ["float32", torch.float16])
def test_auto_beside_another_dtype_contradicts_it(other: Any, classifier: Path) -> None:
    for options in ({"dtype": "auto", "torch_dtype": other}, {"dtype": other, "torch_dtype": "auto"}):
        with pytest.raises(ValueError, match="contradict"):
            load(classifier, **options)
    assert load(classifier, dtype="auto", torch_dtype="auto").dtype == torch.float32


# Where it goes, and which files


@pytest.mark.parametrize(
    "place", ["auto", "cpu", -1, torch.device("cpu"), {"": "cpu"}, {"vivit": "cpu", "classifier": -1}]
)
def test_a_device_map_of_one_place(place: Any, classifier: Path) -> None:
    ours = load(classifier, device_map=place, low_cpu_mem_usage=False)
    assert {p.device.type for p in ours.parameters()} == {"cpu"}
    equal_tensors(ours, tensors_of(classifier))


def test_a_device_that_is_not_there_is_refused_before_anything_is_read() -> None:
    for options in (
        {"device_map": 0},
        {"device": "cuda"},
        {"device_map": {"": "cpu", "vivit": "meta"}},
        {"device": "gpu"},
    ):
        with pytest.raises(ValueError, match=r"^device"):
            load("no/such-repository", **options)


@pytest.mark.parametrize(
    ("option", "near"),
    [
        ("num_label", "num_labels"),
        ("num_frame", "num_frames"),
        ("cachedir", "cache_dir"),
        ("torchdtype", "torch_dtype"),
        ("attn_implementations", "attn_implementation"),
        ("use_safetensor", "use_safetensors"),
        ("extra", ""),
        ("options", ""),
        ("local_dir", ""),
    ],
)
def test_an_unknown_option_is_named_before_anything_is_read(option: str, near: str) -> None:
    for kind in (VivitForVideoClassification, VivitModel, vivit.AutoModelForVideoClassification):
        with pytest.raises(ValueError) as caught:
            kind.from_pretrained("no/such-repository", **{option: 1})
        said = str(caught.value)
        assert said.startswith(f"there is no option '{option}', the nearest being '{near}")


@pytest.mark.parametrize("options", [{"attn_implementation": "flash"}, {"dtype": "int8"}], ids=str)
def test_what_is_known_to_be_impossible_is_told_before_anything_is_read(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is unknown; known are"):
        load("no/such-repository", **options)


@pytest.mark.parametrize("shards", [{}, {"max_shard_size": "20KB"}], ids=["whole", "sharded"])
def test_a_variant_of_a_folder(shards: dict[str, str], classifier: Path, tmp_path: Path) -> None:
    other = oracle.reference(seed=1)
    oracle.reference().save_pretrained(tmp_path)
    other.save_pretrained(tmp_path, variant="fp16", **shards)
    assert len([*tmp_path.glob("model.fp16*.safetensors")]) == (1 if not shards else len([*tmp_path.glob("*-of-*")]))
    theirs = transformers.VivitForVideoClassification.from_pretrained(tmp_path, variant="fp16")
    equal_tensors(load(tmp_path, variant="fp16"), theirs.state_dict())
    equal_tensors(load(tmp_path, variant="fp16"), other.state_dict())
    equal_tensors(load(tmp_path), tensors_of(classifier))
    with pytest.raises(UserError, match=r"no model\.bf16\.safetensors"):
        load(tmp_path, variant="bf16")


def test_one_format_alone(classifier: Path, tmp_path: Path) -> None:
    VivitConfig.from_pretrained(classifier).save_pretrained(tmp_path)
    other = {name: tensor + 1 for name, tensor in tensors_of(classifier).items()}
    torch.save(other, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"no model\.safetensors\."):
        load(tmp_path, use_safetensors=True)
    equal_tensors(load(tmp_path), other)
    rewrite(tmp_path, tensors_of(classifier))
    equal_tensors(load(tmp_path, use_safetensors=False), other)
    equal_tensors(load(tmp_path, use_safetensors=True), tensors_of(classifier))
    equal_tensors(load(tmp_path), tensors_of(classifier))
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(UserError, match=r"no pytorch_model\.bin\."):
        load(tmp_path, use_safetensors=False)


def test_a_subfolder_of_a_folder(classifier: Path, headless: Path) -> None:
    equal_tensors(load(classifier.parent, subfolder="classifier"), tensors_of(classifier))
    opened = open_checkpoint(classifier.parent, subfolder="classifier")
    assert opened.name == str(classifier) and opened.processor.output_size == (24, 20)
    equal_tensors(opened.load(VivitForVideoClassification), tensors_of(classifier))
    with pytest.raises(ValueError, match="subfolder must"):
        load(classifier, subfolder=f"../../{headless.parent.name}/headless")


# What tools ask a model


def test_what_tools_ask_is_transformers(classifier: Path, headless: Path) -> None:
    for kind, folder in (("VivitForVideoClassification", classifier), ("VivitModel", headless)):
        ours = getattr(vivit, kind).from_pretrained(folder)
        theirs = getattr(transformers, kind).from_pretrained(folder)
        assert ours.num_labels == theirs.config.num_labels == 7
        for name in ("base_model_prefix", "main_input_name", "supports_gradient_checkpointing", "dtype"):
            assert getattr(ours, name) == getattr(theirs, name), name
        assert ours.device == theirs.device and ours.config_class is VivitConfig
        assert ours.num_parameters() == theirs.num_parameters() > 30_000
        for model in (ours, theirs):
            model.get_input_embeddings().requires_grad_(False)
        assert ours.num_parameters(only_trainable=True) == theirs.num_parameters(only_trainable=True)
        assert ours.num_parameters() - ours.num_parameters(only_trainable=True) == 35 * (3 * 2 * 8 * 4 + 1)
        [mine], [wanted] = ([p for p in m.get_input_embeddings().parameters() if p.ndim > 1] for m in (ours, theirs))
        assert torch.equal(mine, wanted.flatten(1))


@pytest.mark.parametrize(
    "options",
    [
        {"trust_remote_code": True},
        {"weights_only": True, "use_fast": False},
        {"force_download": False, "proxies": None},
    ],
)
def test_options_without_effect_are_taken(options: dict[str, Any], classifier: Path) -> None:
    assert load(classifier, attn_implementation=None, **options).attn_implementation == "sdpa"
    assert VivitConfig.from_pretrained(classifier, **options).hidden_size == 35
    assert vivit.VivitImageProcessor.from_pretrained(classifier, **options).size == {"shortest_edge": 28}
    with pytest.raises(ValueError, match="no option 'force_download'"):
        load(classifier, force_download=True)


def test_a_config_elsewhere_is_looked_for_as_the_caller_said(classifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of a network with local_files_only, and what is not here is told by its name."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="'someone/config'"):
        load(classifier, config="someone/config", local_files_only=True)


def test_a_dtype_of_another_kind_is_told_as_unknown(classifier: Path) -> None:
    with pytest.raises(ValueError, match="is unknown; known are float32"):
        load(classifier, dtype={"": "float16"})
