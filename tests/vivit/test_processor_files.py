"""Whose pixels a checkpoint's processor files stand for, against transformers' own classes; and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from tests.pixels import video_pixels
from tests.vivit.pictures import SIZES, assert_same, small_clip
from vivit import VivitConfig, VivitImageProcessor
from vivit.errors import UserError
from vivit.hub import PROCESSORS

IMAGE, VIDEO, NESTED = "preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

# Whatever a file may state, and nothing at all: then the class decides.
STATED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "sizes": {"size": {"shortest_edge": 30}, "crop_size": {"height": 22, "width": 26}},
    "height and width": {"size": {"height": 31, "width": 44}, "crop_size": {"height": 20, "width": 31}},
    "larger crop": {"size": {"shortest_edge": 30}, "crop_size": {"height": 71, "width": 150}},
    "odd larger crop": {"do_resize": False, "crop_size": {"height": 90, "width": 91}},
    "no crop": {"size": {"shortest_edge": 30}, "do_center_crop": False},
    "no rescale": {"crop_size": {"height": 22, "width": 26}, "do_rescale": False},
    "no rescale, no normalise": {"crop_size": {"height": 22, "width": 26}, "do_rescale": False, "do_normalize": False},
    "no normalise": {"crop_size": {"height": 22, "width": 26}, "do_normalize": False},
    "mean and std": {"crop_size": {"height": 22, "width": 26}, "image_mean": MEAN, "image_std": STD},
    "another factor": {"crop_size": {"height": 22, "width": 26}, "rescale_factor": 1 / 200},
    "an offset that the class does not know": {"crop_size": {"height": 22, "width": 26}, "offset": False},
    "the other offset": {"crop_size": {"height": 22, "width": 26}, "offset": True},
    "what changes no pixel": {"do_convert_rgb": True, "do_pad": False, "do_sample_frames": True, "fps": None},
}  # fmt: skip


def write(folder: Path, values: Any, file: str = IMAGE, config: dict[str, Any] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(json.dumps(values))
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def pixels_of(folder: Path, clip: list[np.ndarray]) -> np.ndarray:
    pixels: np.ndarray = VivitImageProcessor.from_pretrained(folder)(clip, return_tensors="np").pixel_values
    return pixels


def assert_same_but_for_ties(ours: np.ndarray, theirs: np.ndarray, step: float, share: float = 2e-3) -> None:
    """PIL sums in double precision and torch in single: where a sum lies halfway, one of them rounds to the other level."""
    assert ours.shape == theirs.shape and ours.dtype == np.float32
    other = np.abs(ours - theirs) > 2e-6 * max(1.0, float(np.abs(theirs).max()))
    assert other.mean() <= share and np.abs(ours - theirs).max() <= 1.001 * step


def step_of(values: dict[str, Any], factor: float) -> float:
    """One level of 255 after the arithmetic, at most."""
    scale = values.get("rescale_factor", factor) if values.get("do_rescale", True) else 1.0
    return scale / (min(values.get("image_std", [0.5])) if values.get("do_normalize", True) else 1.0)


# Honoured


@pytest.mark.parametrize("name", ["VideoMAEImageProcessor", "VideoMAEImageProcessorPil", "VideoMAEFeatureExtractor"])
@pytest.mark.parametrize("stated", STATED)
def test_the_image_processors_of_videomae(name: str, stated: str, tmp_path: Path) -> None:
    values, clip = STATED[stated], small_clip((48, 85), frames=2)
    key = "feature_extractor_type" if "Extractor" in name else "image_processor_type"
    theirs = transformers.VideoMAEImageProcessorPil(**values)(clip, return_tensors="np").pixel_values
    assert_same(pixels_of(write(tmp_path, {key: name} | values), clip), theirs)


@pytest.mark.parametrize("name", ["VivitVideoProcessor", "VideoMAEVideoProcessor"])
@pytest.mark.parametrize("stated", STATED)
def test_the_video_processors(name: str, stated: str, tmp_path: Path) -> None:
    values, clip = STATED[stated], small_clip((48, 85), frames=2)
    folder = write(tmp_path, {"video_processor_type": name} | values, VIDEO)
    step = step_of(values, 1 / 127.5 if name == "VivitVideoProcessor" else 1 / 255)
    assert_same_but_for_ties(pixels_of(folder, clip), video_pixels(name, clip, **values), step)


@pytest.mark.parametrize("size", [*SIZES.values(), (240, 320), (480, 270)], ids=str)
@pytest.mark.parametrize("edge", [30, 120])
def test_the_video_processors_at_every_size(size: tuple[int, int], edge: int, tmp_path: Path) -> None:
    values = {"size": {"shortest_edge": edge}, "crop_size": {"height": 37, "width": 64}}
    folder = write(tmp_path, {"video_processor_type": "VivitVideoProcessor"} | values, VIDEO)
    clip = small_clip(size, frames=2)
    ours = VivitImageProcessor.from_pretrained(folder)(clip, return_tensors="np", input_data_format="channels_last")
    wanted = video_pixels("VivitVideoProcessor", clip, **values)
    # Of 2 × 3 pixels every second sum is a tie.
    assert_same_but_for_ties(ours.pixel_values, wanted, 2 / 127.5, share=0.02 if min(size) < 6 else 2e-3)


@pytest.mark.parametrize("size", [(48, 85), (240, 320)], ids=str)
def test_bicubic_of_the_video_processors_is_that_of_whole_levels(size: tuple[int, int], tmp_path: Path) -> None:
    """torch's weights have 15 bits there, PIL's 22: some sums in a hundred round the other way."""
    values = {"size": {"shortest_edge": 64}, "crop_size": {"height": 60, "width": 64}, "resample": 3}
    folder = write(tmp_path, {"video_processor_type": "VivitVideoProcessor"} | values, VIDEO)
    clip = small_clip(size, frames=2)
    wanted = video_pixels("VivitVideoProcessor", clip, **values)
    assert_same_but_for_ties(pixels_of(folder, clip), wanted, 2 / 127.5, share=0.03)


def test_the_video_processors_pixels_are_not_the_image_processors(tmp_path: Path) -> None:
    """Or the tests above could not tell them apart."""
    clip = small_clip((240, 320), frames=1)
    video = pixels_of(write(tmp_path / "video", {"video_processor_type": "VivitVideoProcessor"}, VIDEO), clip)
    image = pixels_of(write(tmp_path / "image", {"image_processor_type": "VivitImageProcessor"}), clip)
    assert (video != image).mean() > 0.05 and np.abs(video - image).max() < 0.02


@pytest.mark.parametrize("switch", ["do_resize", "do_center_crop", "do_normalize", "offset"])
@pytest.mark.parametrize("name", ["VivitImageProcessor", "VideoMAEImageProcessorPil"])
def test_null_is_what_the_class_makes_of_it(name: str, switch: str, tmp_path: Path) -> None:
    clip = small_clip((48, 85), frames=2)
    theirs = getattr(transformers, name)(**{switch: None})(clip, return_tensors="np").pixel_values
    assert_same(pixels_of(write(tmp_path, {"image_processor_type": name, switch: None}), clip), theirs)


@pytest.mark.parametrize("section", ["image_processor", "video_processor"])
def test_the_nested_file_of_transformers_5(section: str, tmp_path: Path) -> None:
    clip = small_clip(frames=2)
    inner: dict[str, Any] = {"crop_size": {"height": 20, "width": 22}, "rescale_factor": 1 / 255}
    if section == "image_processor":
        inner |= {"image_processor_type": "VideoMAEImageProcessor"}
        theirs = transformers.VideoMAEImageProcessorPil(**inner)(clip, return_tensors="np").pixel_values
    else:
        inner |= {"video_processor_type": "VideoMAEVideoProcessor"}
        theirs = video_pixels("VideoMAEVideoProcessor", clip, **inner)
    folder = write(tmp_path, {"processor_class": "SomeProcessor", section: inner}, NESTED)
    assert_same_but_for_ties(pixels_of(folder, clip), theirs, 2 / 255)


def test_a_file_that_names_no_class_is_that_of_its_place(tmp_path: Path) -> None:
    of = {
        file: VivitImageProcessor.from_pretrained(write(tmp_path / file, {"do_normalize": False}, file)).backend
        for file in PROCESSORS
    }
    assert of == {NESTED: "pil", VIDEO: "torchvision", IMAGE: "pil"}


# Several files


def test_files_that_agree_are_one(tmp_path: Path) -> None:
    write(tmp_path, {"processor_class": "X"}, NESTED)  # as transformers 4 writes it
    write(tmp_path, {"image_processor_type": "VideoMAEImageProcessor", "image_mean": 0.5})
    write(tmp_path, {"image_processor_type": "VivitImageProcessor", "size": 224, "rescale_factor": 0.00392156862745098,
                     "offset": False}, VIDEO)  # fmt: skip
    assert VivitImageProcessor.from_pretrained(tmp_path).size == {"shortest_edge": 224}


@pytest.mark.parametrize("first", PROCESSORS)
@pytest.mark.parametrize("second", PROCESSORS)
def test_files_that_disagree_are_both_named(first: str, second: str, tmp_path: Path) -> None:
    if first == second:
        section = {"image_processor_type": "VivitImageProcessor"}
        nested = {"image_processor": section, "video_processor": section | {"do_normalize": False}}
        write(tmp_path, nested, first)
        words = ["'image_processor' in", "'video_processor' in", first]
    else:
        write(tmp_path, {"image_processor_type": "VivitImageProcessor"}, first)
        write(tmp_path, {"image_processor_type": "VivitImageProcessor", "image_mean": MEAN}, second)
        words = [first, second]
    refused(tmp_path, *words, "different pixels")


# Refused


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(UserError) as caught:
        VivitImageProcessor.from_pretrained(folder)
    sentence = str(caught.value)
    assert all(word in sentence for word in words), sentence
    assert sentence.endswith(".") and "\n" not in sentence and folder.name in sentence, sentence


@pytest.mark.parametrize("file", PROCESSORS)
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image_processor_type": "CLIPImageProcessor"}, ["'CLIPImageProcessor'"]),
        ({"image_processor_type": "VivitImageProcessorFast"}, ["'VivitImageProcessorFast'"]),
        ({"feature_extractor_type": "TimesformerFeatureExtractor"}, ["'TimesformerFeatureExtractor'"]),
        ({"video_processor_type": "LlavaOnevisionVideoProcessor"}, ["'LlavaOnevisionVideoProcessor'"]),
        ({"image_processor_type": 3}, ["3"]),
        ({"image_processor_type": "A\n" + "B" * 4000}, ["'A\\nBBB", "…"]),
        ({"image_processor_type": "VivitImageProcessor", "video_processor_type": "VivitVideoProcessor"}, ["two classes"]),
        ({"image_processor_type": "VivitImageProcessor", "auto_map": {"AutoImageProcessor": "p.Mine"}}, ["p.Mine"]),
        ({"do_flip_channel_order": True}, ["do_flip_channel_order"]),
        ({"do_pad": True}, ["do_pad"]),
        ({"image_processor": {"image_processor_type": "SiglipImageProcessor"}}, ["'SiglipImageProcessor'"]),
        ({"video_processor": {"video_processor_type": "Qwen2VLVideoProcessor"}}, ["'Qwen2VLVideoProcessor'"]),
        ({"image_processor": "VivitImageProcessor"}, ["'image_processor'"]),
        ({"do_normalize": "no"}, ["do_normalize", "'no'"]),
        ({"size": {"longest_edge": 224}}, ["longest_edge"]),
        ({"image_mean": [0.5, 0.5]}, ["image_mean", "3"]),
        ({"resample": 7}, ["resample"]),
        ({"video_processor_type": "VivitVideoProcessor", "resample": 1}, ["resample"]),
        ({"size": 224, "default_to_square": True}, ["default_to_square"]),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_understood_is_refused_by_name(
    values: dict[str, Any], words: list[str], file: str, tmp_path: Path
) -> None:
    refused(write(tmp_path, values, file), file, *words)


@pytest.mark.parametrize("file", PROCESSORS)
@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00"])
def test_a_damaged_file_is_named_whichever_it_is(file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text)
    refused(tmp_path, file)


def test_a_file_that_is_a_link_to_nothing_is_no_absent_one(tmp_path: Path) -> None:
    (tmp_path / IMAGE).symlink_to(tmp_path / "gone")
    refused(tmp_path, IMAGE, "damaged")


# No file


@pytest.mark.parametrize(
    ("image_size", "size", "crop"),
    [(224, 256, (224, 224)), (112, 128, (112, 112)), (64, 73, (64, 64)),
     ([24, 20], 27, (24, 20)), ([448, 224], 512, (448, 224))],
)  # fmt: skip
def test_without_a_file_the_crop_is_the_models(
    image_size: Any, size: int, crop: tuple[int, int], tmp_path: Path
) -> None:
    config = {"image_size": image_size, "tubelet_size": [2, 4, 4]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    ours = VivitImageProcessor.from_pretrained(tmp_path)
    assert (ours.size, ours.output_size) == ({"shortest_edge": size}, crop)
    assert VivitConfig.from_pretrained(tmp_path).clip_size[1:] == crop


# Written again


@pytest.mark.parametrize(
    "name", ["VivitImageProcessor", "VivitVideoProcessor", "VideoMAEImageProcessor", "VideoMAEVideoProcessor"]
)
@pytest.mark.parametrize("stated", STATED)
def test_what_is_written_reads_back_the_same(name: str, stated: str, tmp_path: Path) -> None:
    kind = "video_processor_type" if "Video" in name.removeprefix("VideoMAE") else "image_processor_type"
    values = {kind: name, "my_own_key": 7} | STATED[stated]
    if name == "VivitImageProcessor" and values.get("do_rescale") is False:
        values["offset"] = False
    read = VivitImageProcessor.from_pretrained(write(tmp_path / "a", values))
    read.save_pretrained(tmp_path / "b")
    (written,) = (tmp_path / "b").iterdir()
    assert written.name == (VIDEO if read.backend == "torchvision" else IMAGE)
    assert json.loads(written.read_text())["my_own_key"] == 7
    clip = small_clip()
    np.testing.assert_array_equal(pixels_of(tmp_path / "b", clip), pixels_of(tmp_path / "a", clip))
    if read.backend == "pil":
        theirs = transformers.VivitImageProcessor.from_pretrained(tmp_path / "b")(
            clip, return_tensors="np"
        ).pixel_values
    else:
        inner = json.loads(written.read_text())
        theirs = video_pixels(
            inner["video_processor_type"], clip, **{k: v for k, v in inner.items() if k != "my_own_key"}
        )
    assert_same_but_for_ties(pixels_of(tmp_path / "b", clip), theirs, step_of(values, 1 / 127.5))


def test_what_is_saved_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    nested = {"image_processor": {"image_processor_type": "VivitImageProcessor", "size": {"shortest_edge": 99}}}
    (tmp_path / "processor_config.json").write_text(json.dumps(nested))
    for backend in ("pil", "torchvision", "pil"):
        processor = VivitImageProcessor.from_pretrained(tmp_path, size={"shortest_edge": 40}, backend=backend)
        processor.save_pretrained(tmp_path)
        again = VivitImageProcessor.from_pretrained(tmp_path)
        assert (again.backend, again.size) == (backend, {"shortest_edge": 40})


def test_a_file_that_joins_others_says_nothing_of_pixels(tmp_path: Path) -> None:
    VivitImageProcessor(size={"shortest_edge": 40}).save_pretrained(tmp_path)
    joined: dict[str, Any] = {"processor_class": "P", "chat_template": "x", "tokenizer": {}, "image_processor": None}
    (tmp_path / "processor_config.json").write_text(json.dumps(joined))
    assert VivitImageProcessor.from_pretrained(tmp_path).size == {"shortest_edge": 40}
