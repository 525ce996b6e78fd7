"""The config: transformers' defaults, files of transformers 4 and 5, and no impossible value."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
import transformers

from tests.vivit.config_files import VERSION_4, fields_of, write
from vivit import VivitConfig
from vivit.errors import UserError
from vivit.hub import HubError


def test_every_default_is_transformers() -> None:
    ours, theirs = fields_of(VivitConfig()), transformers.VivitConfig()
    for name, value in ours.items():
        wanted = getattr(theirs, name)
        assert value == (tuple(wanted) if isinstance(wanted, list) else wanted), name
    published = set(theirs.to_dict()) - set(transformers.PretrainedConfig().to_dict())
    assert published <= set(ours) | {"model_type"}, "a published field that ours lacks"


def test_derived_sizes_of_vivit_b() -> None:
    config = VivitConfig()
    assert config.clip_size == (32, 224, 224)
    assert config.grid_size == (16, 14, 14)
    assert config.num_tokens == 3137
    assert config.head_size == 64


def test_derived_sizes_tell_height_from_width() -> None:
    lists: dict[str, Any] = {"image_size": [24, 40], "tubelet_size": [3, 8, 4]}
    config = VivitConfig(num_frames=6, **lists)
    assert config.clip_size == (6, 24, 40)
    assert config.grid_size == (2, 3, 10)
    assert config.num_tokens == 61


def test_reads_a_file_of_transformers_4_and_keeps_its_other_keys(tmp_path: Path) -> None:
    config = VivitConfig.from_pretrained(write(tmp_path, VERSION_4))
    assert config.num_labels == 3
    assert config.id2label == {0: "abseiling", 1: "air drumming", 2: "answering questions"}
    assert config.label2id == {"abseiling": 0, "air drumming": 1, "answering questions": 2}
    assert config.pooler_output_size == 768
    config.save_pretrained(tmp_path / "again")
    written = json.loads((tmp_path / "again" / "config.json").read_text(encoding="utf-8"))
    assert VERSION_4.items() <= written.items()
    assert VivitConfig.from_pretrained(tmp_path / "again") == config


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_labels": 5},
        {"id2label": {0: "a", 1: "é"}, "label2id": {"a": 0, "é": 1}},
        {"image_size": [32, 64], "tubelet_size": [4, 8, 16], "num_frames": 8},
        {"hidden_size": 30, "num_attention_heads": 5, "intermediate_size": 7, "hidden_act": "relu", "qkv_bias": False},
        {"pooler_output_size": 9, "pooler_act": "gelu", "layer_norm_eps": 1e-12, "hidden_dropout_prob": 0.5},
        {"problem_type": "multi_label_classification", "my_own_key": {"deep": [1, None]}},
    ],
)
def test_files_of_transformers_5_and_ours_are_interchangeable(tmp_path: Path, changes: dict[str, Any]) -> None:
    theirs = transformers.VivitConfig(**changes)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = VivitConfig.from_pretrained(tmp_path / "theirs")
    for name, value in fields_of(ours).items():
        wanted = getattr(theirs, name)
        assert value == (tuple(wanted) if isinstance(wanted, list) else wanted), name
    ours.save_pretrained(tmp_path / "ours")
    back = transformers.VivitConfig.from_pretrained(tmp_path / "ours").to_dict()
    wanted = transformers.VivitConfig.from_pretrained(tmp_path / "theirs").to_dict()
    assert back == wanted


def test_a_config_made_here_is_read_by_transformers(tmp_path: Path) -> None:
    ours = VivitConfig(
        image_size=(32, 48), num_frames=4, hidden_size=24, num_attention_heads=3, id2label={0: "x", 1: "y"}
    )
    ours.save_pretrained(tmp_path)
    theirs = transformers.VivitConfig.from_pretrained(tmp_path)
    assert theirs.num_labels == 2 and theirs.id2label == {0: "x", 1: "y"} and theirs.label2id == {"x": 0, "y": 1}
    assert list(cast(list[int], theirs.image_size)) == [32, 48] and theirs.hidden_size == 24


def test_a_problem_type_is_written_only_where_there_is_one() -> None:
    assert "problem_type" not in VivitConfig().to_dict()
    assert VivitConfig(problem_type="regression").to_dict()["problem_type"] == "regression"


def test_labels_may_have_text_keys_in_any_order() -> None:
    labels: dict[Any, str] = {str(k): f"class {k}" for k in reversed(range(12))}
    config = VivitConfig(id2label=labels)
    assert list(config.id2label.items()) == [(k, f"class {k}") for k in range(12)]
    assert config.num_labels == 12 and config.label2id["class 11"] == 11


@pytest.mark.parametrize("names", [["wave", "jump", "run"], ["only"], [f"class {k}" for k in range(12)]], ids=len)
@pytest.mark.parametrize("said", [{}, {"label2id": True}, {"num_labels": True}])
def test_labels_numbered_from_1_are_the_names_in_their_order(
    names: list[str], said: dict[str, bool], tmp_path: Path
) -> None:
    values: dict[str, Any] = {"id2label": {str(k): name for k, name in sorted(enumerate(names, 1), key=str)}}
    values |= {"label2id": {name: k for k, name in enumerate(names, 1)}} if "label2id" in said else {}
    values |= {"num_labels": len(names)} if "num_labels" in said else {}
    config = VivitConfig.from_pretrained(write(tmp_path, values))
    assert config.id2label == dict(enumerate(names)) and config.label2id == {n: k for k, n in enumerate(names)}
    assert config.num_labels == len(names)
    config.save_pretrained(tmp_path)
    assert VivitConfig.from_pretrained(tmp_path).id2label == config.id2label


@pytest.mark.parametrize(
    "values",
    [
        {"id2label": {"2": "a", "3": "b"}},
        {"id2label": {"1": "a", "3": "b"}},
        {"id2label": {"1": "a", "2": "b"}, "num_labels": 3},
        {"id2label": {"first": "a"}},
        {"id2label": ["a", "b"]},
    ],
    ids=str,
)
def test_labels_whose_numbers_mean_nothing_are_refused(values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json.*id2label"):
        VivitConfig.from_pretrained(write(tmp_path, values))


@pytest.mark.parametrize(
    ("values", "word"),
    [({"hidden_act": "mish"}, "mish"), ({"tubelet_size": [2, 16]}, "tubelet_size"), ({"image_size": 0}, "image_size")],
    ids=str,
)
def test_an_impossible_file_is_named_with_its_folder(values: dict[str, Any], word: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        VivitConfig.from_pretrained(write(tmp_path, values))
    said = str(caught.value)
    assert said.startswith(f"The config.json of '{tmp_path.name}' ") and word in said and said.endswith(".")


def test_labels_are_numbered_without_names() -> None:
    assert VivitConfig(num_labels=3).id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}


def test_changes_on_reading(tmp_path: Path) -> None:
    write(tmp_path, VERSION_4)
    same = VivitConfig.from_pretrained(tmp_path, num_labels=3, hidden_dropout_prob=0.1)
    assert same.id2label[2] == "answering questions" and same.hidden_dropout_prob == 0.1
    assert VivitConfig.from_pretrained(tmp_path, num_labels=2).id2label == {0: "LABEL_0", 1: "LABEL_1"}
    assert VivitConfig.from_pretrained(tmp_path, problem_type="regression").problem_type == "regression"
    renamed = VivitConfig.from_pretrained(tmp_path, id2label={0: "yes"})
    assert renamed.num_labels == 1 and renamed.label2id == {"yes": 0}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hidden_size": 100, "num_attention_heads": 12}, ["hidden_size=100", "num_attention_heads=12"]),
        ({"num_frames": 31}, ["num_frames=31", "(2, 16, 16)"]),
        ({"image_size": 100}, ["height=100", "(2, 16, 16)"]),
        ({"image_size": (224, 100)}, ["width=100"]),
        ({"image_size": (224, 224, 224)}, ["image_size", "(224, 224, 224)"]),
        ({"image_size": ()}, ["image_size"]),
        ({"image_size": 0}, ["image_size", "0"]),
        ({"image_size": 22.5}, ["image_size", "22.5"]),
        ({"image_size": None}, ["image_size", "None"]),
        ({"tubelet_size": (2, 16)}, ["tubelet_size", "(2, 16)"]),
        ({"tubelet_size": 16}, ["tubelet_size", "16"]),
        ({"tubelet_size": (2, 16, -16)}, ["tubelet_size", "-16"]),
        ({"hidden_size": 0}, ["hidden_size", "0"]),
        ({"hidden_size": "768"}, ["hidden_size", "'768'"]),
        ({"num_frames": -2}, ["num_frames", "-2"]),
        ({"num_frames": True}, ["num_frames", "True"]),
        ({"num_channels": 0}, ["num_channels"]),
        ({"num_attention_heads": 0}, ["num_attention_heads"]),
        ({"num_hidden_layers": -1}, ["num_hidden_layers", "-1"]),
        ({"intermediate_size": 1.5}, ["intermediate_size", "1.5"]),
        ({"pooler_output_size": -4}, ["pooler_output_size", "-4"]),
        ({"hidden_dropout_prob": 1.0}, ["hidden_dropout_prob", "1.0"]),
        ({"attention_probs_dropout_prob": -0.1}, ["attention_probs_dropout_prob", "-0.1"]),
        ({"hidden_dropout_prob": float("nan")}, ["hidden_dropout_prob", "nan"]),
        ({"hidden_dropout_prob": "0.1"}, ["hidden_dropout_prob", "'0.1'"]),
        ({"layer_norm_eps": 0}, ["layer_norm_eps", "0"]),
        ({"layer_norm_eps": "1e-6"}, ["layer_norm_eps", "1e-6"]),
        ({"layer_norm_eps": float("inf")}, ["layer_norm_eps", "inf"]),
        ({"initializer_range": -1.0}, ["initializer_range", "-1.0"]),
        ({"initializer_range": float("inf")}, ["initializer_range", "inf"]),
        ({"qkv_bias": "yes"}, ["qkv_bias", "'yes'"]),
        ({"problem_type": "clustering"}, ["problem_type", "'clustering'", "regression"]),
        ({"hidden_act": "swish_fish"}, ["hidden_act", "swish_fish", "gelu_fast"]),
        ({"pooler_act": None}, ["pooler_act", "None"]),
        ({"num_labels": 3, "id2label": {0: "a"}}, ["num_labels=3", "1"]),
        ({"id2label": {0: "a", 2: "b"}}, ["id2label", "num_labels=2"]),
        ({"id2label": {"zero": "a"}}, ["id2label", "zero"]),
        ({"id2label": ["a", "b"]}, ["id2label"]),
        ({"num_labels": -3}, ["num_labels", "-3"]),
        ({"num_labels": 2.0}, ["num_labels", "2.0"]),
    ],
    ids=lambda value: ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_impossible_values_are_named(changes: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(ValueError) as caught:
        VivitConfig(**changes)
    for text in named:
        assert text in str(caught.value)


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="model_type"):
        VivitConfig.from_pretrained(write(tmp_path, VERSION_4 | {"model_type": "videomae"}))


@pytest.mark.parametrize("text", ["", "{", '{"hidden_size": ', "[1, 2]", "null", "\x00\xff"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(HubError, match=r"config\.json"):
        VivitConfig.from_pretrained(tmp_path)


# Calls of transformers' config


def test_the_older_name_of_return_dict() -> None:
    for value in (True, False):
        ours, theirs = VivitConfig(return_dict=value), transformers.VivitConfig(return_dict=value)
        assert ours.use_return_dict is theirs.use_return_dict is value


def test_an_update_is_of_everything_at_once() -> None:
    changes = {"hidden_size": 30, "num_attention_heads": 5, "num_labels": 3, "image_size": 64, "model_type": "vivit"}
    ours, theirs = VivitConfig(), transformers.VivitConfig()
    for config in (ours, theirs):
        config.update(changes)
        assert [config.to_dict()[k] for k in ("hidden_size", "num_attention_heads", "image_size")] == [30, 5, 64]
    assert ours.id2label == theirs.id2label and "model_type" not in ours.extra
    with pytest.warns(UserWarning, match="no field 'num_clases'") as told:
        ours.update({"num_frames": 8, "num_clases": 3})
    assert [w.filename for w in told] == [__file__] and ours.num_frames == 8 and ours.num_clases == 3
    before = ours.changed()
    for impossible in ({"num_frames": 4, "hidden_size": 31}, {"num_frames": 4, "model_type": "videomae"}):
        with pytest.raises((ValueError, AttributeError)):
            ours.update(impossible)
    assert ours == before, "what was refused changed nothing"


def test_a_json_file_goes_round_and_is_read_by_transformers(tmp_path: Path) -> None:
    config = VivitConfig.from_dict(VERSION_4, num_frames=8)
    for use_diff in (False, True):
        config.to_json_file(tmp_path / "mine.json", use_diff=use_diff)
        assert VivitConfig.from_json_file(str(tmp_path / "mine.json")) == config
        theirs = transformers.VivitConfig.from_json_file(tmp_path / "mine.json")
        assert theirs.num_frames == 8 and theirs.id2label == config.id2label
    theirs.to_json_file(tmp_path / "theirs.json")
    assert fields_of(VivitConfig.from_json_file(tmp_path / "theirs.json")) == fields_of(config)
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        VivitConfig.from_json_file(tmp_path / "none.json")
    (tmp_path / "mine.json").write_text("{")
    with pytest.raises(UserError, match=r"mine\.json"):
        VivitConfig.from_json_file(tmp_path / "mine.json")


DIFFERENCES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, set()),
    ({"num_frames": 8}, {"num_frames"}),
    ({"hidden_size": 24}, {"hidden_size", "pooler_output_size"}),
    ({"hidden_size": 24, "pooler_output_size": 768}, {"hidden_size", "pooler_output_size"}),
    ({"num_labels": 3}, {"id2label", "label2id"}),
    ({"id2label": {0: "a", 1: "b"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}, {"id2label", "label2id"}),
    ({"problem_type": "regression", "return_dict": False}, {"problem_type", "return_dict"}),
    ({"extra": {"mine": 1}}, {"mine"}),
]


@pytest.mark.parametrize(("changes", "names"), DIFFERENCES, ids=str)
def test_what_differs_from_the_defaults_is_enough(changes: dict[str, Any], names: set[str]) -> None:
    config = VivitConfig(**changes)
    assert config.to_diff_dict().keys() == names | {"model_type"}
    assert config.to_diff_dict().items() <= config.to_dict().items()
    assert VivitConfig.from_dict(config.to_diff_dict()) == config
    theirs = transformers.VivitConfig.from_dict(config.to_diff_dict())
    assert theirs.id2label == config.id2label and theirs.pooler_output_size == config.pooler_output_size


def test_a_dict_of_a_config_shares_no_labels_with_it() -> None:
    config = VivitConfig()
    for name in ("id2label", "label2id"):
        config.to_dict()[name].clear()
    assert config == VivitConfig()


@pytest.mark.parametrize("how", [lambda c, f: c.save_pretrained(f), lambda c, f: c.save_pretrained(save_directory=f)])
def test_saving_tells_the_file_and_uploads_nothing(how: Any, tmp_path: Path) -> None:
    assert how(VivitConfig(), tmp_path / "a" / "b") == [str(tmp_path / "a" / "b" / "config.json")]
    VivitConfig().save_pretrained(str(tmp_path), push_to_hub=False)
    assert VivitConfig.from_pretrained(tmp_path) == VivitConfig.from_pretrained(tmp_path / "a" / "b") == VivitConfig()
    with pytest.raises(ValueError, match="nothing is uploaded from here"):
        VivitConfig().save_pretrained(tmp_path / "c", push_to_hub=True)
    assert not (tmp_path / "c").exists()


def test_names_that_are_taken_away_leave_their_number(tmp_path: Path) -> None:
    config = VivitConfig(num_labels=3, id2label={0: "a", 1: "b", 2: "c"})
    config.num_labels = None  # type: ignore[assignment]
    assert (config.num_labels, config.id2label[2]) == (3, "c")
    config.id2label = None  # type: ignore[assignment]
    assert (config.num_labels, config.id2label, config.label2id["LABEL_1"]) == (
        3,
        {k: f"LABEL_{k}" for k in range(3)},
        1,
    )
    config.save_pretrained(tmp_path)
    assert VivitConfig.from_pretrained(tmp_path, id2label=None, label2id=None).num_labels == 3
