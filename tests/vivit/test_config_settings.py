"""Configs that are set, copied and changed, and what is refused for those of models."""

import copy
import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import transformers

from tests.vivit.config_files import VERSION_4, fields_of, write
from vivit import VivitConfig

# A config that is not yet a model's can be set, and is checked when it is set


SETTINGS: list[dict[str, Any]] = [
    {"num_labels": 3},
    {"num_labels": 1},
    {"id2label": {0: "yes", 1: "no", 2: "perhaps"}},
    {"label2id": {"yes": 0, "no": 1}},
    {"num_frames": 8},
    {"image_size": 64},
    {"hidden_dropout_prob": 0.25},
    {"hidden_act": "relu"},
    {"problem_type": "regression"},
    {"output_attentions": True},
    {"return_dict": False},
]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_what_is_set_is_transformers(setting: dict[str, Any]) -> None:
    [(name, value)] = setting.items()
    ours, theirs = VivitConfig(), transformers.VivitConfig()
    for config in (ours, theirs):
        setattr(config, name, value)
    # Where `id2label` is set, transformers leaves `label2id` as it was; ours follows.
    following = {"num_labels", "label2id"} if name == "id2label" else set()
    for field in fields_of(ours).keys() - following:
        wanted = getattr(theirs, field)
        assert getattr(ours, field) == (tuple(wanted) if isinstance(wanted, list) else wanted), field
    assert ours == VivitConfig().changed(**setting)
    again = transformers.VivitConfig.from_dict(json.loads(ours.to_json_string()))
    assert getattr(again, name) == value and again.num_labels == ours.num_labels


def test_labels_follow_one_another() -> None:
    config = VivitConfig(id2label={0: "a", 1: "b"})
    config.num_labels = 2
    assert config.id2label == {0: "a", 1: "b"}, "as many names stay"
    config.num_labels = 3
    assert config.id2label == {k: f"LABEL_{k}" for k in range(3)} and config.label2id["LABEL_2"] == 2
    config.id2label = cast(dict[int, str], {"0": "x"})  # as JSON has it
    assert config.num_labels == 1 and config.id2label == {0: "x"} and config.label2id == {"x": 0}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_size", 3),
        ("num_frames", 31),
        ("num_labels", -1),
        ("id2label", {0: "a", 2: "b"}),
        ("id2label", ["a"]),
        ("hidden_act", "mish"),
        ("problem_type", "clustering"),
        ("output_attentions", "yes"),
        ("return_dict", None),
    ],
)
def test_an_impossible_setting_is_named_and_changes_nothing(name: str, value: Any) -> None:
    config = VivitConfig()
    with pytest.raises(ValueError) as caught:
        setattr(config, name, value)
    assert name in str(caught.value) and config == VivitConfig()


@pytest.mark.parametrize(("name", "near"), [("num_label", "num_labels"), ("hidden_sizes", "hidden_size")])
def test_an_unknown_field_is_named(name: str, near: str, tmp_path: Path) -> None:
    config = VivitConfig()
    with pytest.raises(AttributeError, match=f"no field '{name}'"):
        getattr(config, name)
    VivitConfig().save_pretrained(tmp_path)
    uses: list[Callable[[], VivitConfig]] = [
        lambda: config.changed(**{name: 3}),
        lambda: VivitConfig.from_dict({}, **{name: 3}),
        lambda: VivitConfig.from_pretrained(tmp_path, **{name: 3}),
        lambda: VivitConfig.from_pretrained("no/such-repository", **{name: 3}),
    ]
    for use in uses:
        with pytest.raises(ValueError, match=f"there is no option '{name}', the nearest being '{near}'"):
            use()


def test_a_changed_config_leaves_the_first_alone() -> None:
    first = VivitConfig()
    second = first.changed(hidden_size=30, num_attention_heads=5, num_labels=3)
    assert (second.hidden_size, second.head_size, second.num_labels) == (30, 6, 3) and first == VivitConfig()
    with pytest.raises(ValueError, match="num_attention_heads=12 does not divide hidden_size=30"):
        first.changed(hidden_size=30)


