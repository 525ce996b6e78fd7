"""Fields of the image processor that are set, copied, written and read."""

import copy
import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from tests.vivit.pictures import OPTIONS, SMALL, assert_same, small_clip
from vivit import VivitImageProcessor, VivitVideoProcessor
from vivit.hub import HubError

# A field can be set, and is checked when it is set

SETTINGS: list[dict[str, Any]] = [
    {"do_normalize": False},
    {"size": {"shortest_edge": 36}},
    {"size": {"height": 25, "width": 40}},
    {"crop_size": {"height": 10, "width": 12}},
    {"resample": 0},
    {"image_mean": [0.1, 0.2, 0.3]},
    {"image_std": 0.25},
    {"rescale_factor": 1 / 255},
    {"offset": False, "do_rescale": False},  # in this order
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_what_is_set_is_transformers(settings: dict[str, Any]) -> None:
    ours, theirs = VivitImageProcessor(**SMALL), transformers.VivitImageProcessor(**SMALL)
    for processor in (ours, theirs):
        for name, value in settings.items():
            setattr(processor, name, value)
    assert_same(*(p(small_clip(), return_tensors="np").pixel_values for p in (ours, theirs)))
    assert ours.to_dict() == theirs.to_dict() and ours == VivitImageProcessor(**SMALL | settings)


def test_old_spellings_can_be_set() -> None:
    processor: Any = VivitImageProcessor()
    processor.size, processor.crop_size, processor.image_mean = 30, (22, 26), (0.1, 0.2, 0.3)
    assert processor == VivitImageProcessor(**SMALL, image_mean=[0.1, 0.2, 0.3])
    assert processor.image_mean == [0.1, 0.2, 0.3] and processor.output_size == (22, 26)


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("size", {"longest_edge": 5}, "longest_edge"),
        ("crop_size", 0, "0"),
        ("do_normalize", "no", "'no'"),
        ("do_rescale", False, "offset=True"),
        ("image_std", 0, "image_std"),
        ("resample", 9, "9"),
        ("backend", "cv2", "'cv2'"),
    ],
)
def test_an_impossible_setting_is_named_and_changes_nothing(name: str, value: Any, named: str) -> None:
    processor = VivitImageProcessor()
    with pytest.raises(ValueError) as caught:
        setattr(processor, name, value)
    assert named in str(caught.value) and processor == VivitImageProcessor()


@pytest.mark.parametrize("kind", [VivitImageProcessor, VivitVideoProcessor])
def test_what_is_no_field_cannot_be_set(kind: Any) -> None:
    with pytest.raises(AttributeError, match=f"a {kind.__name__} has no field 'do_normalise', .*'do_normalize'"):
        kind().do_normalise = False
    processor = kind()
    processor.do_normalize = False
    assert processor == kind(do_normalize=False)
    with pytest.raises(ValueError):
        processor.size = "large"


@pytest.mark.parametrize(
    "how",
    [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p)), lambda p: p.changed(), dataclasses.replace],
)
def test_a_copy_is_equal_and_apart(how: Any) -> None:
    processor = VivitImageProcessor(**SMALL, extra={"mine": 1})
    copied = how(processor)
    assert copied == processor and repr(copied) == repr(processor)
    copied.size, copied.do_normalize = 99, False
    assert processor == VivitImageProcessor(**SMALL, extra={"mine": 1})
    with pytest.raises(ValueError):
        copied.size = 0


@pytest.mark.parametrize("how", [lambda p, f: p.save_pretrained(f), lambda p, f: p.save_pretrained(save_directory=f)])
def test_saving_tells_the_file_and_uploads_nothing(how: Any, tmp_path: Path) -> None:
    wanted = how(transformers.VivitImageProcessor(), str(tmp_path / "theirs"))
    assert [Path(f).name for f in wanted] == ["preprocessor_config.json"]
    assert how(VivitImageProcessor(), str(tmp_path / "ours")) == [f.replace("theirs", "ours") for f in wanted]
    assert how(VivitVideoProcessor(), tmp_path / "ours") == [str(tmp_path / "ours" / "video_preprocessor_config.json")]
    VivitImageProcessor().save_pretrained(tmp_path / "ours", push_to_hub=False)
    with pytest.raises(ValueError, match="nothing is uploaded from here"):
        VivitVideoProcessor().save_pretrained(tmp_path / "ours", push_to_hub=True)
    assert [f.name for f in (tmp_path / "ours").iterdir()] == ["preprocessor_config.json"], "what was there stays"


# Files


def test_every_default_is_transformers() -> None:
    ours, theirs = VivitImageProcessor(), transformers.VivitImageProcessor()
    for field in dataclasses.fields(ours):
        if field.name not in ("extra", "backend"):
            value, wanted = getattr(ours, field.name), getattr(theirs, field.name)
            assert value == wanted, field.name


