"""8 bit, against transformers with bitsandbytes on the same weights."""

import copy
import json
import logging
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import nn
from transformers import BitsAndBytesConfig

import vivit
from tests import oracle
from tests.vivit.eight_bit_models import (
    KEPT,
    agree,
    in_8_bit,
    layers,
    logits,
    same_weights,
    theirs_of,
)
from vivit import AutoModelForVideoClassification, VivitForVideoClassification, VivitModel, pipeline
from vivit.checkpoint import open_checkpoint
from vivit.checkpoint.files import dequantised
from vivit.checkpoint.layout import published_tensors
from vivit.eight_bit import EightBit, EightBitUnavailable, Int8Linear, asked_for, why_not
from vivit.errors import UserError
from vivit.hub import ASSETS
from vivit.precision import DYNAMIC_INT8, EIGHT_BIT, kept_bytes, set_precision
from vivit.preparing import prepare_clip

load = VivitForVideoClassification.from_pretrained


# The page's call


@pytest.mark.parametrize(
    "quantisation", [{"load_in_8bit": True}, {"quantization_config": BitsAndBytesConfig(load_in_8bit=True)}]
)
@pytest.mark.parametrize("kind", [VivitForVideoClassification, AutoModelForVideoClassification])
def test_the_call_of_the_page(large_numbers: Path, kind: Any, quantisation: dict[str, Any]) -> None:
    model = kind.from_pretrained(large_numbers, device_map="auto", **quantisation)
    assert not model.training and len(layers(model)) == 4 * 3
    theirs = in_8_bit(large_numbers)
    same_weights(model, theirs)
    agree(model, theirs)


def test_the_linear_layers_of_the_encoder_and_nothing_else(large_numbers: Path) -> None:
    model = load(large_numbers, load_in_8bit=True)
    linear = {name: type(m) for name, m in model.named_modules() if isinstance(m, nn.Linear | Int8Linear)}
    kept = {name for name, kind in linear.items() if kind is not Int8Linear}
    assert kept == {"vivit.embeddings.projection", "classifier"}
    assert {p.dtype for n, p in model.named_parameters() if not n.endswith("weight")} == {torch.float32}
    exact = load(large_numbers)
    assert torch.equal(model.classifier.weight, exact.classifier.weight)
    assert model.num_parameters() == exact.num_parameters() and model.dtype == torch.float32


def test_a_bare_model_keeps_its_pooler(tmp_path: Path) -> None:
    oracle.save(tmp_path, "VivitModel")
    config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=KEPT)
    theirs = theirs_of(tmp_path, "VivitModel", quantization_config=config)
    ours = VivitModel.from_pretrained(tmp_path, load_in_8bit=True)
    same_weights(ours, theirs)
    pixel_values = oracle.clip(ours.config)
    with torch.inference_mode():
        mine, wanted = ours(pixel_values), theirs(pixel_values)
    torch.testing.assert_close(mine.pooler_output, wanted.pooler_output, rtol=1e-5, atol=1e-5)
    ours.save_pretrained(tmp_path / "again")
    torch.testing.assert_close(
        theirs_of(tmp_path / "again", "VivitModel")(pixel_values).pooler_output,
        mine.pooler_output,
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_whole_logits_in_half_precision(tmp_path: Path, large_numbers: Path, dtype: torch.dtype) -> None:
    # From a checkpoint in that dtype: transformers rounds matrices to it before they are rounded to 8 bit, and ours does not.
    load(large_numbers, dtype=dtype).save_pretrained(tmp_path)
    ours, theirs = load(tmp_path, load_in_8bit=True, dtype=dtype), in_8_bit(tmp_path, dtype)
    same_weights(ours, theirs)
    assert ours.dtype == logits(ours).dtype == dtype
    # Here and there a token is rounded otherwise, and the next product's int8 then by a step of its largest number / 127.
    exact = logits(in_8_bit(tmp_path))
    torch.testing.assert_close(logits(ours), logits(theirs), rtol=0, atol=HALF[dtype] * exact.abs().max().item())


HALF = {torch.float16: 0.02, torch.bfloat16: 0.06}


@pytest.mark.parametrize("threshold", [0.0, 3.0, 6.0])
def test_large_numbers_go_by_the_threshold(large_numbers: Path, threshold: float) -> None:
    config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=threshold)
    ours = load(large_numbers, quantization_config=config)
    large = []
    for layer in layers(ours):
        layer.register_forward_pre_hook(lambda layer, x: large.append((x[0].abs() >= 6).any(0).any(0).sum().item()))
    found = logits(ours)
    assert all(n > 0 for n in large[::4]) and sum(n > 0 for n in large) >= 6, "the checkpoint has them"
    agree(ours, in_8_bit(large_numbers, llm_int8_threshold=threshold))
    others = [
        logits(load(large_numbers, quantization_config={"load_in_8bit": True, "llm_int8_threshold": t}))
        for t in (0, 3, 6)
    ]
    assert sum(torch.equal(found, other) for other in others) == 1, "each threshold answers otherwise"