def test_changes_of_a_dict_are_those_of_a_file(tmp_path: Path) -> None:
    changed = VivitConfig.from_dict(VERSION_4, num_labels=5)
    assert changed.id2label == {k: f"LABEL_{k}" for k in range(5)}
    assert changed == VivitConfig.from_pretrained(
        write(tmp_path, VERSION_4), num_labels=5, revision="main", token=False
    )
    assert transformers.VivitConfig.from_dict(copy.deepcopy(VERSION_4), num_labels=5).num_labels == 5


def test_json_goes_round_and_is_read_by_transformers(tmp_path: Path) -> None:
    config = VivitConfig(
        image_size=(32, 48),
        num_frames=4,
        id2label={0: "é", 1: "y"},
        problem_type="regression",
        output_attentions=True,
        output_hidden_states=True,
        return_dict=False,
    )
    assert (
        VivitConfig.from_dict(config.to_dict()) == config == VivitConfig.from_dict(json.loads(config.to_json_string()))
    )
    config.save_pretrained(tmp_path)
    assert (tmp_path / "config.json").read_text(encoding="utf-8") == config.to_json_string()
    theirs = transformers.VivitConfig.from_pretrained(tmp_path)
    for name, value in fields_of(config).items():
        wanted = getattr(theirs, name)
        assert value == (tuple(wanted) if isinstance(wanted, list) else wanted), name
    theirs.save_pretrained(tmp_path)
    assert fields_of(VivitConfig.from_pretrained(tmp_path)) == fields_of(config)


def test_the_keys_that_are_written_are_transformers() -> None:
    ours, theirs = VivitConfig().to_dict(), transformers.VivitConfig().to_dict()
    for name, value in ours.items():
        assert value == theirs[name], name
    assert [*ours["id2label"]] == [0, 1], "JSON makes text of them"


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_a_copy_is_equal_and_apart(how: Any) -> None:
    config = VivitConfig.from_dict(VERSION_4)
    copied = how(config)
    assert copied == config
    copied.num_labels = 5
    copied.num_frames = 16
    assert config == VivitConfig.from_dict(VERSION_4) and config.id2label[0] == "abseiling"


def test_other_keys_of_a_file_can_be_read_and_never_run() -> None:
    hostile = {"my_own_key": 3, "__deepcopy__": 1, "__getstate__": 1, "__reduce_ex__": 1, "_made": False, "changed": 1}
    config = VivitConfig.from_dict(hostile)
    config.my_own_key = 3
    config.use_cache = False  # as transformers' Trainer does
    assert config.to_dict()["use_cache"] is False
    assert config.my_own_key == 3 and copy.deepcopy(config) == config == pickle.loads(pickle.dumps(config))
    assert callable(config.changed) and config.to_dict()["__deepcopy__"] == 1
    with pytest.raises(ValueError):
        config.num_labels = -1


# What is no field can be set, and is said to change nothing


@pytest.fixture(params=["free", "a model's"])
def config(request: pytest.FixtureRequest) -> VivitConfig:
    return VivitConfig() if request.param == "free" else VivitConfig().settled()


@pytest.mark.parametrize(("name", "near"), [("num_label", "num_labels"), ("video_sizes", "hidden_size")])
def test_what_is_no_field_is_kept_with_a_warning(config: VivitConfig, name: str, near: str, tmp_path: Path) -> None:
    theirs, other = transformers.VivitConfig(), config.changed()
    with pytest.warns(UserWarning, match=f"no field '{name}', the nearest being '{near}'") as told:
        setattr(config, name, [3])
    assert [w.filename for w in told] == [__file__]
    setattr(theirs, name, [3])
    assert getattr(config, name) == getattr(theirs, name) == [3]
    assert not hasattr(other, name) and other == VivitConfig(), "no other config shares it"
    for kept in (config, theirs):
        kept.save_pretrained(tmp_path)
        assert getattr(VivitConfig.from_pretrained(tmp_path), name) == [3]
        assert getattr(transformers.VivitConfig.from_pretrained(tmp_path), name) == [3]


