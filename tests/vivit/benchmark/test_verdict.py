"""The sentence on a sweep, word for word, and that it is true of made-up numbers."""

from dataclasses import replace
from typing import Any

import pytest

from tests.vivit.benchmark.children import MACHINE, result, row
from vivit.benchmark.families import base_of, families, gains
from vivit.benchmark.measurement import NOT_FINITE, Cell, Latency, Measurement
from vivit.benchmark.verdict import remarks, statement, verdict
from vivit.checkpoint import RANDOM

ANSWER = (9.0, 8.0, 7.0, 6.0, 5.0, 0.0)
OTHER_FIRST = (8.0, 9.0, 7.0, 6.0, 5.0, 0.0)
OTHER_FIFTH = (9.0, 8.0, 7.0, 6.0, 0.0, 5.0)
STEADY = (1.0, 1.001, 0.999, 1.002, 0.998, 1.0)
SHAKEN = (1.1, 0.9, 1.1, 0.9, 1.1, 0.9)  # of six rounds: no difference can be told


def cell(name: str = "eager/float32", **more: Any) -> Cell:
    attention, _, precision = name.partition("/")
    return Cell(more.pop("checkpoint", "m"), attention, precision, **more)


def found(of: Cell | str, ms: float, times: tuple[float, ...] = STEADY, **more: Any) -> Measurement:
    """A row of a process for each factor, every call of which takes so long; 1000 MiB and the usual answer."""
    of = cell(of) if isinstance(of, str) else of
    usual: dict[str, Any] = {"weights": 100, "activations": 900, "logits": ANSWER}
    return row(of, *((ms * factor,) * 5 for factor in times), **usual | more)


EAGER = found("eager/float32", 200.0)
SDPA = found("sdpa/float32", 100.0, activations=150)
FLASH = found("sdpa-flash/float32", 100.0, activations=150)
SAME = "all give the same five answers."


def test_a_clear_win() -> None:
    assert verdict(result(EAGER, SDPA)) == (
        "On Test Machine <1>, sdpa in float32 is 2.00 times as fast as eager in float32 (2.00 to 2.00) and takes 75 % less "
        f"memory; {SAME}"
    )


def test_a_tie_is_the_same_speed_or_cannot_be_told() -> None:
    assert verdict(result(EAGER, replace(found("sdpa/float32", 200.0), memory=None))) == (
        f"On Test Machine <1>, sdpa in float32 is as fast as eager in float32 (1.00 to 1.00); {SAME}"
    )
    assert statement(result(EAGER, found("sdpa/float32", 200.0, SHAKEN))) == (
        "On Test Machine <1>, between sdpa in float32 and eager in float32 no difference in speed can be told (0.91 to 1.11); "
        f"sdpa in float32 takes the same memory; {SAME}"
    )


def test_slower_is_told_as_slower() -> None:
    assert verdict(result(EAGER, found("sdpa-math/float32", 300.0, activations=1900))) == (
        "On Test Machine <1>, sdpa-math in float32 takes 1.50 times as long as eager in float32 (1.50 to 1.50) and takes 2.0 "
        f"times the memory; {SAME}"
    )


def test_where_all_are_slower_nothing_is_faster() -> None:
    slower = [found(f"{name}/float32", ms, activations=700) for name, ms in (("sdpa-math", 600.0), ("sdpa", 300.0))]
    assert verdict(result(EAGER, *slower)) == (
        "On Test Machine <1>, nothing is faster than eager in float32: sdpa in float32 takes 1.50 times as long as eager in "
        f"float32 (1.50 to 1.50) and takes 20 % less memory; {SAME}"
    )
    assert "nothing is faster" not in verdict(result(EAGER, *slower, found("sdpa/float16", 200.0)))
    assert "nothing is faster" not in verdict(result(EAGER, *slower, FLASH))