def test_without_biases(tmp_path: Path) -> None:
    oracle.save(tmp_path, qkv_bias=False)
    ours: Any = load(tmp_path, load_in_8bit=True)
    assert ours.vivit.layers[0].attention.qkv.bias is None
    agree(ours, in_8_bit(tmp_path))


# What may be asked for


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": EIGHT_BIT},
        {"load_in_8bit": True, "dtype": EIGHT_BIT},
        {"load_in_8bit": True, "load_in_4bit": False},
        {"quantization_config": {"load_in_8bit": True}},
        {"quantization_config": {"load_in_8bit": True, "quant_method": "bitsandbytes"}, "load_in_8bit": True},
        {"quantization_config": BitsAndBytesConfig(load_in_8bit=True).to_dict()},
        {"quantization_config": BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=KEPT)},
    ],
)
def test_ways_to_ask_for_it(large_numbers: Path, options: dict[str, Any]) -> None:
    model = load(large_numbers, **options)
    assert {layer.threshold for layer in layers(model)} == {6.0} and model.dtype == torch.float32
    assert torch.equal(logits(model), logits(load(large_numbers, load_in_8bit=True)))


@pytest.mark.parametrize(
    "options", [{"load_in_8bit": False}, {"load_in_4bit": False}, {"quantization_config": None}, {"load_in_8bit": None}]
)
def test_ways_not_to(large_numbers: Path, options: dict[str, Any]) -> None:
    assert not layers(load(large_numbers, **options))
    assert not layers(pipeline(model=str(large_numbers), model_kwargs=options).model)


@pytest.mark.parametrize("dtype", [torch.float32, "float16", torch.bfloat16])
def test_a_dtype_beside_it_is_that_of_the_rest(large_numbers: Path, dtype: Any) -> None:
    model = load(large_numbers, load_in_8bit=True, torch_dtype=dtype)
    name = str(dtype).removeprefix("torch.")
    assert kept_bytes(model).keys() == {"int8", "float32", name} and str(model.dtype) == f"torch.{name}"


