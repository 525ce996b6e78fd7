"""Pictures resized as transformers' classes do it, one function a backend. No torch is used.

Letters: C channels, H × W pixels.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

BICUBIC = 3
Box = tuple[float, float, float, float]  # left, top, right, bottom in the picture's pixels
Resize = Callable[[np.ndarray, tuple[int, int], int, Box | None], np.ndarray]  # frame, (height, width), filter, box


def resize_pil(frame: np.ndarray, size: tuple[int, int], resample: int, box: Box | None = None) -> np.ndarray:
    """By PIL, which rounds to whole levels after each of its two passes.

    Args:
        frame: (H, W, C) uint8.
        size: (height, width) of the result.
        resample: PIL's filter, 0 to 5.
        box: the part to resize; all of it if None.

    Returns:
        (height, width, C) uint8.
    """
    picture = Image.fromarray(frame if frame.shape[2] != 1 else frame[..., 0])
    return np.asarray(picture.resize(size[::-1], resample, box)).reshape(*size, frame.shape[2])


def resize_torchvision(frame: np.ndarray, size: tuple[int, int], resample: int, box: Box | None = None) -> np.ndarray:
    """By the formula of torchvision's `resize` with antialias: PIL's filters, in floating point, rounded once.

    Bilinear is so on GPUs, and on CPUs that it has no code of its own for; on the others (since 0.28 with AVX2, AVX-512 or on
    ARM) it works on whole levels and rounds twice, which puts up to a fifth of the values one level apart.
    Bicubic is done on whole levels on every CPU, and rounded twice, as by PIL. Where a sum lies halfway between two levels,
    torch's order of summation may round it the other way.

    Args:
        frame, size, box: as `resize_pil`'s, but of any dtype.
        resample: 2, bilinear, or 3, bicubic.

    Returns:
        (height, width, C), dtype of `frame`.

    Source: torchvision 0.24, `transforms/v2/functional/_geometry.py`.
    """
    if frame.dtype == np.uint8 and resample == BICUBIC:
        return resize_pil(frame, size, resample, box)
    planes = np.moveaxis(frame, -1, 0).astype(np.float32, order="C")
    resized = np.stack([np.asarray(Image.fromarray(p).resize(size[::-1], resample, box)) for p in planes], axis=-1)
    if np.issubdtype(frame.dtype, np.integer):
        resized = np.rint(resized)
    return resized.astype(frame.dtype)


RESIZE: dict[str, Resize] = {"pil": resize_pil, "torchvision": resize_torchvision}