def test_the_fastest_is_named_and_those_that_may_be_as_fast() -> None:
    half = found("sdpa/float16", 50.0, activations=150)
    assert verdict(result(EAGER, half, SDPA)) == (
        "On Test Machine <1>, sdpa in float16 is 4.00 times as fast as eager in float32 (4.00 to 4.00) and takes 75 % less "
        f"memory; {SAME}"
    )
    ties = [found(f"{name}/float32", 100.0, SHAKEN) for name in ("sdpa-flash", "sdpa-efficient")]
    assert statement(result(EAGER, SDPA, *ties)) == (
        "On Test Machine <1>, sdpa in float32 is 2.00 times as fast as eager in float32 (2.00 to 2.00) and takes 75 % less "
        "memory; between it and sdpa-flash in float32 (0.90 to 1.10) and sdpa-efficient in float32 (0.90 to 1.10) no "
        f"difference can be told; {SAME}"
    )


def test_of_many_that_may_be_as_fast_two_are_named_and_the_others_counted() -> None:
    """Those that do not share enough rounds with the fastest are no ties and no losers."""
    many = [found(f"sdpa-{k}/float32", 100.0, SHAKEN) for k in range(6)]
    said = statement(result(EAGER, *many))
    ties = "between it and sdpa-1 in float32 (1.00 to 1.00), sdpa-2 in float32 (1.00 to 1.00) and 3 more"
    assert said.startswith("On Test Machine <1>, sdpa-0 in float32 is 2.0 times as fast") and f"; {ties} no" in said
    eager = found("eager/float32", 200.0, STEADY * 4)
    later = [found(f"sdpa-{k}/float32", 100.0, first=6 * k) for k in range(4)]
    for count, told in ((2, "sdpa-1 in float32"), (3, "sdpa-1 in float32 and sdpa-2 in float32")):
        assert statement(result(eager, *later[:count])) == (
            "On Test Machine <1>, sdpa-0 in float32 is 2.00 times as fast as eager in float32 (2.00 to 2.00) and takes the "
            f"same memory; it was not measured in the same rounds as {told}; {SAME}"
        )
    assert "; it was not measured in the same rounds as sdpa-1 in float32, sdpa-2 in float32 and 1 more; " in statement(
        result(eager, *later)
    )
    both = statement(result(eager, later[0], found("sdpa/float32", 100.0, SHAKEN), later[1]))
    assert "; between it and sdpa in float32 (0.90 to 1.10) no difference can be told; it was not measured in" in both


def test_a_win_that_is_certain_goes_before_one_that_only_looks_greater() -> None:
    shaken = found("sdpa-math/float32", 60.0, (0.5, 5.0, 0.5, 5.0, 0.5, 5.0))
    said = statement(result(EAGER, shaken, SDPA))
    assert said.startswith("On Test Machine <1>, sdpa in float32 is 2.00 times as fast as eager in float32")
    wide = found("sdpa-math/float32", 80.0, (0.5, 1.0, 1.5, 0.5, 1.0, 1.5))
    assert statement(result(EAGER, wide, SDPA)) == said.replace("0.30 to 3.00", "0.40 to 1.20"), (
        "at least so much faster"
    )


def test_cold_figures_are_compared_with_nothing() -> None:
    cold = found("sdpa/float32", 100.0, warm=False)
    nothing = "Nothing can be compared: two cells need 6 processes each, warmed up."
    first = "Cold, the first call of a process, and compared with nothing"
    assert verdict(result(EAGER, cold)) == f"{nothing} {first}: sdpa in float32."
    all_cold = result(found("eager/float32", 200.0, warm=False), cold)
    assert verdict(all_cold) == f"{nothing} {first}: all figures."
    beside = verdict(result(EAGER, SDPA, found("sdpa/float16", 1.0, warm=False)))
    assert beside == (
        "On Test Machine <1>, sdpa in float32 is 2.00 times as fast as eager in float32 (2.00 to 2.00) and takes 75 % less "
        f"memory; {SAME} {first}: sdpa in float16."
    )
    several = [found(f"x-{k}/float32", 1.0, warm=False) for k in range(5)]
    assert remarks(result(EAGER, SDPA, *several)) == [f"{first}: x-0 in float32, x-1 in float32 and 3 more."]
    assert remarks(result(EAGER, SDPA, *several[:2])) == [f"{first}: x-0 in float32 and x-1 in float32."]


