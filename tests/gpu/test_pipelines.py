"""From bytes to answers on an NVIDIA GPU: the pixels are the CPU's, and passes overlap."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.gpu.here import MANNEQUIN
from vivit import VivitImageProcessor, pipeline
from vivit.crossing import cross

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("exact_products")]


@pytest.mark.parametrize("options", [{}, {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}])
def test_bytes_are_normalised_on_the_gpu_as_on_the_cpu(options: dict[str, Any]) -> None:
    """Product and sum are two kernels there, so that nothing is fused and every bit is NumPy's."""
    processor, clips = (
        VivitImageProcessor(**options),
        [*np.random.default_rng(0).integers(0, 256, (2, 32, 64, 48, 3), np.uint8)],
    )
    wanted = torch.from_numpy(np.stack([processor.normalise(clip) for clip in clips]))
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        assert torch.equal(cross(clips, processor, torch.device("cuda"), dtype).cpu(), wanted.to(dtype))


def test_a_pipeline_has_its_next_pass_begin_before_it_answers() -> None:
    """And does not without threads. The answers are the same, and each has the time of a pass."""
    classify = pipeline(model=MANNEQUIN, device="cuda", batch_size=2)
    passes: list[int] = []
    shape = (8, *classify.model.config.clip_size, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    wanted = [classify(clip) for clip in frames]
    for workers in (0, 2):
        passes.clear()
        with classify.model.vivit.register_forward_hook(lambda *_: passes.append(1)):
            answers = classify(iter(frames), num_workers=workers)
            first = next(answers)
            assert len(passes) == (2 if workers else 1)
            found = [first, *answers]
        for one, other in zip(found, wanted, strict=True):
            assert [p["label"] for p in one] == [p["label"] for p in other]
            # Sums of a batch of two are in another order, in float32.
            assert [p["score"] for p in one] == pytest.approx([p["score"] for p in other], abs=1e-5)
            assert one.timings_ms["forward"] > 0
