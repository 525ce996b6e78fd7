"""Pictures, sizes and options to process them with, and the pixels that we and transformers make of them."""

from typing import Any

import numpy as np
import transformers

from tests.oracle import Tolerance
from vivit import VivitImageProcessor

# Both sides round in float32, in another order: values of up to 3 differ by at most 2e-6, larger ones in proportion.
EXACT: Tolerance = {"rtol": 7e-7, "atol": 2e-6}

SIZES = {  # (height, width)
    "landscape": (48, 85),
    "portrait": (85, 48),
    "odd": (37, 53),
    "odd portrait": (53, 37),
    "square": (40, 40),
    "tiny": (2, 3),
    "one pixel": (1, 1),
    "thin": (5, 61),
}

# Small, so that a hundred cases take a second; and unequal, so that height and width cannot be mistaken.
SMALL: dict[str, Any] = {"size": {"shortest_edge": 30}, "crop_size": {"height": 22, "width": 26}}

OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "upscaling": {"size": {"shortest_edge": 120}},
    "height and width": {"size": {"height": 31, "width": 44}},
    "width only grows": {"size": {"height": 20, "width": 90}, "crop_size": {"height": 20, "width": 64}},
    "crop larger than picture": {"crop_size": {"height": 71, "width": 150}},
    "crop taller than picture": {"crop_size": {"height": 101, "width": 8}},
    "crop wider than picture": {"crop_size": {"height": 8, "width": 201}},
    "odd crop": {"crop_size": {"height": 17, "width": 23}},
    "no resize": {"do_resize": False},
    "no resize, larger crop": {"do_resize": False, "crop_size": {"height": 90, "width": 91}},
    "no crop": {"do_center_crop": False},
    "no resize, no crop": {"do_resize": False, "do_center_crop": False},
    "no rescale": {"do_rescale": False, "offset": False},
    "no rescale, no normalise": {"do_rescale": False, "offset": False, "do_normalize": False},
    "another factor": {"rescale_factor": 1 / 255},
    "no offset": {"rescale_factor": 1 / 255, "offset": False},
    "no normalise": {"do_normalize": False},
    "mean and std": {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
    "one mean and std": {"image_mean": 0.3, "image_std": 0.2},
    **{f"filter {number}": {"resample": number} for number in range(6)},
}


def picture(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Noise over a slope: every pixel tells where it is, and edges are sharp."""
    height, width = size
    slope = np.linspace(0, 180, height)[:, None, None] + np.linspace(0, 60, width)[:, None]
    noise = np.random.default_rng(seed).integers(-40, 40, (height, width, 3))
    return np.clip(slope + noise, 0, 255).astype(np.uint8)


def small_clip(size: tuple[int, int] = (48, 85), frames: int = 3) -> list[np.ndarray]:
    return [picture(size, seed) for seed in range(frames)]


def both(videos: Any, oracle_videos: Any = None, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """`pixel_values` of ours and theirs with `SMALL` and these options."""
    call = {k: options.pop(k) for k in ("data_format", "input_data_format") if k in options}
    ours = VivitImageProcessor(**SMALL | options)(videos, return_tensors="np", **call).pixel_values
    theirs = transformers.VivitImageProcessor(**SMALL | options)
    wanted = theirs(videos if oracle_videos is None else oracle_videos, return_tensors="np", **call).pixel_values
    return ours, wanted


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, **EXACT)