def test_figures_of_one_process_are_compared_with_nothing() -> None:
    assert verdict(result(EAGER, found("sdpa/float32", 1.0, (1.0,)))) == (
        "Nothing can be compared: two cells need 6 processes each, warmed up. "
        "Of one process only, and compared with nothing: sdpa in float32."
    )


def test_too_few_rounds_that_both_were_measured_in_tell_no_ratio() -> None:
    no_ratio = "No ratio can be told: it takes 6 rounds that both cells were measured in, here were"
    assert verdict(result(EAGER, found("sdpa/float32", 100.0, STEADY[:5]))) == f"{no_ratio} 5."
    assert verdict(result(EAGER, found("sdpa/float32", 100.0, first=6))) == f"{no_ratio} 0."
    others = [found(f"sdpa-{k}/float32", 100.0, first=k) for k in (2, 4)]
    assert verdict(result(EAGER, *others)) == f"{no_ratio} 4."


def test_rounds_without_numbers_tell_no_ratio() -> None:
    old = [
        replace(of, latency=Latency(tuple(replace(r, number=0) for r in of.latency.rounds)))
        for of in (EAGER, SDPA)
        if of.latency
    ]
    assert verdict(result(*old)) == (
        "No ratio can be told: version 0.1.0, which made this sweep, did not keep what ran in one round."
    )


def test_nothing_is_faster_only_where_that_is_known_of_all() -> None:
    slower = found("sdpa-math/float32", 220.0)
    undecided = found("sdpa/float32", 170.0, (0.6, 1.3, 1.0, 1.0, 1.0, 1.0))
    said = statement(result(EAGER, slower, undecided))
    assert "nothing is faster" not in said and "between sdpa in float32 and eager in float32 no difference" in said
    few = found("sdpa/float32", 20.0, STEADY[:5])
    assert "nothing is faster" not in statement(result(EAGER, slower, found("sdpa-flash/float32", 230.0), few))


def test_a_cell_that_is_faster_than_the_best_beside_the_base_takes_its_place() -> None:
    """The machine had become quicker when further cells were measured, the base and the best among them."""
    eager = found("eager/float32", 1.0, (200.0,) * 6 + (180.0,) * 6)
    sdpa = found("sdpa/float32", 1.0, (100.0,) * 12)
    flash = found("sdpa-flash/float32", 95.0, first=6)
    assert ", sdpa-flash in float32 is 1.89 times as fast as eager in float32" in statement(result(eager, sdpa, flash))


def test_sound_cells_without_a_ratio_are_told() -> None:
    few = found("sdpa-flash/float32", 20.0, STEADY[:3])
    (remark,) = remarks(result(EAGER, SDPA, few))
    assert remark == (
        "Of too few rounds that eager in float32 was measured in, and compared with nothing: sdpa-flash in float32."
    )


def test_noise_is_told_beside_the_ratio() -> None:
    noisy = "Noisy, so the times are not to be trusted to a few per cent"
    shaken = found("sdpa/float32", 100.0, SHAKEN, activations=150)
    assert verdict(result(EAGER, shaken)) == (
        "On Test Machine <1>, sdpa in float32 is 2.0 times as fast as eager in float32 (1.8 to 2.2) and takes 75 % less "
        f"memory; {SAME} {noisy} (the ratios' intervals say how far those are): sdpa in float32."
    )
    assert remarks(result(shaken)) == [f"{noisy}: sdpa in float32."], "of ratios only where there are some"
    assert remarks(result(shaken, found(cell("eager/float32", batch_size=8), 9.0, SHAKEN))) == remarks(result(shaken))


def test_what_failed_or_does_not_run_has_no_part_in_it() -> None:
    rest = [
        Measurement(cell("sdpa-cudnn/float32"), "unavailable", "CUDA only"),
        Measurement(cell("x/y"), "failed", "why"),
    ]
    assert verdict(result(EAGER, *rest, SDPA)) == verdict(result(EAGER, SDPA))