@pytest.mark.parametrize("options", OPTIONS)
def test_files_are_interchangeable(tmp_path: Path, options: str) -> None:
    theirs = transformers.VivitImageProcessor(**SMALL | OPTIONS[options])
    theirs.save_pretrained(tmp_path / "theirs")
    ours = VivitImageProcessor.from_pretrained(tmp_path / "theirs")
    wanted = theirs(small_clip(), return_tensors="np").pixel_values
    assert_same(ours(small_clip(), return_tensors="np").pixel_values, wanted)
    ours.save_pretrained(tmp_path / "ours")
    back = transformers.VivitImageProcessor.from_pretrained(tmp_path / "ours")
    np.testing.assert_array_equal(back(small_clip(), return_tensors="np").pixel_values, wanted)
    assert VivitImageProcessor.from_pretrained(tmp_path / "ours") == ours


def test_a_file_of_transformers_4(tmp_path: Path) -> None:
    published = {
        "crop_size": {"height": 224, "width": 224},
        "do_center_crop": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "VivitImageProcessor",
        "image_std": [0.5, 0.5, 0.5],
        "offset": True,
        "resample": 2,
        "rescale_factor": 0.00784313725490196,
        "size": {"shortest_edge": 256},
        "my_own_key": {"deep": [1, None]},
    }
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(published))
    ours = VivitImageProcessor.from_pretrained(tmp_path)
    for field in dataclasses.fields(ours):
        if field.name not in ("extra", "rescale_factor"):
            value, wanted = getattr(ours, field.name), getattr(VivitImageProcessor(), field.name)
            assert value == wanted, field.name
    ours.save_pretrained(tmp_path)
    assert published.items() <= json.loads((tmp_path / "preprocessor_config.json").read_text()).items()


def test_a_checkpoint_without_a_file_gets_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    ours = VivitImageProcessor.from_pretrained(tmp_path)
    assert dataclasses.replace(ours, extra=None) == VivitImageProcessor()
    assert VivitImageProcessor.from_pretrained(tmp_path, do_normalize=False).do_normalize is False


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(HubError, match=r"preprocessor_config\.json"):
        VivitImageProcessor.from_pretrained(tmp_path)


def test_the_keys_that_are_written_are_transformers() -> None:
    for options in ({}, SMALL, {"image_mean": [0.1, 0.2, 0.3], "image_std": 0.4, "do_resize": False, "resample": 3}):
        ours, theirs = VivitImageProcessor(**options), transformers.VivitImageProcessor(**options)
        assert ours.to_dict() == theirs.to_dict()
        assert json.loads(ours.to_json_string()) == json.loads(theirs.to_json_string())
        assert VivitImageProcessor.from_dict(ours.to_dict()) == VivitImageProcessor.from_dict(theirs.to_dict()) == ours
        back = transformers.VivitImageProcessor.from_dict(ours.to_dict())
        assert back.to_dict() == theirs.to_dict()
    assert ours.model_input_names == theirs.model_input_names == ["pixel_values"]


def test_what_is_said_with_a_dict_or_a_name_comes_before_what_it_holds(tmp_path: Path) -> None:
    changes = {"size": {"shortest_edge": 33}, "do_normalize": False, "image_mean": [0.1, 0.2, 0.3]}
    values = transformers.VivitImageProcessor(**SMALL).to_dict() | {"my_own_key": 3}
    ours, theirs = (
        kind.from_dict(values, **changes) for kind in (VivitImageProcessor, transformers.VivitImageProcessor)
    )
    assert_same(*(p(small_clip(), return_tensors="np").pixel_values for p in (ours, theirs)))
    assert (
        ours.size == {"shortest_edge": 33} and ours.crop_size == SMALL["crop_size"] and ours.extra == {"my_own_key": 3}
    )
    VivitImageProcessor.from_dict(values).save_pretrained(tmp_path)
    options = {"revision": "main", "token": False, "cache_dir": tmp_path, "local_files_only": True}
    assert VivitImageProcessor.from_pretrained(tmp_path.parent, subfolder=tmp_path.name, **changes, **options) == ours
    assert ours.changed(do_normalize=True) == VivitImageProcessor.from_dict(values, **changes | {"do_normalize": True})


def test_an_unknown_option_is_named_with_the_nearest() -> None:
    for use in (
        lambda: VivitImageProcessor.from_pretrained("no/such-repository", do_normalise=False),
        lambda: VivitImageProcessor.from_dict({}, do_normalise=False),
        lambda: VivitImageProcessor().changed(do_normalise=False),
        lambda: VivitImageProcessor()(small_clip(), do_normalise=False),
    ):
        with pytest.raises(ValueError, match="no option 'do_normalise', the nearest being 'do_normalize'"):
            use()
    with pytest.raises(ValueError, match="no option 'cachedir', the nearest being 'cache_dir'"):
        VivitImageProcessor.from_pretrained("no/such-repository", cachedir="x")
