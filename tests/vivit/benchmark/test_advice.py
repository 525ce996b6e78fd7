"""What is said before anything is run: by made-up rates whose outcome is known."""

from dataclasses import replace

from vivit.benchmark.advice import Expected, advice, expect, fastest_exact, leanest, slowness
from vivit.benchmark.cost import estimate
from vivit.benchmark.measurement import Cell
from vivit.config import VivitConfig
from vivit.machine import Machine, Support
from vivit.names import BACKENDS, PRECISIONS

CONFIG = VivitConfig(num_labels=400)


def machine(rates: dict[tuple[str, str], float], products: dict[str, float]) -> Machine:
    """One whose attention reaches so many FLOP/s; a backend and precision that are not named do not run."""
    support = tuple(
        Support(a, p, rates[a, p]) if (a, p) in rates else Support(a, p, reason=f"no {a} in {p}")
        for p in PRECISIONS
        for a in BACKENDS
    )
    return Machine("cpu", "made up", 2**34, 1, 1, "", "", {}, support, products, 1e12)


SLOW_HALF = machine(
    {("eager", "float32"): 1e11, ("sdpa", "float32"): 2e11, ("sdpa", "float16"): 2e10, ("sdpa", "bfloat16"): 2e11},
    {"float32": 2e11, "float16": 2e10, "bfloat16": 1.9e11},
)


def test_it_is_the_cost_model_of_what_ran_and_nothing_else() -> None:
    found = expect(CONFIG, SLOW_HALF)
    assert [(e.attention, e.precision) for e in found] == [
        ("eager", "float32"),
        ("sdpa", "float32"),
        ("sdpa", "float16"),
        ("sdpa", "bfloat16"),
    ]
    for cell in found:
        guess = estimate(Cell("", cell.attention, cell.precision), CONFIG, SLOW_HALF)
        assert (cell.latency_ms, cell.peak) == (guess.latency_ms, guess.peak)


def test_a_precision_without_a_rate_of_products_is_left_out() -> None:
    lacking = replace(SLOW_HALF, flops_per_second={"float32": 2e11})
    assert {cell.precision for cell in expect(CONFIG, lacking)} == {"float32"}


def said(machine: Machine) -> str:
    return advice(expect(CONFIG, machine), machine)


def test_the_sentence_names_the_fastest_exact_the_leanest_and_what_is_slow() -> None:
    assert said(SLOW_HALF) == (
        "On this processor sdpa in float32 is the fastest exact cell, sdpa in bfloat16 the leanest. "
        "float16 takes about 10 times as long as float32."
    )


def test_several_slow_ones_are_one_clause() -> None:
    rates = dict.fromkeys([("sdpa", p) for p in ("float32", "float16", "bfloat16")], 2e11)
    slow = machine(
        rates | {("sdpa", "float16"): 5e10, ("sdpa", "bfloat16"): 1e11},
        {"float32": 2e11, "float16": 5e10, "bfloat16": 1e11},
    )
    assert said(slow).endswith("float16 takes about 4.0 times as long as float32, bfloat16 2.0.")


def test_where_half_is_fast_it_says_so_and_float32_stays_the_exact_one() -> None:
    fast = machine(
        {("sdpa", "float32"): 1e13, ("sdpa", "float16"): 4e13},
        {"float32": 1e13, "float16": 4e13},
    )
    words = said(replace(fast, device="cuda"))
    assert words.startswith("On this GPU sdpa in float32 is the fastest exact cell, sdpa in float16 the leanest.")
    assert words.endswith("float16 is about 4.0 times as fast as float32.")


def test_beside_other_programs_only_what_was_not_measured_is_told_and_why() -> None:
    quiet, busy = said(replace(SLOW_HALF, probed_beside=0.1)), said(replace(SLOW_HALF, probed_beside=0.6))
    assert quiet == said(SLOW_HALF)
    assert busy == (
        "Of what runs here sdpa in bfloat16 is the leanest cell. What is fast cannot be told: other programs held 60 % of the "
        "processors while this one was probed, at the start."
    )
    on_gpu = replace(SLOW_HALF, device="cuda", probed_beside=0.6)
    assert "fastest exact" in said(on_gpu), "whose rates the processors do not set"


def test_of_one_cell_alone_it_is_both_and_of_none_nothing() -> None:
    alone = machine({("sdpa", "float32"): 1e11}, {"float32": 1e11})
    assert said(alone) == "On this processor sdpa in float32 is the fastest exact cell and the leanest."
    assert said(machine({}, {"float32": 1e11})) == ""
    assert fastest_exact([]) is None and leanest([]) is None


def test_the_usual_backend_is_named_where_none_is_told_from_it_and_only_there() -> None:
    def cells(flash_ms: float) -> list[Expected]:
        return [Expected("sdpa-flash", "float32", flash_ms, 100), Expected("sdpa", "float32", 100.0, 100)]

    for flash_ms, named in ((95.0, "sdpa"), (80.0, "sdpa-flash")):
        for choose in (fastest_exact, leanest):
            chosen = choose(cells(flash_ms))
            assert chosen and chosen.attention == named, (choose, flash_ms)


def test_what_is_kept_in_fewer_bits_is_not_exact() -> None:
    weights = Expected("sdpa", "float16-weights", 1.0, 1)
    assert not weights.exact and fastest_exact([weights]) is None and leanest([weights]) is weights


def test_a_cell_is_compared_with_its_backend_in_float32() -> None:
    found = expect(CONFIG, SLOW_HALF)
    assert slowness(found, "sdpa", "float32") is None
    assert slowness(found, "sdpa-cudnn", "float16") is None
    ms = {(cell.attention, cell.precision): cell.latency_ms for cell in found}
    assert slowness(found, "sdpa", "float16") == ms["sdpa", "float16"] / ms["sdpa", "float32"]
    alone = [Expected("sdpa", "float32", 10.0, 1), Expected("sdpa-cudnn", "float16", 5.0, 1)]
    assert slowness(alone, "sdpa-cudnn", "float16") is None
