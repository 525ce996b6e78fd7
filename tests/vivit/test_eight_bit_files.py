"""Checkpoints in 8 bit: written, read by either side, and damaged."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import BitsAndBytesConfig

from tests import oracle
from tests.vivit.checkpoint.folders import rewrite, tensors_of
from tests.vivit.eight_bit_models import KEPT, agree, in_8_bit, layers, logits, theirs_of
from vivit import VivitForVideoClassification, pipeline
from vivit.checkpoint import open_checkpoint
from vivit.checkpoint.files import dequantised
from vivit.checkpoint.layout import published_name, published_tensors
from vivit.eight_bit import quantise
from vivit.errors import UserError
from vivit.precision import EIGHT_BIT, kept_bytes

load = VivitForVideoClassification.from_pretrained


def test_what_is_saved_transformers_reads(tmp_path: Path, large_numbers: Path) -> None:
    model = load(large_numbers, load_in_8bit=True)
    model.save_pretrained(tmp_path / "ours")
    in_8_bit(large_numbers).save_pretrained(tmp_path / "theirs")
    mine, wanted = (load_file(tmp_path / name / "model.safetensors") for name in ("ours", "theirs"))
    assert mine.keys() == wanted.keys() and all(torch.equal(mine[name], wanted[name]) for name in wanted)
    written = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert written["dtype"] == "float32" and written["quantization_config"]["llm_int8_skip_modules"] == KEPT
    back = theirs_of(tmp_path / "ours")
    assert type(back.classifier) is nn.Linear
    agree(model, back)


@pytest.mark.parametrize("head", ["kept", "in 8 bit"])
@pytest.mark.parametrize("threshold", [6.0, 3.0])
def test_what_transformers_saved_is_read(tmp_path: Path, large_numbers: Path, head: str, threshold: float) -> None:
    skipped = KEPT if head == "kept" else []
    config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skipped, llm_int8_threshold=threshold)
    theirs = theirs_of(large_numbers, quantization_config=config)
    theirs.save_pretrained(tmp_path)
    ways: list[dict[str, Any]] = [{}, {"load_in_8bit": True}, {"dtype": "auto"}, {"dtype": EIGHT_BIT}]
    for options in ways:
        ours = load(tmp_path, **options)
        assert {layer.threshold for layer in layers(ours)} == {threshold}
        mine, wanted = published_tensors(ours), {published_name(k): t for k, t in theirs.state_dict().items()}
        assert all(torch.equal(mine[k], wanted[k]) for k in mine if not k.startswith("classifier")), "bit by bit"
        if head == "kept":
            agree(ours, theirs)
        else:  # it is made floating here, and tokens are not rounded before it
            torch.testing.assert_close(logits(ours), logits(theirs), rtol=0, atol=5e-2)
        assert "quantization_config" not in ours.config.extra


def test_saved_and_read_again_is_the_same(tmp_path: Path, large_numbers: Path) -> None:
    first = load(large_numbers, quantization_config=BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=4.5))
    first.save_pretrained(tmp_path / "1")
    second = load(tmp_path / "1")
    second.save_pretrained(tmp_path / "2")
    assert (tmp_path / "1" / "model.safetensors").read_bytes() == (tmp_path / "2" / "model.safetensors").read_bytes()
    assert torch.equal(logits(first), logits(second)) and layers(second)[0].threshold == 4.5
    (tmp_path / "1" / "preprocessor_config.json").write_bytes((large_numbers / "preprocessor_config.json").read_bytes())
    assert layers(pipeline(model=str(tmp_path / "1")).model), "as from_pretrained reads it"


@pytest.mark.parametrize("scale", [1e-7, 1e-4, 1.0, 300.0])
def test_made_floating_and_rounded_again_is_the_same_bit_by_bit(scale: float) -> None:
    weight = torch.randn(64, 200, generator=torch.Generator().manual_seed(0)) * scale
    weight[3] = 0
    weight[4, 1:] = 0
    rounded, scales = quantise(weight)
    ((name, floating),) = dequantised([("a.weight", rounded), ("a.weight_format", torch.tensor(0)), ("a.SCB", scales)])
    again, scales_again = quantise(floating)
    assert name == "a.weight" and torch.equal(again, rounded) and torch.equal(scales_again, scales)
    assert (floating - weight).abs().max() <= scales.max() / 127 * 0.57 + 2**-24


def test_the_order_in_a_file_does_not_matter(tmp_path: Path, large_numbers: Path) -> None:
    model = load(large_numbers, load_in_8bit=True)
    model.save_pretrained(tmp_path)
    for order in (sorted, lambda names: sorted(names, reverse=True)):
        tensors = tensors_of(tmp_path)
        (tmp_path / "model.safetensors").unlink()
        torch.save({name: tensors[name] for name in order(tensors)}, tmp_path / "pytorch_model.bin")
        assert torch.equal(logits(load(tmp_path)), logits(model))
        rewrite(tmp_path, tensors)


def test_other_precisions_read_it_too_and_do_not_carry_it_on(tmp_path: Path, large_numbers: Path) -> None:
    load(large_numbers, load_in_8bit=True).save_pretrained(tmp_path / "eight")
    exact = load(large_numbers)
    for model in (
        load(tmp_path / "eight", dtype="float32"),
        open_checkpoint(tmp_path / "eight").load(VivitForVideoClassification),
    ):
        assert not layers(model) and kept_bytes(model) == kept_bytes(exact)
        # Off by half a step (the row's largest / 127) at most, and by float16's rounding before, 2⁻¹¹: a sixteenth of a step.
        for name, tensor in published_tensors(exact).items():
            off = (published_tensors(model)[name] - tensor).abs().max()
            assert off <= (tensor.abs().max() / 127 * 0.57 if "weight" in name else 0), name
        model.save_pretrained(tmp_path / "again")
        assert "quantization_config" not in json.loads((tmp_path / "again" / "config.json").read_text())
        assert {t.dtype for t in tensors_of(tmp_path / "again").values()} == {torch.float32}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"quant_method": "gptq", "bits": 4}, "gptq"),
        ({"quant_method": "torchao", "quant_type": {}}, "torchao"),
        (BitsAndBytesConfig(load_in_4bit=True).to_dict(), "load_in_4bit"),
        ("8 bit", "must be a dict"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"dtype": "float32"}, {"load_in_8bit": True}])
def test_files_that_are_quantised_otherwise_are_refused(
    tmp_path: Path, values: Any, said: str, options: dict[str, Any]
) -> None:
    oracle.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"quantization_config": values}))
    with pytest.raises(UserError, match=rf"'{tmp_path.name}' are quantised in a way .*{said}.*\.$"):
        load(tmp_path, **options)
    with pytest.raises(UserError, match=said):
        open_checkpoint(tmp_path).load(VivitForVideoClassification)


def test_damaged_files(tmp_path: Path, large_numbers: Path) -> None:
    load(large_numbers, load_in_8bit=True).save_pretrained(tmp_path)
    whole = tensors_of(tmp_path)
    stem = "vivit.encoder.layer.1.output.dense"
    for changes, said in (
        ({f"{stem}.SCB": None}, f"'{stem}' is in 8 bit, and lacks"),
        ({f"{stem}.weight": None}, f"'{stem}' is in 8 bit, and lacks"),
        ({f"{stem}.SCB": None, f"{stem}.weight": None}, "1 missing .*encoder.layer.1.output.dense.weight"),
        ({f"{stem}.weight_format": torch.tensor(2, dtype=torch.uint8)}, "another format"),
        ({f"{stem}.SCB": torch.ones(3)}, "not of one shape"),
        ({f"{stem}.weight": torch.ones(3, 4, dtype=torch.int8), f"{stem}.SCB": torch.ones(3)}, "of another shape"),
    ):
        rewrite(tmp_path, {k: t for k, t in (whole | changes).items() if t is not None})
        with pytest.raises(UserError, match=said):
            load(tmp_path)
