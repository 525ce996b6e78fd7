"""Frames → `pixel_values` on the device: what crosses is uint8, a quarter of the float32 that is made of it there.

Letters: B clips or views of clips, T frames, C channels, H × W pixels.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vivit.processing import VivitImageProcessor


def cross(
    clips: Sequence[np.ndarray], processor: VivitImageProcessor, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Bring clips to a device and normalise them there.

    On CUDA clips cross from pinned memory and the host does not wait: what is done to the result comes after the copy.

    Args:
        clips: (T, H, W, C) each, all of one shape, resized and cropped: uint8, or float32 of pictures that were given so.
        processor: its arithmetic.
        device, dtype: of the result.

    Returns:
        (B, T, C, H, W).
    """
    pinned = device.type == "cuda"
    kind = torch.uint8 if all(clip.dtype == np.uint8 for clip in clips) else torch.float32
    frames = torch.empty((len(clips), *clips[0].shape), dtype=kind, pin_memory=pinned)
    np.stack(clips, out=frames.numpy())
    if device.type == "cpu":  # PyTorch's threads would wait for each other wherever another process is busy
        return torch.from_numpy(processor.normalise(frames.numpy())).to(dtype)
    return normalise(frames.to(device, non_blocking=pinned), processor, dtype)


def normalise(frames: Tensor, processor: VivitImageProcessor, dtype: torch.dtype = torch.float32) -> Tensor:
    """`VivitImageProcessor.normalise` of a tensor, on its device. Product and sum are rounded each, as NumPy does it.

    Args:
        frames: (…, H, W, C), of any dtype.
        dtype: of the result; computed in float32, and rounded once.

    Returns:
        (…, C, H, W).
    """
    pixels = frames.movedim(-1, -3).to(torch.float32, memory_format=torch.contiguous_format, copy=True)
    # Scale and shift are numbers: for tensors the host would wait until the device has done all it was given before.
    line = (values.astype(np.float32).tolist() for values in processor.line(frames.shape[-1]))
    for plane, scale, shift in zip(pixels.unbind(-3), *line, strict=True):
        plane.mul_(scale).add_(shift)
    return pixels.to(dtype)