def test_nothing_was_measured() -> None:
    assert verdict(result()) == "Nothing was measured in this sweep."
    rows = [
        Measurement(cell(f"{name}/float32"), "unavailable", "CUDA only.") for name in ("sdpa-cudnn", "sdpa-efficient")
    ]
    failed = Measurement(cell("eager/float32"), "failed", "It broke.")
    assert verdict(result(failed, *rows)) == "Nothing was measured in this sweep. CUDA only."
    assert remarks(result(failed)) == []


def test_one_cell_alone() -> None:
    alone = "One cell alone: eager in float32 takes 200 ms and 1,000 MiB; there is nothing to compare it with."
    assert verdict(result(EAGER)) == alone
    assert verdict(result(replace(EAGER, memory=None))) == alone.replace(" and 1,000 MiB", "")
    cold = found("eager/float32", 200.0, warm=False)
    assert verdict(result(cold)) == (
        "Nothing can be compared: two cells need 6 processes each, warmed up. "
        "Cold, the first call of a process, and compared with nothing: eager in float32."
    )


def test_one_of_several_cells_alone_tells_why_the_others_are_missing() -> None:
    why = "Not begun: 6 processes of it did not fit."
    missing = [Measurement(cell(f"sdpa-{k}/float32"), "cancelled", why) for k in range(2)]
    only = (
        "Only one of {} cells was measured, so there is nothing to compare it with: eager in float32 takes 200 ms and 1,000 "
        "MiB."
    )
    assert verdict(result(EAGER, missing[0])) == f"{only.format(2)} {why}"
    cuda = Measurement(cell("sdpa-cudnn/float32"), "unavailable", "CUDA only.")
    assert verdict(result(cuda, EAGER, *missing)) == f"{only.format(4)} {why}", "the reason of most"
    assert verdict(result(EAGER, replace(cuda, reason=""))) == only.format(2)
    large = replace(missing[0], cell=cell("sdpa/float32", batch_size=8))
    assert verdict(result(EAGER, large)) == verdict(result(EAGER)), "of its family"


def test_a_busy_machine_is_told() -> None:
    busy = " Measured while other programs held 40 % of the processors, which changes the ratios."
    rows = [replace_others(EAGER, 0.4), replace_others(SDPA, 0.4)]
    assert verdict(result(*rows)) == verdict(result(EAGER, SDPA)) + busy
    assert verdict(result(*rows, machine=replace(MACHINE, device="cuda"))) == verdict(result(EAGER, SDPA))
    alone = replace_others(EAGER, 0.4)
    assert remarks(result(alone)) == [
        "Measured while other programs held 40 % of the processors, which changes the times."
    ]
    quiet = [replace_others(EAGER, 0.2), replace_others(SDPA, 0.2)]
    assert verdict(result(*quiet)) == verdict(result(EAGER, SDPA))


def replace_others(measured: Measurement, share: float) -> Measurement:
    assert measured.latency
    rounds = tuple(replace(r, others_share=share) for r in measured.latency.rounds)
    return replace(measured, latency=Latency(rounds))


def test_training_and_batch_sizes_are_named_and_training_has_no_answers() -> None:
    for more, name in (({"batch_size": 8}, "batch size 8"), ({"mode": "training"}, "batch size 1, training")):
        rows = [found(cell(f"{a}/float32", **more), ms) for a, ms in (("eager", 200.0), ("sdpa", 100.0))]
        answers = "" if "mode" in more else f"; {SAME[:-1]}"
        assert verdict(result(*rows)) == (
            f"On Test Machine <1> ({name}), sdpa in float32 is 2.00 times as fast as eager in float32 (2.00 to 2.00) and takes "
            f"the same memory{answers}."
        )


