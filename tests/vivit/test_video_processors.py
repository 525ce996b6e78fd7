"""Video processors, whose pixels are torchvision's."""

import dataclasses
from pathlib import Path

import numpy as np
import transformers

from tests.vivit.pictures import SMALL, small_clip
from vivit import VivitImageProcessor, VivitVideoProcessor


def test_a_video_processor_makes_torchvisions_pixels_of_any_file(tmp_path: Path) -> None:
    transformers.VivitImageProcessor(**SMALL).save_pretrained(tmp_path)
    ours = VivitVideoProcessor.from_pretrained(tmp_path, do_normalize=False)
    assert type(ours) is VivitVideoProcessor and ours.backend == "torchvision"
    same = dataclasses.replace(VivitImageProcessor(**SMALL, do_normalize=False), backend="torchvision")
    [mine, wanted, pil] = (
        p(small_clip(), return_tensors="np").pixel_values
        for p in (ours, same, VivitImageProcessor(**SMALL, do_normalize=False))
    )
    assert np.array_equal(mine, wanted) and mine.shape == pil.shape
    # It rounds otherwise, by a level of 255 at most: 2 / 255 in [-1, 1].
    assert 0 < np.abs(mine - pil).max() < 2.01 / 255
    for processor in (ours, VivitVideoProcessor()):
        values = processor.to_dict()
        assert values["video_processor_type"] == "VivitVideoProcessor" and "image_processor_type" not in values
        assert VivitVideoProcessor.from_dict(values) == processor
    ours.save_pretrained(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["video_preprocessor_config.json"]
    assert VivitVideoProcessor.from_pretrained(tmp_path) == ours
    read = VivitImageProcessor.from_pretrained(tmp_path)
    assert np.array_equal(read(small_clip(), return_tensors="np").pixel_values, mine)


def test_a_video_processor_of_a_checkpoint_without_one_crops_to_its_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"image_size": 112}')
    ours = VivitVideoProcessor.from_pretrained(tmp_path)
    assert (type(ours), ours.output_size, ours.size) == (VivitVideoProcessor, (112, 112), {"shortest_edge": 128})