def test_auto_is_what_the_checkpoint_is_in(tmp_path: Path, large_numbers: Path) -> None:
    load(large_numbers, dtype="bfloat16").save_pretrained(tmp_path)
    assert load(tmp_path, load_in_8bit=True, dtype="auto").dtype == torch.bfloat16
    assert load(tmp_path, load_in_8bit=True).dtype == torch.float32, "half precision is slow on a CPU"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"load_in_4bit": True}, "load_in_4bit"),
    ({"load_in_8bit": True, "load_in_4bit": True}, "load_in_4bit"),
    ({"load_in_8bit": "yes"}, "load_in_8bit"),
    ({"load_in_8bit": True, "dtype": "float16-weights"}, "contradict"),
    ({"load_in_8bit": True, "dtype": "float16", "torch_dtype": "float32"}, "contradict"),
    ({"load_in_8bits": True}, "load_in_8bit"),
    ({"quantization_config": BitsAndBytesConfig(load_in_4bit=True)}, "load_in_4bit"),
    ({"quantization_config": BitsAndBytesConfig()}, "asks for nothing"),
    ({"quantization_config": {}}, "asks for nothing"),
    ({"quantization_config": "8bit"}, "must be a dict"),
    ({"quantization_config": transformers.GPTQConfig(bits=8)}, "gptq"),
    ({"quantization_config": {"quant_method": "gptq", "bits": 8}}, "gptq"),
    ({"quantization_config": {"load_in_8bit": True, "llm_int8_treshold": 3.0}}, "llm_int8_threshold"),
    ({"quantization_config": {"load_in_8bit": True, "llm_int8_threshold": -1}}, "at least 0"),
    ({"quantization_config": {"load_in_8bit": True, "llm_int8_threshold": float("nan")}}, "at least 0"),
    ({"quantization_config": BitsAndBytesConfig(load_in_8bit=True, llm_int8_has_fp16_weight=True)}, "fp16_weight"),
    ({"quantization_config": BitsAndBytesConfig(load_in_8bit=True, llm_int8_enable_fp32_cpu_offload=True)}, "offload"),
    ({"quantization_config": BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=["fc1"])}, "fc1"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED)
def test_what_is_not_done_is_one_sentence(large_numbers: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        load(large_numbers, **options)
    assert "\n" not in str(caught.value) and caught.value.__cause__ is None
    with pytest.raises(ValueError, match=said):
        pipeline(model=str(large_numbers), model_kwargs=options)


def test_another_precision_cannot_be_set_afterwards(large_numbers: Path) -> None:
    model = load(large_numbers, load_in_8bit=True)
    before = logits(model)
    with pytest.raises(ValueError, match="in 8 bit, and cannot be made float16"):
        set_precision(model, "float16")
    assert torch.equal(logits(model), before)
    assert set_precision(model, EightBit(torch.float16, 3.0)) is model
    assert model.dtype == torch.float16 and {layer.threshold for layer in layers(model)} == {3.0}


def test_a_pipeline_in_8_bit() -> None:
    clip = ASSETS / "clips" / "squat.mp4"
    usual = pipeline("video-classification", "vivit-mannequin", device="cpu")
    for options in ({"dtype": EIGHT_BIT}, {"model_kwargs": {"load_in_8bit": True}}):
        classify = pipeline("video-classification", "vivit-mannequin", device="cpu", **options)
        assert layers(classify.model) and classify(str(clip))[0]["label"] == usual(str(clip))[0]["label"] == "squat"
    with pytest.raises(ValueError, match="load_in_8bit would not change"):
        pipeline(model=usual.model, image_processor=usual.image_processor, model_kwargs={"load_in_8bit": True})


# What is done with a model


def test_copies_answer_alike(large_numbers: Path) -> None:
    model = load(large_numbers, load_in_8bit=True)
    wanted = logits(model)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), copy.deepcopy(model).train().eval()):
        assert torch.equal(logits(copied), wanted)
        copied.set_attn_implementation("eager")
        torch.testing.assert_close(logits(copied), wanted, rtol=0, atol=2e-2)  # a number or two tips over
    assert "bias=True" in repr(layers(model)[0])


def test_scales_survive_what_changes_dtypes(large_numbers: Path) -> None:
    model = load(large_numbers, load_in_8bit=True)
    scales = [layer.SCB.clone() for layer in layers(model)]
    for change in ("half", "bfloat16", "float"):
        getattr(model, change)()
        assert all(torch.equal(layer.SCB, before) for layer, before in zip(layers(model), scales, strict=True))
        assert all(layer.weight.dtype == torch.int8 for layer in layers(model))
        assert logits(model).dtype == model.dtype
    assert layers(model.to("meta"))[0].SCB.is_meta


