"""What the cards of a sweep answer, of made-up figures."""

from dataclasses import replace

from tests.vivit.benchmark.children import MACHINE, result
from tests.vivit.benchmark.test_verdict import SHAKEN, cell, found
from vivit.benchmark.measurement import MIB, Estimate, Measurement
from vivit.benchmark.results import Result
from vivit.benchmark.why import Card, explain

FLASH_KERNEL = "_scaled_dot_product_flash_attention_for_cpu"
ESTIMATE = Estimate(num_tokens=1000, flops=10**9, latency_ms=1.0, weights=100 * MIB, activations=800 * MIB)


def with_kernel(row: Measurement, kernel: str) -> Measurement:
    return replace(row, kernel=kernel, estimate=ESTIMATE)


EAGER = with_kernel(found("eager/float32", 200.0), "_softmax")
SDPA = with_kernel(found("sdpa/float32", 100.0, activations=150), FLASH_KERNEL)
FLASH = with_kernel(found("sdpa-flash/float32", 120.0, activations=150), FLASH_KERNEL)


def cards(of: Result) -> dict[str, Card]:
    return {card.question: card for card in explain(of)}


def test_nothing_measured_has_no_question() -> None:
    bare = replace(MACHINE, flops_per_second={})
    assert cards(result(Measurement(cell("eager/float32"), "failed", "why"), machine=bare)) == {}


def test_which_kernel_ran_is_a_table() -> None:
    card = cards(result(EAGER, SDPA, replace(FLASH, kernel="")))["Which kernel ran?"]
    assert card.lines == (
        {"cell": "eager in float32", "kernel": "_softmax"},
        {"cell": "sdpa in float32", "kernel": FLASH_KERNEL},
    )
    assert "'_softmax' is attention written out" in card.answer
    assert "_softmax" not in cards(result(SDPA))["Which kernel ran?"].answer


def test_one_kernel_under_two_names_is_told_whatever_the_clock_said() -> None:
    same = "Do sdpa and sdpa-flash run the same kernel in float32? Yes."
    differ = cards(result(EAGER, SDPA, FLASH))[same].answer
    assert "it picks the very kernel that sdpa-flash names" in differ
    assert "And yet, as measured, sdpa is 1.20 times as fast as sdpa-flash (1.20 to 1.20). The kernel is one" in differ
    shaken = with_kernel(found("sdpa-flash/float32", 100.0, SHAKEN), FLASH_KERNEL)
    assert cards(result(SDPA, shaken))[same].answer.endswith("Measured: no difference can be told (0.90 to 1.10).")
    assert same not in cards(result(SDPA, replace(FLASH, kernel="another")))
    assert same not in cards(result(SDPA, replace(FLASH, cell=cell("sdpa-flash/float16"))))


def test_where_the_scores_go_is_counted_and_measured() -> None:
    card = cards(result(EAGER, SDPA))["Where do eager's time and memory go, in float32?"]
    for part in (
        "1,000 tokens",
        "1,000² = 1.0 million scores, times heads, times layers",
        "eager held 900 MiB",
        "sdpa 150",
    ):
        assert part in card.answer
    assert "In time, sdpa is 2.00 times as fast as eager (2.00 to 2.00)." in card.answer
    assert card.answer.endswith("Of time, it had said 1.0 ms and 1.0.")
    for other in (replace(SDPA, kernel="_softmax"), replace(SDPA, cell=replace(SDPA.cell, execution="compiled"))):
        assert not any("Where do" in question for question in cards(result(EAGER, other))), (
            "it kept scores, or is another"
        )
    untold = with_kernel(found("sdpa/float32", 200.0, SHAKEN), FLASH_KERNEL)
    answer = cards(result(EAGER, untold))["Where do eager's time and memory go, in float32?"].answer
    assert "In time" not in answer, "of a difference that cannot be told"


def test_a_factorised_model_is_not_said_to_compare_all_with_all() -> None:
    estimate = replace(ESTIMATE, factorization="encoder", scores=123_456_789)
    card = cards(result(replace(EAGER, estimate=estimate), replace(SDPA, estimate=estimate)))
    answer = card["Where do eager's time and memory go, in float32?"].answer
    assert "none is compared with all others (model 2: " in answer and "123.5 million scores, of all heads" in answer
    assert "every other" not in answer and "²" not in answer


def test_half_precision_is_explained_by_the_machines_rates_measured_or_not() -> None:
    def asked(**rates: float) -> list[str]:
        machine = replace(MACHINE, flops_per_second={"float32": 100e9} | rates)
        return [question for question in cards(result(EAGER, machine=machine)) if "here?" in question]

    assert asked(float16=5e9, bfloat16=4e9) == ["Why are float16 and bfloat16 slow here?"]
    assert asked(float16=5e9, bfloat16=300e9) == ["Why is float16 slow here?", "Why is bfloat16 fast here?"]
    assert asked(float16=70e9) == [] == asked()
    machine = replace(MACHINE, flops_per_second={"float32": 100e9, "float16": 5e9})
    answer = cards(result(EAGER, machine=machine))["Why is float16 slow here?"].answer
    assert "5 GFLOP/s in float16 beside 100 in float32" in answer


def test_the_nearest_to_what_the_machine_can_do_is_of_sound_figures() -> None:
    question = "Which cell comes nearest to what this machine can do?"
    machine = replace(MACHINE, flops_per_second={"float32": 100e9})
    assert (
        "sdpa, float32, batch 1 computes 10 GFLOP/s, 10 %"
        in cards(result(EAGER, SDPA, machine=machine))[question].answer
    )
    cold = with_kernel(found("sdpa/float32", 1.0, warm=False), FLASH_KERNEL)
    assert "eager, float32" in cards(result(EAGER, cold, machine=machine))[question].answer
    impossible = replace(MACHINE, flops_per_second={"float32": 1e9})
    assert question not in cards(result(SDPA, machine=impossible)), "a rate that was measured beside other work"
