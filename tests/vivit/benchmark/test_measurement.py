"""Statistics, the stopping rule with a fake clock, agreement, and rows that join and survive JSON."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.vivit.benchmark.children import row
from vivit.benchmark.measure import attention_kernel, device_kernels, repeat
from vivit.benchmark.measurement import CAVEATS, Cell, Latency, Measurement, Round, StoppingRule, agreement
from vivit.records import from_json

RULE = StoppingRule(spread=0.02, min_samples=5, max_samples=20, seconds=3.0, warm_up_seconds=0.3)


def clock(*ms: float, then: float = 100.0) -> Callable[[], float]:
    """A call that takes these times, and `then` ever after."""

    def forever() -> Iterator[float]:
        yield from ms
        while True:
            yield then

    times = forever()
    return lambda: next(times)


def test_a_steady_call_stops_at_the_fewest_samples() -> None:
    taken = repeat(clock(900.0), RULE)
    assert taken == Round(900.0, (100.0,) * 5, warm=True)  # 300 ms of warm-up came between


def test_warm_up_lasts_its_time_and_is_not_in_the_samples() -> None:
    assert repeat(clock(900.0, 50.0, 249.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0), RULE).samples_ms == (1.0,) * 5
    no_warm_up = StoppingRule(warm_up_seconds=0)
    assert repeat(clock(900.0, 7.0, then=7.0), no_warm_up) == Round(900.0, (7.0,) * 5)


def test_a_noisy_call_goes_on_until_its_spread_is_small() -> None:
    noise = [100.0, 140.0, 100.0, 140.0, 100.0]
    taken = repeat(clock(1.0, 300.0, *noise), RULE)
    # 2 of n samples are off by 40 %: the quartiles agree once the third quartile is among the others.
    assert 5 < len(taken.samples_ms) < 20
    low, middle, high = np.percentile(taken.samples_ms, [25, 50, 75])
    assert (high - low) / middle <= 0.02
    low, middle, high = np.percentile(taken.samples_ms[:-1], [25, 50, 75])
    assert (high - low) / middle > 0.02


def test_a_call_that_never_settles_stops_at_the_most_samples_or_the_time_bound() -> None:
    def restless() -> Callable[[], float]:
        return clock(1.0, 300.0, *[100.0, 150.0] * 100)

    assert len(repeat(restless(), RULE).samples_ms) == 20
    assert sum(repeat(restless(), StoppingRule(seconds=1.1)).samples_ms) == 1100.0  # the ninth makes it so
    fixed = StoppingRule(spread=0, min_samples=12, max_samples=12, seconds=60)
    assert len(repeat(restless(), fixed).samples_ms) == 12


def test_a_call_slower_than_the_bound_is_its_own_sample_and_cold() -> None:
    assert repeat(clock(3000.0), RULE) == Round(3000.0, (3000.0,), warm=False)
    assert repeat(clock(2999.0, 2999.0, 2998.0), RULE).warm


def test_statistics_are_those_of_all_rounds() -> None:
    samples = [3.0, 1.0, 2.0, 10.0, 4.0]
    latency = Latency((Round(50.0, tuple(samples[:2])), Round(70.0, tuple(samples[2:]))))
    assert latency.samples_ms == samples
    assert (latency.median, latency.mean, latency.first_ms) == (3.0, 4.0, 60.0)
    assert (latency.p5, latency.p95) == pytest.approx((1.2, 8.8))
    assert latency.iqr == 2.0
    assert latency.round_medians == [2.0, 4.0]


def test_noise_is_named() -> None:
    steady, drifted = (100.0, 100.5, 101.0, 100.2), (108.0, 108.5, 108.2)
    assert Latency((Round(1.0, steady), Round(1.0, steady))).caveats == {}
    told = Latency((Round(1.0, steady), Round(1.0, drifted))).caveats["noisy"]
    assert told.endswith("the medians of half of the processes differ by 8%")
    (kind, told), _ = Latency((Round(1.0, (80.0, 90.0, 100.0, 115.0, 120.0)),)).caveats.items()
    assert (kind, told) == ("one process", "5 calls of one process")
    told = Latency((Round(1.0, (80.0, 90.0, 100.0, 115.0, 120.0)),)).caveats["noisy"]
    assert told == "half of the calls spread over 25% of the median"
    assert Latency((Round(1.0, (5.0,)),) * 2).caveats == {}  # one sample each, and they agree


def test_one_odd_process_of_six_is_no_noise_and_three_are() -> None:
    def kinds(*medians: float) -> list[str]:
        return list(Latency(tuple(Round(1.0, (ms,) * 5) for ms in medians)).caveats)

    assert kinds(100.0, 100.0, 101.0, 100.0, 101.0, 130.0) == []
    assert kinds(100.0, 100.0, 100.0, 120.0, 120.0, 120.0) == ["noisy"]
    assert kinds(100.0, 107.0) == ["noisy"] and kinds(100.0, 104.0) == []


def test_cold_samples_count_only_where_there_are_no_others() -> None:
    cold, warm = Round(500.0, (500.0,), warm=False), Round(450.0, (100.0, 101.0))
    assert Latency((cold, warm)).samples_ms == [100.0, 101.0] and Latency((cold, warm)).warm
    assert Latency((cold,)).samples_ms == [500.0] and not Latency((cold,)).warm
    assert Latency((cold, warm)).round_medians == [100.5]


def test_fewer_than_two_warm_rounds_are_named_and_not_sound() -> None:
    cold, warm = Round(500.0, (500.0,), warm=False), Round(450.0, (100.0, 101.0))
    told = {
        (warm, warm): {},
        (warm,): {"one process": "2 calls of one process"},
        (cold, warm): {"one process": "2 calls of one process"},
        (cold, warm, warm): {},
        (cold,): {"cold": "one cold call"},
        (cold, cold): {"cold": "2 cold calls"},
        (replace(warm, samples_ms=(100.0,)),): {"one process": "1 call of one process"},
    }
    for rounds, caveats in told.items():
        found = Measurement(Cell("m"), "ok", latency=Latency(rounds))
        assert found.caveats == caveats and found.sound == (not caveats)
    missing = Measurement(Cell("m"), "failed")
    assert missing.caveats == {} and not missing.sound
    noisy = Measurement(Cell("m"), "ok", latency=Latency((warm, replace(warm, samples_ms=(200.0, 201.0)))))
    assert list(noisy.caveats) == ["noisy"] and noisy.sound
    assert set(CAVEATS) == {"cold", "one process", "noisy"}


def test_rounds_join_and_a_later_failure_takes_nothing_away() -> None:
    cell = Cell("m")
    first, second = row(cell, (1.0, 2.0)), row(cell, (3.0,))
    both = first.joined(second)
    assert both.latency and [r.samples_ms for r in both.latency.rounds] == [(1.0, 2.0), (3.0,)]
    assert both.memory == first.memory
    killed = first.joined(Measurement(cell, "failed", "It was killed."))
    assert (killed.status, killed.latency, killed.reason) == ("ok", first.latency, "It was killed.")


def test_rates_come_from_the_median() -> None:
    measured = row(Cell("m", batch_size=4), (100.0, 200.0, 400.0))
    assert measured.clips_per_second == 20.0
    assert measured.flops_per_second == 4 * 900e9 / 0.2
    assert Measurement(Cell("m"), "failed").clips_per_second is None


def test_rows_survive_json() -> None:
    whole = row(
        Cell("m", execution="compiled", num_frames=8), (1.0,), (2.0, 3.0), logits=(1.0, -2.5), device_kernels=("k",)
    )
    bare = Measurement(Cell("m", mode="training"), "out-of-memory", "why", "details")
    for measurement in (whole, bare):
        assert from_json(Measurement, json.loads(json.dumps(asdict(measurement), allow_nan=False))) == measurement


def test_rounds_survive_json_with_what_others_had() -> None:
    found = Measurement(Cell("m"), "ok", latency=Latency((Round(9.0, (1.0,), number=7, others_share=0.25),)))
    again = from_json(Measurement, json.loads(json.dumps(asdict(found))))
    assert again == found
    values = asdict(found)
    for name in ("number", "others_share"):  # sweeps of version 0.1.0 have neither
        del values["latency"]["rounds"][0][name]
    old = from_json(Measurement, json.loads(json.dumps(values)))
    assert old.latency and (old.latency.rounds[0].number, old.latency.rounds[0].others_share) == (0, None)


@pytest.mark.parametrize("values", [{"mode": "eval"}, {"batch_size": 0}, {"num_frames": 0}])
def test_impossible_cells_are_refused_by_name(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(values))}={next(iter(values.values()))!r}"):
        Cell("m", **values)


def test_agreement_is_pytorchs_divergence() -> None:
    generator = torch.Generator().manual_seed(0)
    reference = torch.randn(400, generator=generator, dtype=torch.float64) * 3
    ours = reference + torch.randn(400, generator=generator, dtype=torch.float64) * 0.3
    found = agreement(tuple(ours.tolist()), tuple(reference.tolist()))
    kl = torch.nn.functional.kl_div(ours.log_softmax(0), reference.log_softmax(0), reduction="sum", log_target=True)
    assert found.kl == pytest.approx(kl.item(), rel=1e-12)
    assert found.max_logit_difference == (ours - reference).abs().max().item()
    assert found.top1 == (ours.argmax() == reference.argmax()).item()
    shared = set(ours.topk(5).indices.tolist()) & set(reference.topk(5).indices.tolist())
    assert found.top5 == len(shared) / 5


def test_agreement_of_the_same_and_of_the_opposite() -> None:
    logits = tuple(float(k) for k in range(20))
    same = agreement(logits, logits)
    assert (same.max_logit_difference, same.kl, same.top1, same.top5) == (0.0, 0.0, True, 1.0)
    opposite = agreement(logits[::-1], logits)
    assert not opposite.top1 and opposite.top5 == 0.0 and opposite.kl > 10
    shifted = agreement(tuple(x + 1000 for x in logits), logits)  # softmax does not see a constant
    assert math.isclose(shifted.kl, 0.0, abs_tol=1e-9) and shifted.max_logit_difference == 1000.0


@pytest.mark.parametrize(
    ("names", "kernel"),
    [
        (
            ["aten::linear", "aten::_scaled_dot_product_flash_attention", "aten::_softmax"],
            "_scaled_dot_product_flash_attention",
        ),
        (["aten::_scaled_dot_product_attention_math", "aten::_softmax"], "_scaled_dot_product_attention_math"),
        (["aten::_scaled_dot_product_cudnn_attention_backward", "aten::_softmax"], "_softmax"),
        (["aten::bmm", "triton_red_fused__softmax_3"], "triton_red_fused__softmax_3"),
        (["aten::linear"], ""),
    ],
)
def test_the_attention_is_found_among_the_names(names: list[str], kernel: str) -> None:
    assert attention_kernel(names) == kernel


def test_gpu_kernels_are_named_shortly() -> None:
    names = [
        "void pytorch_flash::flash_fwd_kernel<pytorch_flash::Flash_fwd_kernel_traits<64>, true>(Flash_fwd_params)",
        "void (anonymous namespace)::softmax_warp_forward<float, float, 10>(float*)",
        "sm90_xmma_gemm_f16f16_f16f32_tn_n",
        "fmha_cutlassF_f32_aligned_64x64_rf_sm80(PyTorchMemEffAttention::Params)",
    ]
    expected = ("fmha_cutlassF_f32_aligned_64x64_rf_sm80", "pytorch_flash::flash_fwd_kernel", "softmax_warp_forward")
    assert device_kernels(names) == expected


def test_how_a_cell_runs_is_in_its_name_and_known() -> None:
    plain, compiled, captured = (Cell("m", execution=name) for name in ("plain", "compiled", "captured"))
    assert [cell.name for cell in (plain, compiled, captured)] == [
        "sdpa, float32, batch 1", "sdpa, float32, batch 1, compiled", "sdpa, float32, batch 1, captured"
    ]  # fmt: skip
    assert [cell.manner for cell in (plain, compiled, captured)] == ["", ", compiled", ", captured"]
    assert [cell.compiles for cell in (plain, compiled, captured)] == [False, True, False]
    assert [cell.prepares for cell in (plain, compiled, captured)] == [False, True, True]
    assert Cell("m", "flex_attention").compiles and Cell("m", "flex_attention", execution="captured").compiles
    with pytest.raises(ValueError, match="execution='fast' is unknown; known are plain, compiled, captured"):
        Cell("m", execution="fast")