def test_state_dicts(large_numbers: Path) -> None:
    model = load(large_numbers, load_in_8bit=True)
    wanted = logits(model)
    other = set_precision(VivitForVideoClassification(model.config).eval(), EIGHT_BIT)
    exact, theirs = load(large_numbers), in_8_bit(large_numbers)
    found = {k: v for k, v in theirs.state_dict().items() if not k.endswith("weight_format")}
    for state in (model.state_dict(), exact.state_dict(), theirs_of(large_numbers).state_dict(), found):
        other.load_state_dict(set_precision(VivitForVideoClassification(model.config), EIGHT_BIT).state_dict())
        assert not torch.equal(logits(other), wanted)
        other.load_state_dict(state)
        assert torch.equal(logits(other), wanted)


def test_state_dicts_of_8_bit_are_read_by_any_model(tmp_path: Path, large_numbers: Path) -> None:
    model, theirs = load(large_numbers, load_in_8bit=True), in_8_bit(large_numbers)
    model.save_pretrained(tmp_path)
    file = load_file(tmp_path / "model.safetensors")
    wanted = {name: tensor.clone() for name, tensor in dequantised(file.items())}
    for state in (model.state_dict(), theirs.state_dict(), file):
        exact = VivitForVideoClassification(model.config)
        exact.load_state_dict(state)  # every name of it, `weight_format` too
        for name, tensor in published_tensors(exact).items():
            assert torch.equal(tensor, wanted[name if name in wanted else f"vivit.{name}"]), name
        eight = set_precision(VivitForVideoClassification(model.config).eval(), EIGHT_BIT)
        eight.load_state_dict(state)
        assert torch.equal(logits(eight), logits(model))
    del file["vivit.encoder.layer.0.output.dense.SCB"]
    with pytest.raises(UserError, match="scales"):
        VivitForVideoClassification(model.config).load_state_dict(file)


class Derived(VivitForVideoClassification):
    def __init__(self, config: Any, **options: Any) -> None:
        super().__init__(config, **options)
        self.extra = nn.Linear(4, 4)
        self.post_init()


def test_a_derived_class_keeps_what_it_adds_and_reads_what_it_wrote(tmp_path: Path, large_numbers: Path) -> None:
    model = Derived.from_pretrained(large_numbers, load_in_8bit=True)
    assert type(model.extra) is nn.Linear
    model.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())["quantization_config"]
    assert written["llm_int8_skip_modules"] == [*KEPT, "extra"]
    back = Derived.from_pretrained(tmp_path)
    assert torch.equal(back.extra.weight, model.extra.weight) and torch.equal(logits(back), logits(model))


def test_transformers_reads_another_kind_of_model_than_was_saved(tmp_path: Path, large_numbers: Path) -> None:
    load(large_numbers, load_in_8bit=True).save_pretrained(tmp_path / "classifier")
    VivitModel.from_pretrained(large_numbers, load_in_8bit=True).save_pretrained(tmp_path / "bare")
    bare = theirs_of(tmp_path / "classifier", "VivitModel")
    head = theirs_of(tmp_path / "bare")
    assert type(head.classifier) is nn.Linear and type(bare.pooler.dense) is nn.Linear
    ours = VivitModel.from_pretrained(large_numbers, load_in_8bit=True, add_pooling_layer=False)
    same_weights(ours, head.vivit)
    bare.pooler = None
    same_weights(ours, bare)


