"""A head that is taught on an NVIDIA GPU is the one of a CPU, and is written as one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vivit import VivitForVideoClassification, VivitImageProcessor
from vivit.teach import fit_head
from vivit.teach.taking import FeatureTaker

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("precision, tolerance", [("float32", 1e-3), ("float16", 3e-2)])
def test_a_head_of_a_gpu_is_that_of_a_cpu(precision: str, tolerance: float, tmp_path: Path) -> None:
    processor = VivitImageProcessor.from_pretrained("vivit-mannequin")
    chance = np.random.default_rng(0)
    clips = [chance.integers(0, 128 + 127 * (k % 2), (1, 32, 128, 128, 3), np.uint8) for k in range(12)]
    labels = ["dark", "bright"] * 6
    answers = {}
    for device, dtype in (("cpu", "float32"), ("cuda", precision)):
        model = VivitForVideoClassification.from_pretrained("vivit-mannequin", device=device, dtype=dtype)
        size, taker = model.config.hidden_size, FeatureTaker(model, processor, 4)
        rows = np.stack([answer.features for answer in taker(clips) if answer.features is not None])
        taught = fit_head(model, rows[:, :size], labels, looks=rows[:, size:])
        assert taught.model.device.type == device and taught.report.accuracy == 1.0
        taught.save(tmp_path / device, processor)
        read = VivitForVideoClassification.from_pretrained(tmp_path / device, dtype="float32")
        pixel_values = torch.as_tensor(processor.normalise(np.concatenate(clips)))
        with torch.inference_mode():
            answers[device] = read(pixel_values).logits.softmax(-1)
    torch.testing.assert_close(answers["cuda"], answers["cpu"], atol=tolerance, rtol=0)
