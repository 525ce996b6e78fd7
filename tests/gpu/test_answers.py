"""ViViT-B on an NVIDIA GPU beside transformers' with the same weights: logits, hidden states, gradients, 8 bits."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests import oracle
from tests.gpu.here import ANY_PRECISION, HERE
from tests.vivit.model_pairs import assert_same_gradients
from vivit import VivitForVideoClassification
from vivit.benchmark.memory import weights_bytes
from vivit.checkpoint.layout import published_name, published_tensors
from vivit.eight_bit import EightBitUnavailable
from vivit.precision import EIGHT_BIT, kept_bytes
from vivit.tf32 import products

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("exact_products")]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, torch.Tensor]:
    """transformers' ViViT-B/16x2 with random weights on the GPU, its folder, and a clip."""
    torch.manual_seed(0)
    changes: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = transformers.VivitConfig(**{"num_labels": 400} | changes)
    model = transformers.VivitForVideoClassification(config).eval()
    folder = tmp_path_factory.mktemp("vivit-b")
    model.save_pretrained(folder)
    return model.cuda(), folder, oracle.clip(config, batch=1).cuda()


@pytest.mark.parametrize("attention", ANY_PRECISION)
def test_every_output_of_vivit_b_in_float32(theirs: tuple[Any, Path, torch.Tensor], attention: str) -> None:
    reference, folder, pixel_values = theirs
    ours = VivitForVideoClassification.from_pretrained(folder, attn_implementation=attention, device="cuda").eval()
    with torch.no_grad():
        found, wanted = (m(pixel_values, output_hidden_states=True) for m in (ours, reference))
    # Other kernels sum in another order: values of about 1 then differ by some 1e-6, and 12 layers add to it.
    torch.testing.assert_close(found.logits, wanted.logits, rtol=1e-5, atol=1e-5)
    for mine, other in zip(found.hidden_states, wanted.hidden_states, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("attention", ANY_PRECISION)
def test_tf32_rounds_products_and_leaves_the_setting(theirs: tuple[Any, Path, torch.Tensor], attention: str) -> None:
    _, folder, pixel_values = theirs
    load: Any = VivitForVideoClassification.from_pretrained
    model, exact = (
        load(folder, attn_implementation=attention, dtype=name, device="cuda") for name in ("tf32", "float32")
    )
    before = torch.backends.cuda.matmul.fp32_precision, torch.get_float32_matmul_precision()
    with torch.inference_mode():
        wanted = exact(pixel_values).logits
        found = model(pixel_values).logits
        assert torch.equal(exact(pixel_values).logits, wanted), "float32 stays what it is beside it"
        model.compile(fullgraph=True)
        compiled = model(pixel_values).logits
    assert model.dtype == found.dtype == torch.float32
    for logits in (found, compiled):
        # Factors of every product are rounded to 10 bits, as float16's are: logits are as far off as those in float16 below.
        torch.testing.assert_close(logits, wanted, rtol=0, atol=8e-3)
        # Another order of sums differs by some 1e-6, rounded factors by a thousand times that.
        assert (logits - wanted).abs().max() > 5e-5
    with pytest.raises(ValueError, match="pixel_values must be"):
        model.vivit(torch.zeros(3, device="cuda"))
    assert (torch.backends.cuda.matmul.fp32_precision, torch.get_float32_matmul_precision()) == before


def test_tf32_products_are_rounded_to_10_bits() -> None:
    x = torch.full((512, 512), 1 + 2**-12, device="cuda")
    eye = torch.eye(512, device="cuda")
    with products(True):
        rounded = x @ eye
    assert torch.equal(rounded, torch.ones_like(x)) and torch.equal(x @ eye, x)


@pytest.mark.parametrize(("dtype", "off"), [("float16", 8e-3), ("bfloat16", 6e-2)])
@pytest.mark.parametrize("attention", HERE)
def test_half_precisions_stay_near(
    theirs: tuple[Any, Path, torch.Tensor], attention: str, dtype: str, off: float
) -> None:
    """Within some units in the last place of the largest logits, which are about 2."""
    reference, folder, pixel_values = theirs
    ours = VivitForVideoClassification.from_pretrained(
        folder, attn_implementation=attention, dtype=dtype, device="cuda"
    ).eval()
    with torch.no_grad():
        found, wanted = ours(pixel_values).logits, reference(pixel_values).logits
    assert found.dtype == getattr(torch, dtype)
    torch.testing.assert_close(found.float(), wanted, rtol=0, atol=off)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_every_gradient_of_vivit_b(theirs: tuple[Any, Path, torch.Tensor], attention: str) -> None:
    reference, folder, pixel_values = theirs
    ours = VivitForVideoClassification.from_pretrained(folder, attn_implementation=attention, device="cuda")
    labels = torch.tensor([116], device="cuda")
    for model in (reference, ours):
        model.zero_grad()
        model(pixel_values, labels=labels).loss.backward()
    # Sums over 3,137 tokens that come to as much as 70.
    assert_same_gradients(ours, reference, rtol=1e-4, atol=5e-4)


def test_8_bit_answers_as_transformers_with_bitsandbytes(theirs: tuple[Any, Path, torch.Tensor]) -> None:
    _, folder, pixel_values = theirs
    if find_spec("bitsandbytes") is None:
        with pytest.raises(EightBitUnavailable, match="pip install bitsandbytes"):
            VivitForVideoClassification.from_pretrained(folder, load_in_8bit=True, device_map="auto")
        return
    ours = VivitForVideoClassification.from_pretrained(folder, load_in_8bit=True, device_map="auto")
    assert ours.dtype == torch.float16 and sum(kept_bytes(ours).values()) == weights_bytes(
        ours.config, EIGHT_BIT, "cuda"
    )
    config = transformers.BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=["classifier"])
    kind = transformers.VivitForVideoClassification
    reference = kind.from_pretrained(folder, quantization_config=config, dtype=torch.float16, device_map="cuda")
    wanted = {published_name(name): tensor for name, tensor in reference.state_dict().items()}
    for name, tensor in published_tensors(ours).items():
        assert torch.equal(tensor, wanted[name]), name
    with torch.inference_mode():
        found, expected = ours(pixel_values).logits, reference(pixel_values.half()).logits
        moved = reference((pixel_values * (1 + 2**-11)).half()).logits
    # Numbers in float16 tip over to the next of int8 here and there, a step of the largest of a token / 127, and twelve layers
    # carry that on: transformers' own logits move as far if the last bit of its pixels does.
    assert (found - expected).abs().max() <= 1.5 * (moved - expected).abs().max() < 0.2
    # One layer of the same input is the same to float16's last bits.
    one: Any = ours.vivit.layers[0]
    other: Any = reference.vivit.layers[0]
    with torch.inference_mode():
        x = reference.vivit.embeddings(pixel_values.half())
        torch.testing.assert_close(one.intermediate(x), other.mlp.fc1(x), rtol=0, atol=0)
        torch.testing.assert_close(one(x)[0], _first(other(x)), rtol=0, atol=6e-2)


def _first(output: Any) -> torch.Tensor:
    first: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return first