def test_gradients_are_those_of_the_matrices_made_floating(tmp_path: Path, large_numbers: Path) -> None:
    model = load(large_numbers, load_in_8bit=True).train()
    model.save_pretrained(tmp_path)
    exact = load(tmp_path, dtype="float32").train()
    for each in (model, exact):
        each(oracle.clip(each.config), labels=torch.tensor([1, 2])).loss.backward()
    trained = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    assert len(trained) == len([*exact.parameters()]) - len(layers(model))
    for name, gradient in trained.items():
        # In training bitsandbytes computes with such matrices on a CPU: sums in another order, at values of up to some 10.
        torch.testing.assert_close(gradient, exact.get_parameter(name).grad, rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16", "float16-weights", EIGHT_BIT])
def test_bytes_of_weights_by_what_they_are_kept_in(large_numbers: Path, precision: str) -> None:
    model = load(large_numbers, dtype=precision)
    kept = kept_bytes(model)
    assert sum(kept.values()) == sum(t.numel() * t.element_size() for t in model.state_dict().values())
    if precision == EIGHT_BIT:
        assert kept["int8"] == 3 * (4 * 35 * 35 + 2 * 35 * 44)
        assert kept["float32"] == 4 * (model.num_parameters() - kept["int8"] + 3 * (5 * 35 + 44))


@pytest.mark.full
@pytest.mark.parametrize("precision", [EIGHT_BIT, DYNAMIC_INT8])
def test_its_answers_are_those_of_float32_on_every_bundled_clip(precision: str) -> None:
    checkpoint = open_checkpoint("vivit-mannequin")
    exact, model = (checkpoint.load(VivitForVideoClassification, dtype=name) for name in ("float32", precision))
    clips = sorted((ASSETS / "clips").glob("*.mp4"))
    assert len(clips) == 36
    for clip in clips:
        pixels = prepare_clip(clip, exact.config.num_frames, checkpoint.processor).pixels
        pixel_values = torch.from_numpy(checkpoint.processor.normalise(pixels))
        wanted, found = (logits(m, pixel_values).softmax(-1) for m in (exact, model))
        assert wanted.argmax() == found.argmax(), clip.name
        # Measured: at most 0.0007 and 0.0008, of best probabilities of about 0.95.
        assert (wanted - found).abs().max() < 0.005, clip.name


# Without bitsandbytes


def test_without_the_package_a_sentence_says_so(
    monkeypatch: pytest.MonkeyPatch, large_numbers: Path, tmp_path: Path
) -> None:
    load(large_numbers, load_in_8bit=True).save_pretrained(tmp_path)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    for call in (
        lambda: load(large_numbers, load_in_8bit=True),
        lambda: load(tmp_path),
        lambda: set_precision(VivitModel(vivit.VivitConfig(**oracle.TINY)), EIGHT_BIT),
        lambda: open_checkpoint("vivit-mannequin").load(VivitForVideoClassification, dtype=EIGHT_BIT),
    ):
        with pytest.raises(EightBitUnavailable, match=r"needs the package bitsandbytes \(pip install bitsandbytes\)"):
            call()
    assert "pip install" in why_not(torch.device("cpu"))[0]
    assert not layers(load(tmp_path, dtype="float32")), "another precision needs no package"


def test_a_device_that_it_has_no_kernels_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import bitsandbytes

    def fail(*_: Any, **__: Any) -> None:
        raise NotImplementedError("no kernel for Lpu")

    assert why_not(torch.device("cpu")) == ("", "")
    monkeypatch.setattr(bitsandbytes.functional, "int8_vectorwise_quant", fail)
    sentence, details = why_not(torch.device("cpu"))
    assert "does not run on 'cpu'" in sentence and details == "no kernel for Lpu"
    with pytest.raises(EightBitUnavailable, match="does not run on 'cpu'"):
        load("vivit-mannequin", load_in_8bit=True)


def test_importing_needs_none_of_it_and_a_pass_floods_nobody() -> None:
    code = """
import sys, torch
from vivit import VivitForVideoClassification, pipeline
assert "bitsandbytes" not in sys.modules
model = VivitForVideoClassification.from_pretrained("vivit-mannequin", load_in_8bit=True)
model(torch.zeros(1, model.config.num_frames, 3, *model.config.clip_size[1:]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "" and "bitsandbytes" not in done.stderr and "float16" not in done.stderr
    assert "4bit" not in done.stderr


def test_what_else_bitsandbytes_logs_is_heard(large_numbers: Path, caplog: pytest.LogCaptureFixture) -> None:
    logits(load(large_numbers, load_in_8bit=True))
    logger = logging.getLogger("bitsandbytes.autograd._functions")
    with caplog.at_level(logging.WARNING):
        logger.warning("MatMul8bitLt: inputs will be cast from %s to float16 during quantization", torch.float32)
        logger.warning("something else")
    assert [record.message for record in caplog.records] == ["something else"]
    assert asked_for() is None
