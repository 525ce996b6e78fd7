"""What a model looked at, on an NVIDIA GPU: every kernel and precision gives the maps of a CPU in float64, to its tolerance."""

from typing import Any

import pytest
import torch

from tests import oracle
from tests.gpu.test_factorizations import MODELS, pair
from vivit import VivitConfig, VivitForVideoClassification
from vivit.benchmark.measure import peak_memory
from vivit.explain import cls_attention, look, rollout
from vivit.precision import set_precision

pytestmark = pytest.mark.gpu

# Of probabilities, the hidden states having come through two or three layers: as the docstring of `cls_attention` has them.
TOLERANCES = {"float32": 1e-6, "tf32": 1e-3, "float16": 2e-3, "bfloat16": 1.6e-2}


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("changes", MODELS, ids=lambda c: "-".join(map(str, c.values())))
def test_maps_are_those_of_a_cpu_in_float64(changes: dict[str, Any], precision: str) -> None:
    model, clips, _ = pair(changes)
    wanted = look(model.double(), clips.double(), rollout=True)
    model = set_precision(model.float().cuda(), precision)
    model.set_attn_implementation("sdpa")
    found = look(model, clips.cuda(), rollout=True)
    assert found.rollout is not None and wanted.rollout is not None
    for name, maps in {**found.maps, "rollout": found.rollout}.items():
        assert maps.dtype == torch.float32 and maps.is_cuda
        exact = {**wanted.maps, "rollout": wanted.rollout}[name]
        torch.testing.assert_close(maps.cpu(), exact.float(), rtol=0, atol=TOLERANCES[precision])


@pytest.mark.parametrize("attention", ["eager", "sdpa-math", "sdpa-flash", "sdpa-efficient", "sdpa-cudnn"])
def test_every_kernel_gives_the_same_maps(attention: str) -> None:
    model, clips, _ = pair({"factorization": "none"})
    wanted = cls_attention(model.double(), clips.double()).float()
    model = set_precision(model.float().cuda(), "float16")
    model.set_attn_implementation(attention)
    torch.testing.assert_close(cls_attention(model, clips.cuda()).cpu(), wanted, rtol=0, atol=TOLERANCES["float16"])


@pytest.mark.parametrize("execution", ["compiled", "captured"])
def test_a_model_that_is_compiled_or_captured_is_looked_into_and_runs_on(execution: str) -> None:
    model, clips, _ = pair({"factorization": "none"})
    model = set_precision(model.cuda(), "float16")
    model.set_attn_implementation("sdpa")
    with torch.no_grad():
        wanted = look(model, clips.cuda()).maps["attention"]
        model.set_execution(execution)
        before = model(clips.cuda()).logits
        found = look(model, clips.cuda()).maps["attention"]
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)
        torch.testing.assert_close(model(clips.cuda()).logits, before, rtol=0, atol=0)


def test_memory_of_the_maps_of_vivit_b() -> None:
    """The [CLS] rows of all layers take 1.8 MB; a matrix of one head of one layer would take 39."""
    model = VivitForVideoClassification(VivitConfig()).eval()
    oracle.randomise(model)
    model = set_precision(model.cuda(), "float32")
    clip = torch.randn(1, 32, 3, 224, 224, device="cuda")
    peaks = []
    with torch.no_grad():
        for call in (lambda: model(clip), lambda: cls_attention(model, clip), lambda: rollout(model, clip)):
            call()  # libraries take their work space
            _, peak = peak_memory(call, torch.device("cuda"))
            assert peak is not None
            peaks.append(peak)
    plain, maps, rolled = (peak / 2**20 for peak in peaks)
    assert maps - plain < 40, (plain, maps)
    assert rolled - plain < 400, "queries and keys of 12 layers are 220 MiB; their matrices would be 5,400"