def test_what_is_known_not_to_be_a_field_needs_no_warning(config: VivitConfig) -> None:
    config.extra = {"video_size": [32, 224, 224]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config.video_size = [8, 64, 64]
        config.use_cache = False
        config._mine = 1
    assert config.extra == {"video_size": [8, 64, 64], "use_cache": False, "_mine": 1}


@pytest.mark.parametrize("name", ["grid_size", "use_return_dict", "changed", "__class__"])
def test_a_property_or_a_method_cannot_be_set(name: str, config: VivitConfig) -> None:
    with pytest.raises(AttributeError, match=f"'{name}' of a VivitConfig is no field"):
        setattr(config, name, 3)
    assert config == VivitConfig()


@pytest.mark.filterwarnings("ignore:a VivitConfig has no field")
def test_a_dtype_is_kept_as_files_spell_it() -> None:
    ours, theirs = VivitConfig(), transformers.VivitConfig()
    for config in (ours, theirs):
        config.dtype = torch.float16
    assert ours.dtype == ours.to_dict()["dtype"] == theirs.to_dict()["dtype"] == "float16"


@pytest.mark.parametrize("value", [{1, 2}, object(), {"a": 1, 2: "b"}], ids=["set", "object", "keys of two kinds"])
@pytest.mark.filterwarnings("ignore:a VivitConfig has no field")
def test_what_json_has_no_word_for_is_named_before_a_file_is_touched(
    value: Any, config: VivitConfig, tmp_path: Path
) -> None:
    VivitConfig().save_pretrained(tmp_path)
    before = (tmp_path / "config.json").read_text()
    config.my_own_key = value
    for use in (config.save_pretrained, lambda folder: config.to_json_file(folder / "config.json")):
        with pytest.raises(ValueError, match=r"my_own_key=.* cannot be written as JSON"):
            use(tmp_path)
    assert (tmp_path / "config.json").read_text() == before
    config.my_own_key = [1, {"a": None}]
    config.save_pretrained(tmp_path)


@pytest.mark.parametrize("extra", [3, None, ["a"]])
def test_extra_maps_names_to_values(extra: Any) -> None:
    with pytest.raises(ValueError, match="extra must map"):
        VivitConfig(extra=extra)


# The config of a model


def test_a_model_has_a_copy_of_the_config_that_it_is_made_of() -> None:
    config = VivitConfig.from_dict(VERSION_4)
    of_model = config.settled()
    assert of_model == config and of_model is not config and of_model.settled() is of_model
    config.num_labels = 5
    assert of_model == VivitConfig.from_dict(VERSION_4)
    with pytest.raises(ValueError, match="num_labels of a model's config"):
        of_model.num_labels = 5
    of_model.id2label[0] = "another"  # type: ignore[index]
    again = VivitConfig.from_dict(VERSION_4)
    again.settled().id2label[0] = "another"  # type: ignore[index]
    assert again.id2label[0] == "abseiling"


def test_setting_what_is_so_already_is_allowed() -> None:
    config = VivitConfig(image_size=(32, 48), tubelet_size=cast(tuple[int, int, int], [2, 8, 8])).settled()
    before = config.changed()
    for name, value in fields_of(config).items():
        setattr(config, name, list(value) if isinstance(value, tuple) else value)
    config.update(config.to_dict())
    assert config == before
    with pytest.raises(ValueError, match="num_frames of a model's config cannot be set: its weights were made for 32"):
        config.num_frames = 16


@pytest.mark.parametrize(
    ("name", "value", "old"),
    [
        ("hidden_dropout_prob", 0.5, "0.0"),
        ("attention_probs_dropout_prob", 0.5, "0.0"),
        ("hidden_act", "relu", "'gelu_fast'"),
        ("pooler_act", "relu", "'tanh'"),
        ("initializer_range", 0.5, "0.02"),
        ("layer_norm_eps", 0.5, "1e-06"),
        ("qkv_bias", False, "True"),
    ],
)
def test_what_weights_do_not_tell_is_refused_for_what_it_is(name: str, value: Any, old: str) -> None:
    config = VivitConfig().settled()
    sentence = (
        f"{name} of a model's config cannot be set: the model was built with {old}. Load or make another model with "
    )
    with pytest.raises(ValueError) as caught:
        setattr(config, name, value)
    assert str(caught.value) == f"{sentence}{name}={value!r}" and config == VivitConfig()
