"""Frames that are normalised as tensors: NumPy's pixels, to the last bit."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from vivit import VivitImageProcessor
from vivit.crossing import cross, normalise
from vivit.processing import NORMALISATIONS

CPU = torch.device("cpu")

PROCESSORS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "original": NORMALISATIONS["original"],
    "offset": {"offset": True, "rescale_factor": 1 / 100, "do_normalize": False},
    "no offset": {"offset": False},
    "another factor": {"offset": False, "rescale_factor": 0.00392156862745098},
    "no rescale": {"do_rescale": False, "offset": False},
    "nothing": {"do_rescale": False, "offset": False, "do_normalize": False},
    "a mean and a std a channel": {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
    "one mean and std": {"image_mean": 0.3, "image_std": 0.2},
    "torchvision": {"backend": "torchvision"},
}


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def bits(tensor: torch.Tensor) -> np.ndarray:
    """The bits as whole numbers, by which -0 differs from 0."""
    return tensor.view({4: torch.int32, 2: torch.int16}[tensor.element_size()]).numpy()


@pytest.mark.parametrize("shape", [(256, 5, 3), (4, 17, 23, 3), (2, 8, 24, 20, 3)], ids=str)
@pytest.mark.parametrize("name", PROCESSORS)
def test_tensors_are_normalised_as_arrays(name: str, shape: tuple[int, ...]) -> None:
    processor, frames = VivitImageProcessor(**PROCESSORS[name]), noise(*shape)
    frames.reshape(-1, 3)[:256] = np.arange(256)[:, None]  # every level in every channel
    for given in (frames, frames.astype(np.float32) / 255):
        wanted, tensor = torch.from_numpy(processor.normalise(given)), torch.from_numpy(given.copy())
        found = normalise(tensor, processor)
        assert found.dtype == torch.float32 and found.is_contiguous() and found.shape == wanted.shape
        assert np.array_equal(bits(found), bits(wanted)) and torch.equal(tensor, torch.from_numpy(given))
        for dtype in (torch.float16, torch.bfloat16):  # rounded once
            assert np.array_equal(bits(normalise(tensor, processor, dtype)), bits(wanted.to(dtype)))


def test_pictures_of_one_channel() -> None:
    """One channel lies first as well as last, with nothing to move: what is given is not written to even so."""
    processor = VivitImageProcessor(image_mean=0.4, image_std=[0.3])
    frames = noise(3, 6, 7, 1).astype(np.float32)
    given = frames.copy()
    assert np.array_equal(normalise(torch.from_numpy(given), processor).numpy(), processor.normalise(frames))
    assert np.array_equal(given, frames)


def test_channels_that_the_processor_does_not_have() -> None:
    with pytest.raises(ValueError, match="1 or 4 numbers"):
        normalise(torch.zeros(2, 3, 3, 4, dtype=torch.uint8), VivitImageProcessor())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_clips_of_bytes_and_of_floats_cross_together(dtype: torch.dtype) -> None:
    processor = VivitImageProcessor()
    whole, floats = noise(4, 6, 8, 3), noise(4, 6, 8, 3).astype(np.float32) / 255
    for clips in ([whole], [whole, whole[:, ::-1]], [floats], [whole, floats]):
        wanted = torch.from_numpy(np.stack([processor.normalise(clip) for clip in clips])).to(dtype)
        found = cross(clips, processor, CPU, dtype)
        assert found.dtype == dtype and np.array_equal(bits(found), bits(wanted))


def test_bytes_of_a_message_may_cross() -> None:
    """They cannot be written to, of which PyTorch would warn."""
    frames = noise(4, 6, 8, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cross(
            [np.frombuffer(frames.tobytes(), np.uint8).reshape(frames.shape)], VivitImageProcessor(), CPU, torch.float32
        )
    assert np.array_equal(found[0].numpy(), VivitImageProcessor().normalise(frames))
