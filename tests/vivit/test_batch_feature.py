"""What a processor returns: a dict of arrays that converts and copies."""

import copy
import pickle

import numpy as np
import torch
import transformers

from tests.vivit.pictures import SMALL, small_clip
from vivit import VivitImageProcessor
from vivit.batch_feature import BatchFeature


def test_a_batch_converts_numbers_and_leaves_whole_ones_as_they_are() -> None:
    tensors = {
        "pixel_values": torch.rand(2, 3),
        "doubles": torch.rand(2, dtype=torch.float64),
        "labels": torch.tensor([1, 2]),
        "mask": torch.tensor([True, False]),
        "names": ["a", "b"],
        "clips": [torch.rand(2), (torch.tensor([3]), None)],
    }
    for arguments, options in (
        ((torch.float16,), {}),
        (("cpu", torch.bfloat16), {}),
        (("cpu",), {"dtype": torch.float16}),
        ((), {"dtype": torch.float16}),
        (("cpu",), {}),
        ((torch.device("cpu"),), {"non_blocking": True}),
        (("meta",), {}),
        (("meta", torch.float16), {}),
    ):
        ours, theirs = BatchFeature(tensors), transformers.BatchFeature(tensors)
        assert ours.to(*arguments, **options) is ours and theirs.to(*arguments, **options) is theirs
        assert list(ours) == list(theirs) and ours.names == ["a", "b"] and ours.clips[1][1] is None
        for name, mine, value in (
            *((name, ours[name], theirs[name]) for name in ("pixel_values", "doubles", "labels", "mask")),
            ("a clip", ours.clips[0], theirs.clips[0]),
            ("whole numbers in a tuple", ours.clips[1][0], theirs.clips[1][0]),
        ):
            assert (mine.dtype, mine.device) == (value.dtype, value.device), (arguments, name)
            assert value.is_meta or torch.equal(mine, value), (arguments, name)
        assert ours.pixel_values is ours["pixel_values"]
    pixel_values = tensors["pixel_values"]
    assert isinstance(pixel_values, torch.Tensor) and pixel_values.dtype == torch.float32, "what it was made of stays"


def test_a_batch_is_copied_and_pickled_whole() -> None:
    batch = VivitImageProcessor(**SMALL)(small_clip(), return_tensors="np")
    for copied in (copy.copy(batch), copy.deepcopy(batch), pickle.loads(pickle.dumps(batch))):
        assert isinstance(copied, BatchFeature) and np.array_equal(copied.pixel_values, batch["pixel_values"])
