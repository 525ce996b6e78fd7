"""The image processor against transformers', option by option."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from tests.vivit.pictures import EXACT, OPTIONS, SIZES, SMALL, assert_same, both, picture, small_clip
from vivit import VivitImageProcessor
from vivit.batch_feature import BatchFeature
from vivit.processing import NORMALISATIONS


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("options", OPTIONS)
def test_every_option_at_every_size(options: str, size: str) -> None:
    # The format is said, because a picture of one pixel could as well be of one channel and three pixels.
    assert_same(*both(small_clip(SIZES[size], frames=2), input_data_format="channels_last", **OPTIONS[options]))


@pytest.mark.parametrize("size", [(240, 320), (320, 240), (101, 333), (224, 224), (256, 256)])
def test_the_published_defaults(size: tuple[int, int]) -> None:
    clip = small_clip(size, frames=2)
    ours = VivitImageProcessor()(clip, return_tensors="np").pixel_values
    assert_same(ours, transformers.VivitImageProcessor()(clip, return_tensors="np").pixel_values)
    assert ours.shape == (1, 2, 3, 224, 224)
    assert ours.min() >= -3 and ours.max() <= 1


def test_black_and_white_are_minus_three_and_one() -> None:
    clip = [np.zeros((9, 9, 3), np.uint8), np.full((9, 9, 3), 255, np.uint8)]
    black, white = VivitImageProcessor()(clip, return_tensors="np").pixel_values[0]
    np.testing.assert_allclose(black, -3, **EXACT)
    np.testing.assert_allclose(white, 1, **EXACT)
    original = VivitImageProcessor(**NORMALISATIONS["original"])(clip, return_tensors="np").pixel_values[0]
    np.testing.assert_allclose(original[0], -1, **EXACT)
    np.testing.assert_allclose(original[1], 1, **EXACT)


@pytest.mark.parametrize("option", ["size", "resample", "crop_size", "do_resize", "do_center_crop", "do_normalize"])
def test_options_may_be_given_with_the_call(option: str) -> None:
    values = {"size": {"height": 25, "width": 40}, "resample": 0, "crop_size": {"height": 10, "width": 12}}
    given: dict[str, Any] = {option: values.get(option, False)}
    processor = VivitImageProcessor(**SMALL)
    ours = processor(small_clip(), return_tensors="np", **given).pixel_values
    theirs = transformers.VivitImageProcessor(**SMALL)(small_clip(), return_tensors="np", **given).pixel_values
    assert_same(ours, theirs)
    assert processor == VivitImageProcessor(**SMALL), "a call must not change the processor"


@pytest.mark.parametrize("numbers", [{"size": 33}, {"crop_size": 19}, {"size": 33, "crop_size": 40}])
def test_sizes_may_be_one_number(numbers: dict[str, int]) -> None:
    assert_same(*both(small_clip(), **numbers))


@pytest.mark.parametrize("kind", [tuple, list])
@pytest.mark.parametrize(
    "numbers", [{"size": (33, 40)}, {"crop_size": (19, 44)}, {"size": (33, 40), "crop_size": (40, 33)}]
)
def test_sizes_may_be_two_numbers(numbers: dict[str, Any], kind: Any) -> None:
    pairs = {name: kind(pair) for name, pair in numbers.items()}
    assert_same(*both(small_clip(), **pairs))
    ours, theirs = VivitImageProcessor(**pairs), transformers.VivitImageProcessor(**pairs)
    assert (ours.size, ours.crop_size) == (theirs.size, theirs.crop_size)
    called = VivitImageProcessor(**SMALL)(small_clip(), return_tensors="np", **pairs).pixel_values
    assert np.array_equal(called, VivitImageProcessor(**SMALL | pairs)(small_clip(), return_tensors="np").pixel_values)
    assert VivitImageProcessor.from_dict(pairs) == VivitImageProcessor.from_dict(ours.to_dict()) == ours


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize("given", ["channels_first", "channels_last"])
@pytest.mark.parametrize("said", [True, False])
def test_channels_first_and_last(given: str, data_format: str, said: bool) -> None:
    clip = small_clip()
    if given == "channels_first":
        clip = [np.moveaxis(frame, -1, 0) for frame in clip]
    options = {"data_format": data_format} | ({"input_data_format": given} if said else {})
    ours, theirs = both(clip, **options)
    assert_same(ours, theirs)
    assert ours.shape == ((1, 3, 3, 22, 26) if data_format == "channels_first" else (1, 3, 22, 26, 3))


def test_input_format_decides_where_the_shape_does_not() -> None:
    clip = small_clip((3, 3))
    for given in ("channels_first", "channels_last"):
        assert_same(*both(clip, input_data_format=given))
    narrow = [frame[:, :3] for frame in small_clip((30, 40))]  # (30, 3, 3)
    assert_same(*both(narrow, input_data_format="channels_last"))


KINDS: dict[str, Callable[[Any], Any]] = {
    "PIL": lambda frame: Image.fromarray(frame),
    "numpy": lambda frame: frame,
    "tensor": lambda frame: torch.from_numpy(frame),
    "tensor, channels first": lambda frame: torch.from_numpy(frame).permute(2, 0, 1),
    "read-only": lambda frame: np.frombuffer(frame.tobytes(), np.uint8).reshape(frame.shape),
    "mirrored view": lambda frame: frame[:, ::-1],
    "int64": lambda frame: frame.astype(np.int64),
    "float32, whole": lambda frame: frame.astype(np.float32),
    "float64, whole": lambda frame: frame.astype(np.float64),
    "float32, [0, 1]": lambda frame: frame.astype(np.float32) / np.float32(255),
    "float64, [0, 1]": lambda frame: frame / 255,
    "float64, [0, 1] by a product": lambda frame: frame * (1 / 255),
    "float32, [0, 1], between levels": lambda frame: (frame * 0.97 + 0.4).astype(np.float32) / np.float32(255),
    "float16, [0, 1]": lambda frame: (frame / 255).astype(np.float16),
    "tensor, [0, 1]": lambda frame: torch.from_numpy(frame) / 255,
    "black": lambda frame: np.zeros(frame.shape, np.float32),
    "zeros and ones": lambda frame: (frame > 120).astype(np.float32),
}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"do_rescale": False, "offset": False},
        {"do_resize": False},
        {"do_resize": False, "crop_size": {"height": 60, "width": 99}},
        {"do_center_crop": False},
        {"do_resize": False, "do_center_crop": False},
    ],
    ids=["defaults", "no rescale", "no resize", "padding", "no crop", "no resize, no crop"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture(kind: str, options: dict[str, Any]) -> None:
    clip = [KINDS[kind](frame) for frame in small_clip()]
    assert_same(*both(clip, **options))


@pytest.mark.parametrize("kind", ["numpy", "tensor"])
def test_one_channel(kind: str) -> None:
    frames = [KINDS[kind](frame[..., :1]) for frame in small_clip()]
    ours, theirs = both(frames, image_mean=[0.4], image_std=[0.3])
    assert_same(ours, theirs)
    assert ours.shape == (1, 3, 1, 22, 26)


def test_one_channel_with_one_number_for_three() -> None:
    frames = [frame[..., :1] for frame in small_clip()]
    assert_same(*both(frames, image_mean=0.5, image_std=0.5))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK"])
def test_pictures_of_other_modes_become_rgb(mode: str) -> None:
    pictures = [Image.fromarray(frame).convert(mode) for frame in small_clip()]
    rgb = [p.convert("RGB") for p in pictures]
    assert_same(*both(pictures, oracle_videos=rgb))


CONTAINERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "one picture": (lambda clip: clip[0], lambda clip: clip[0]),
    "one PIL picture": (lambda clip: Image.fromarray(clip[0]), lambda clip: clip[0]),
    "a clip": (list, list),
    "a tuple": (tuple, list),
    "an array": (np.stack, list),
    "a tensor": (lambda clip: torch.from_numpy(np.stack(clip)), list),
    "a batch": (lambda clip: [clip, clip[::-1]], lambda clip: [clip, clip[::-1]]),
    "a batch of PIL": (lambda clip: [[Image.fromarray(f) for f in clip]] * 2, lambda clip: [clip] * 2),
    "a list of arrays": (lambda clip: [np.stack(clip)] * 2, lambda clip: [clip] * 2),
    "an array of five dimensions": (lambda clip: np.stack([clip, clip[::-1]]), lambda clip: [clip, clip[::-1]]),
    "a tensor of five dimensions": (
        lambda clip: torch.from_numpy(np.stack([clip, clip])).permute(0, 1, 4, 2, 3),
        lambda clip: [clip, clip],
    ),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_pictures_clips_and_batches(container: str) -> None:
    pack, oracle_pack = CONTAINERS[container]
    assert_same(*both(pack(small_clip()), oracle_videos=oracle_pack(small_clip())))


def test_kinds_of_result() -> None:
    processor = VivitImageProcessor(**SMALL)
    arrays = processor(small_clip(), return_tensors="np")
    tensors = processor(small_clip(), return_tensors="pt")
    plain = processor(small_clip())
    assert isinstance(arrays, BatchFeature) and arrays["pixel_values"] is arrays.pixel_values
    assert tensors.pixel_values.dtype == torch.float32 and dict(**tensors).keys() == {"pixel_values"}
    assert np.array_equal(tensors.pixel_values.numpy(), arrays.pixel_values)
    assert isinstance(plain.pixel_values, list) and isinstance(plain.pixel_values[0], list)
    assert np.array_equal(np.asarray(plain.pixel_values), arrays.pixel_values)
    assert tensors.to(torch.float16).pixel_values.dtype == torch.float16
    assert tensors.to("cpu").pixel_values.device.type == "cpu"
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = arrays.no_such_thing


def test_preprocess_is_the_call() -> None:
    processor = VivitImageProcessor(**SMALL)
    one, other = processor(small_clip(), return_tensors="np"), processor.preprocess(small_clip(), return_tensors="np")
    assert np.array_equal(one.pixel_values, other.pixel_values)


def test_images_are_the_other_name_of_videos() -> None:
    processor = VivitImageProcessor(**SMALL)
    wanted = transformers.VivitImageProcessor(**SMALL)(images=small_clip(), return_tensors="np").pixel_values
    assert_same(processor(images=small_clip(), return_tensors="np").pixel_values, wanted)
    assert_same(processor.preprocess(videos=small_clip(), return_tensors="np").pixel_values, wanted)
    with pytest.raises(ValueError, match="videos and images are two names"):
        processor(small_clip(), images=small_clip())
    with pytest.raises(ValueError):
        processor(return_tensors="np")


def test_the_dict_of_a_batch_is_the_batch() -> None:
    batches = [
        p(small_clip(), return_tensors="np") for p in (VivitImageProcessor(), transformers.VivitImageProcessor())
    ]
    for batch in batches:
        assert isinstance(batch.data, dict) and batch.data.keys() == {"pixel_values"}
        batch.data["labels"] = 3
        assert batch.labels == 3
    assert_same(*(batch.data["pixel_values"] for batch in batches))


def test_the_input_is_left_alone() -> None:
    clip = small_clip()
    before = [frame.copy() for frame in clip]
    VivitImageProcessor(**SMALL | {"do_resize": False, "do_center_crop": False})(clip, return_tensors="np")
    assert all(np.array_equal(a, b) for a, b in zip(clip, before, strict=True))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("size", SIZES)
def test_the_two_halves_joined_are_the_whole(options: str, size: str) -> None:
    processor = VivitImageProcessor(**SMALL | OPTIONS[options])
    clip = small_clip(SIZES[size], frames=2)
    first = np.stack([processor.resize_and_crop(frame) for frame in clip])
    assert first.dtype == np.uint8
    whole = processor(clip, return_tensors="np", input_data_format="channels_last").pixel_values
    assert np.array_equal(processor.normalise(first)[None], whole)


def test_the_first_half_never_touches_its_input() -> None:
    frame = picture((48, 85))
    frame.setflags(write=False)
    for options in OPTIONS.values():
        VivitImageProcessor(**SMALL | options).resize_and_crop(frame)


@pytest.mark.parametrize("size", [(16, 6000), (6000, 16), (3, 999)])
def test_huge_resizes_keep_only_the_crop_and_are_right_to_one_level(size: tuple[int, int]) -> None:
    """PIL rounds twice (across, then down); where only a part is computed some roundings fall the other way."""
    frame = picture(size)
    ours = VivitImageProcessor().resize_and_crop(frame).astype(int)
    theirs = transformers.VivitImageProcessor(do_rescale=False, offset=False, do_normalize=False)
    last: dict[str, Any] = {"data_format": "channels_last", "input_data_format": "channels_last"}
    wanted = theirs([frame], return_tensors="np", **last).pixel_values[0, 0].astype(int)
    assert ours.shape == wanted.shape
    assert np.abs(ours - wanted).max() <= 1


def test_a_thin_picture_needs_little_memory() -> None:
    """16 × 8192 pixels (height × width) resized whole would be 256 × 131072; only the crop may take memory."""
    code = (
        "import resource, numpy as np\n"
        "from vivit.processing import VivitImageProcessor\n"
        "p = VivitImageProcessor()\n"
        "p.resize_and_crop(np.zeros((64, 64, 3), np.uint8))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert p.resize_and_crop(np.zeros((16, 8192, 3), np.uint8)).shape == (224, 224, 3)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    grown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    scale = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    # The whole picture would be 100 MB.
    assert int(grown.stdout) * scale < 40e6


@pytest.mark.parametrize(
    "options", ["defaults", "height and width", "crop larger than picture", "no resize", "no crop"]
)
@pytest.mark.parametrize("size", SIZES)
def test_crop_box_is_what_the_model_sees(options: str, size: str) -> None:
    """By its shares of height and width, which are those of the crop in the resized picture, and by its centre."""
    height, width = SIZES[size]
    processor = VivitImageProcessor(**SMALL | OPTIONS[options])
    left, top, right, bottom = processor.crop_box(height, width)
    assert 0 <= left < right <= width + 1e-9 and 0 <= top < bottom <= height + 1e-9
    new_height, new_width = processor.resized(height, width)
    if processor.do_center_crop:
        kept_height = min(new_height, processor.crop_size["height"])
        kept_width = min(new_width, processor.crop_size["width"])
    else:
        kept_height, kept_width = new_height, new_width
    assert (bottom - top) / height == pytest.approx(kept_height / new_height)
    assert (right - left) / width == pytest.approx(kept_width / new_width)
    # Centred, to within one pixel of the resized picture.
    assert abs((left + right) / 2 - width / 2) <= width / new_width
    assert abs((top + bottom) / 2 - height / 2) <= height / new_height


# Faults


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"size": {"longest_edge": 5}}, "longest_edge"),
        ({"size": {"height": 5}}, "height"),
        ({"size": {"shortest_edge": 0}}, "0"),
        ({"size": {"shortest_edge": 2.5}}, "2.5"),
        ({"size": "large"}, "large"),
        ({"size": [224, 224, 3]}, "224"),
        ({"size": (224, 2.5)}, "2.5"),
        ({"size": (224,)}, "224"),
        ({"crop_size": (22, 0)}, "0"),
        ({"crop_size": "22"}, "crop_size"),
        ({"crop_size": {"shortest_edge": 5}}, "crop_size"),
        ({"crop_size": {"height": -5, "width": 3}}, "-5"),
        ({"size": -1}, "-1"),
        ({"do_rescale": False}, "offset"),
        ({"resample": 9}, "9"),
        ({"resample": "bilinear"}, "bilinear"),
        ({"image_std": 0.0}, "image_std"),
        ({"image_std": [0.5, 0.0, 0.5]}, "image_std"),
        ({"image_mean": "half"}, "image_mean"),
        ({"rescale_factor": "1/255"}, "rescale_factor"),
    ],
    ids=str,
)
def test_impossible_options_are_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError) as caught:
        VivitImageProcessor(**changes)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"return_tensors": "tf"}, "tf"),
        ({"data_format": "channels_middle"}, "channels_middle"),
        ({"input_data_format": "channels_middle"}, "channels_middle"),
        ({"no_such_option": 1}, "no_such_option"),
        ({"image_mean": [0.1, 0.2]}, "image_mean"),
        ({"do_rescale": False}, "offset"),
    ],
    ids=str,
)
def test_impossible_options_of_a_call_are_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError) as caught:
        VivitImageProcessor(**SMALL)(small_clip(), **options)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "videos",
    [
        [],
        [[]],
        None,
        "clip.mp4",
        ["clip.mp4"],
        3,
        [1, 2],
        {},
        np.zeros((8, 8), np.uint8),
        np.zeros((1, 1, 1, 8, 8, 3), np.uint8),
        [np.zeros((8, 8), np.uint8)],
        [picture((8, 8)), None],
        [[picture((8, 8))], picture((8, 8))],
        np.zeros((0, 8, 8, 3), np.uint8),
        [np.zeros((0, 8, 3), np.uint8)],
        [np.zeros((8, 8, 5), np.uint8)],
        [np.full((8, 8, 3), 300.0)],
        [np.full((8, 8, 3), -1)],
        [np.full((8, 8, 3), np.nan, np.float32)],
    ],
    ids=lambda value: str(value).replace("\n", "")[:40],
)
def test_what_is_no_picture_is_refused(videos: Any) -> None:
    with pytest.raises(ValueError):
        VivitImageProcessor(**SMALL)(videos, return_tensors="np")


def test_floats_that_are_no_picture_are_refused_as_by_the_oracle() -> None:
    """Neither [0, 1] nor whole levels: which of them the caller means cannot be known."""
    between = [frame * 0.9 + 0.3 for frame in small_clip()]
    for processor in (VivitImageProcessor(**SMALL), transformers.VivitImageProcessor(**SMALL)):
        with pytest.raises(ValueError):
            processor(between, return_tensors="np")


@pytest.mark.parametrize("crop", [{"height": 22, "width": 26}, {"height": 60, "width": 99}], ids=["cut", "padded"])
def test_floats_of_any_range_are_cropped_exactly(crop: dict[str, int]) -> None:
    """Only resizing needs whole levels; a crop keeps what it is given."""
    clip = [np.random.default_rng(seed).normal(0, 2, (48, 85, 3)).astype(np.float32) for seed in range(2)]
    assert_same(*both(clip, do_resize=False, do_rescale=False, offset=False, crop_size=crop))


def test_clips_of_different_sizes_cannot_share_a_tensor() -> None:
    processor = VivitImageProcessor(**SMALL | {"do_center_crop": False})
    with pytest.raises(ValueError, match="different sizes"):
        processor([small_clip((48, 85)), small_clip((48, 99))], return_tensors="np")
    with pytest.raises(ValueError, match="different sizes"):
        processor([small_clip(frames=2), small_clip(frames=3)], return_tensors="pt")
    ragged = processor([small_clip(frames=2), small_clip(frames=3)]).pixel_values
    assert [len(clip) for clip in ragged] == [2, 3]