def test_another_family_can_be_asked_for() -> None:
    large = [found(cell(f"{a}/float32", batch_size=8), ms) for a, ms in (("eager", 900.0), ("sdpa", 300.0))]
    both = result(EAGER, SDPA, *large)
    assert verdict(both) == verdict(result(EAGER, SDPA))
    assert [verdict(both, of) for of in families(both)] == [verdict(result(EAGER, SDPA)), verdict(result(*large))]


def test_answers_that_differ_are_told_apart() -> None:
    def said(*answers: tuple[float, ...] | None) -> str:
        names = ("sdpa/float32", "sdpa/float16", "sdpa/bfloat16")
        rows = [
            found(name, 100.0, logits=logits, reason="" if logits else NOT_FINITE)
            for name, logits in zip(names, answers, strict=False)
        ]
        return verdict(result(EAGER, *rows)).rpartition("; ")[2]

    assert said(ANSWER) == SAME
    assert said(OTHER_FIRST) == "not all give the same five answers: sdpa in float32 gives another first answer."
    assert said(ANSWER, OTHER_FIFTH, None) == (
        "not all give the same five answers: sdpa in bfloat16 gives no answer that is a number, and sdpa in float16 gives the "
        "same first answer, but not all the others."
    )
    assert verdict(result(found("eager/float32", 200.0, logits=None, reason=NOT_FINITE), SDPA)).endswith(
        "; eager in float32 gives no answer that is a number."
    )
    unknown = found("sdpa/float32", 100.0, logits=None)
    assert "answer" not in verdict(result(EAGER, unknown)), "none was kept"


@pytest.mark.parametrize("known", [True, False])
def test_answers_are_compared_with_those_of_the_cell_that_the_speed_is_compared_with(known: bool) -> None:
    """Whatever eager float32 has answered, if it has at all."""
    rows = [found("sdpa/float16", 200.0, logits=OTHER_FIRST), found("sdpa/bfloat16", 100.0, logits=ANSWER)]
    references = {cell("eager/float32"): ANSWER} if known else {}
    said = verdict(result(*rows, references=references)).rpartition("; ")[2]
    assert said == "not all give the same five answers: sdpa in bfloat16 gives another first answer."
    alike = [found("sdpa/float16", 200.0), found("sdpa/bfloat16", 100.0)]
    assert verdict(result(*alike, references=references)).endswith(f"; {SAME}")


def test_random_weights_have_no_answers() -> None:
    rows = [found(cell(f"{a}/float32", checkpoint=RANDOM), ms) for a, ms in (("eager", 200.0), ("sdpa", 100.0))]
    assert verdict(result(*rows)) == (
        "On Test Machine <1>, sdpa in float32 is 2.00 times as fast as eager in float32 (2.00 to 2.00) and takes the same "
        "memory."
    )


# What it compares with


def test_the_base_is_eager_float32_if_it_is_sound_and_else_the_first_that_is() -> None:
    cold = found("eager/float32", 200.0, warm=False)
    compiled = found(cell("eager/float32", execution="compiled"), 50.0)
    assert base_of([compiled, SDPA, EAGER]) is EAGER
    assert base_of([cold, compiled, SDPA]) is SDPA and base_of([cold, compiled]) is compiled
    assert base_of([cold]) is None and base_of([]) is None
    assert base_of([EAGER, SDPA], "sdpa in float32") is SDPA and base_of([EAGER, cold], "x") is None
    assert base_of([EAGER, found("sdpa/float16", 1.0, warm=False)], "sdpa in float16") is None


def test_gains_are_within_a_family() -> None:
    large = found(cell("sdpa/float32", batch_size=8), 500.0)
    (gain,) = gains(result(EAGER, large, SDPA))
    assert (gain.row, gain.base, gain.memory_share) == (SDPA, EAGER, 0.25)
    assert gain.ratio and gain.ratio.value == pytest.approx(2.0)
    (other,) = gains(result(EAGER, SDPA), "sdpa in float32")
    assert other.ratio and other.ratio.value == pytest.approx(0.5)
    assert gains(result(EAGER, SDPA), "sdpa in float16") == []
