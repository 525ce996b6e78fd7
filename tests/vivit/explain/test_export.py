"""The video of a map: frames beside the same with heat over them, each at its own time."""

from io import BytesIO

import av
import numpy as np
import pytest

from vivit.explain.drawing import GAP, enlarged, overlay
from vivit.explain.export import HEIGHT, overlay_mp4

SECONDS = (0.5, 0.75, 1.25, 1.5, 1.5, 2.0)


@pytest.mark.parametrize(("height", "width"), [(33, 47), (64, 64), (320, 258)])
def test_both_sides_are_in_step(height: int, width: int) -> None:
    """Blocks of one colour, which changes with every frame; the codec may be off by some levels, and colours by tens."""
    colours = np.random.default_rng(0).integers(0, 256, (6, 3), np.uint8)
    frames = colours[:, None, None].repeat(height, 1).repeat(width, 2)
    weights = np.random.default_rng(1).random((3, 2, 2), np.float32)
    high = max(height, HEIGHT)
    wide = round(width * high / height)
    with av.open(BytesIO(overlay_mp4(frames, SECONDS, 3.0, weights, 0.6)), "r") as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"  # which browsers play
        shown = [*container.decode(stream)]
        assert container.duration is not None
        assert container.duration / av.time_base == pytest.approx(2.5, abs=0.01)
    # Two frames of one time, as of a clip that is too short, come a tick apart.
    assert [frame.time + 0.5 for frame in shown] == pytest.approx(SECONDS, abs=1e-4)
    wanted = overlay(enlarged(frames, high, wide), weights, 0.6)
    for frame, plain, heated in zip(shown, colours, wanted, strict=True):
        picture = frame.to_ndarray(format="rgb24").astype(int)
        assert abs(picture.shape[0] - high) <= 1 and abs(picture.shape[1] - (2 * wide + GAP)) <= 1  # even sides
        assert np.abs(picture[8:-8, 8 : wide - 8] - plain).mean() < 6
        assert np.abs(picture[8 : high - 8, wide + GAP + 8 : 2 * wide + GAP - 8] - heated[8:-8, 8:-8]).mean() < 6
