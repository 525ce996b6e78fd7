"""What the charts of how cells compare show: ratios, and the cells of two sweeps."""

from dataclasses import replace
from typing import Any

import pytest

from tests.vivit.benchmark.charted import (
    COLD,
    EAGER,
    FAST,
    HALF,
    NOISY,
    PLAIN,
    SDPA,
    SHAKEN,
    points,
    ratio_symbols,
    texts,
    times,
)
from tests.vivit.benchmark.children import result, row
from vivit.benchmark import ratio_charts
from vivit.benchmark.families import Gain, gains
from vivit.benchmark.measurement import Agreement, Cell, Measurement
from vivit.benchmark.ratios import Ratio
from vivit.benchmark.results import Pair, compare


def test_a_ratio_has_the_agreement_of_its_answers_beside_it() -> None:
    near = Gain(FAST, PLAIN, Ratio(2.0, 1.9, 2.1), 0.25, Agreement(0.0234, 1e-4, True, 1.0))
    far = replace(near, agreement=Agreement(3.0, 1.0, False, 0.2))
    assert texts(ratio_charts.ratios([near])) == [
        "sdpa: 2.0 times as fast (1.9 to 2.1), 75 % less memory,<br>same first answer, largest logit difference 0.023"
    ]
    assert "another first answer, largest logit difference 3" in texts(ratio_charts.ratios([far]))[0]
    assert "same first answer" in texts(ratio_charts.ratios([near], documented=True))[0]


def test_ratios_in_words() -> None:
    sure = result(PLAIN, FAST, row(HALF, *times(200.0), activations=900), row(Cell("m", "sdpa-math"), *times(400.0)))
    assert texts(ratio_charts.ratios(gains(sure))) == [
        "sdpa: 2.00 times as fast (2.00 to 2.00), 75 % less memory",
        "sdpa-math: takes 2.00 times as long (2.00 to 2.00), 60 % less memory",
        "sdpa: as fast (1.00 to 1.00), the same memory",
    ]
    (tie,) = texts(ratio_charts.ratios(gains(result(PLAIN, row(SDPA, *times(200.0, SHAKEN))))))
    assert tie == "sdpa: no difference can be told (0.91 to 1.11), 60 % less memory (noisy)"
    (base,) = texts(ratio_charts.ratios(gains(result(row(EAGER, *times(200.0, SHAKEN)), FAST))))
    assert base == "sdpa: 2.0 times as fast (1.8 to 2.2), 38 % less memory (noisy)", "the base's noise is the ratio's"
    (large,) = texts(ratio_charts.ratios(gains(result(FAST, replace(PLAIN, cell=Cell("m", "sdpa-math"))))))
    assert large == "sdpa-math: takes 2.00 times as long (2.00 to 2.00), 4.0 times the memory"
    apart = result(PLAIN, row(SDPA, *times(100.0), first=6))
    assert texts(ratio_charts.ratios(gains(apart))) == ["sdpa: no ratio, not warm in enough of the same rounds"]


def test_a_text_too_long_for_a_phone_takes_two_lines_and_what_follows_is_lower() -> None:
    noisy = row(Cell("m", "sdpa-efficient", execution="compiled"), *times(200.0, SHAKEN))
    below = row(Cell("m", "sdpa-cudnn"), *times(100.0))
    figure = ratio_charts.ratios(gains(result(PLAIN, noisy, below)))
    long, other = texts(figure)
    first, second = long.split("<br>")
    assert first == "sdpa-efficient, compiled: no difference can be told (0.91 to 1.11),"
    assert second == "60 % less memory (noisy)" and "<br>" not in other
    (values,) = (trace for trace in figure.data if trace.name == "values")
    (top, _), (bottom, _) = points(figure)
    assert (
        min(values.y) + ratio_charts.LINE
        < top
        < max(values.y) - ratio_charts.LINE / 2
        < bottom
        < figure.layout.yaxis.range[0]
    )


@pytest.mark.parametrize("first", ["vivit-mannequin", "google/vivit-b-16x2-kinetics400"])
def test_models_of_long_names_stand_above_how_they_compare(first: str) -> None:
    other = row(Cell("vivit-mannequin-fe", "sdpa"), *times(100.0))
    (text,) = texts(
        ratio_charts.ratios([Gain(other, row(Cell(first, "sdpa"), *times(200.0)), Ratio(2.0, 1.9, 2.1), None)])
    )
    name, said = text.split("<br>")
    assert name == f"vivit-mannequin-fe beside {first}, sdpa:" and said.startswith("2.0 times as fast (1.9")
    folder = "/".join(["a folder of a very long name"] * 4)
    (text,) = texts(
        ratio_charts.ratios([Gain(other, row(Cell(folder, "sdpa"), *times(200.0)), Ratio(2.0, 1.9, 2.1), None)])
    )
    assert max(map(len, text.split("<br>"))) <= ratio_charts.LONGEST


def test_ratios_as_the_documentation_writes_them() -> None:
    found = gains(result(PLAIN, FAST, replace(NOISY, memory=None)))
    assert texts(ratio_charts.ratios(found, documented=True)) == [
        "sdpa: speed-up +100 % (+100 to +100), memory saved +300 %",
        "sdpa: speed-up +304 % (+264 to +344) (noisy)",
    ]
    (slower,) = texts(
        ratio_charts.ratios(gains(result(PLAIN, row(SDPA, *times(400.0), activations=1900))), documented=True)
    )
    assert slower == "sdpa: speed-up -50 % (-50 to -50), memory saved -50 %"


def test_ratios_have_a_heading_a_precision_of_each_family_and_intervals() -> None:
    large = [replace(r, cell=replace(r.cell, batch_size=8)) for r in (PLAIN, NOISY, FAST)]
    figure = ratio_charts.ratios(gains(result(PLAIN, FAST, *large)))
    assert texts(figure, "headings") == [
        "<b>batch size 1, float32</b>",
        "<b>batch size 8, float32</b>",
        "<b>batch size 8, float16</b>",
    ]
    (told,) = (trace for trace in figure.data if trace.name == "told")
    assert [value for _, value in points(figure)] == pytest.approx([2.0, 2.0, 4.0404], rel=1e-3)
    by_value = dict(zip(told.x, zip(told.error_x.arrayminus, told.error_x.array, strict=True), strict=True))
    assert by_value[2.0] == (0.0, 0.0) and by_value[max(told.x)] == pytest.approx((0.4040, 0.4040), rel=1e-3)


def test_half_and_twice_are_equally_far_from_one_and_the_ends_of_intervals_are_seen() -> None:
    def axis(*ends: float) -> Any:
        found = [Gain(FAST, PLAIN, Ratio(1.5, *ends), None)]
        return ratio_charts.ratios(found).layout.xaxis

    plain = axis(1.4, 1.6)
    assert plain.type == "log" and plain.range[0] == pytest.approx(-plain.range[1]) and {0.5, 1, 2} <= {*plain.tickvals}
    wide = axis(0.1, 30.0)
    assert wide.range[0] < -1.0 and wide.range[1] > 1.47


def test_ratios_that_tell_nothing_are_paler_and_the_margin_is_drawn() -> None:
    found = [
        Gain(FAST, PLAIN, Ratio(1.1, low, 1.2), None) for low in (1.021, 1.019)
    ]  # two copies of one model differ by 2 %
    figure = ratio_charts.ratios(found)
    told, untold = (trace for trace in figure.data if trace.mode == "markers")
    assert (told.name, untold.name) == ("told", "no difference can be told") and untold.opacity < told.opacity
    assert len(told.x) == len(untold.x) == 1
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].x1) == (1 / 1.02, 1.02)
    assert [text.partition(" (")[0] for text in texts(figure)] == [
        "sdpa: 1.10 times as fast",
        "sdpa: no difference can be told",
    ]


def test_cells_of_two_checkpoints_have_places_of_their_own() -> None:
    """A sweep may hold the same cells of two checkpoints, and the name of a cell does not tell its checkpoint."""
    other = [
        replace(r, cell=replace(r.cell, checkpoint="n")) for r in (PLAIN, row(SDPA, *times(50.0), activations=900))
    ]
    found = gains(result(PLAIN, FAST, *other))
    figure = ratio_charts.ratios(found)
    assert texts(figure, "headings") == ["<b>batch size 1, float32, m</b>", "<b>batch size 1, float32, n</b>"]
    assert [value for _, value in points(figure)] == pytest.approx([2.0, 4.0])
    assert [text[-27:] for text in texts(figure)] == [
        "2.00 to 2.00), 75 % less memory"[-27:],
        "4.00 to 4.00), the same memory"[-27:],
    ]
    assert [value for _, value in points(ratio_charts.ratios(found[::-1]))] == pytest.approx([4.0, 2.0])
    without = ratio_charts.ratios([replace(found[0], ratio=None), found[1]])
    assert [text[:14] for text in texts(without)] == ["sdpa: no ratio", "sdpa: 4.00 tim"] and len(points(without)) == 1


def test_pairs_in_words() -> None:
    def said(ours: Measurement, theirs: Measurement, what: str = "ms") -> str:
        (text,) = texts(ratio_charts.pairs(compare(result(ours), result(theirs)), what))
        return text.replace("<br>", " ")

    slow = replace(PLAIN, cell=SDPA)
    assert said(FAST, slow) == "sdpa: 100 and 200 ms, 2.00 times as fast (2.00 to 2.00)"
    assert said(slow, FAST) == "sdpa: 200 and 100 ms, takes 2.00 times as long (2.00 to 2.00)"
    assert (
        said(FAST, replace(NOISY, cell=SDPA)) == "sdpa: 100 and 50.0 ms, takes 2.0 times as long (1.8 to 2.2) (noisy)"
    )
    tie = said(slow, row(SDPA, *times(200.0, SHAKEN)))
    assert tie == "sdpa: 200 and 200 ms, no difference can be told (0.90 to 1.10) (noisy)"
    assert said(slow, slow) == "sdpa: 200 and 200 ms, as fast (1.00 to 1.00)"
    assert said(FAST, row(SDPA, *times(200.0)[:5])) == "sdpa: 100 and 200 ms, no ratio, too few processes"
    once = replace(COLD, cell=SDPA)
    assert said(FAST, once) == "sdpa: 100 and 40.0 ms, no ratio, too few processes (cold)"
    assert said(once, row(SDPA, *times(50.0, SHAKEN))).endswith("processes (cold, noisy)")
    assert said(slow, FAST, "MiB") == "sdpa: 1,000 and 250 MiB, 4.0 times the memory"
    assert said(FAST, slow, "MiB") == "sdpa: 250 and 1,000 MiB, 75 % less memory"
    assert said(replace(FAST, memory=None), slow, "MiB") == "sdpa: not known and 1,000 MiB"


def test_pairs_have_two_bars_below_their_text_under_headings() -> None:
    whole = result(PLAIN, FAST, NOISY)
    figure = ratio_charts.pairs(compare(whole, whole), "ms")
    values, _, first, second = figure.data
    assert texts(figure, "headings") == ["<b>batch size 1, float32</b>", "<b>batch size 1, float16</b>"]
    assert list(first.x) == list(second.x) == pytest.approx([200.0, 100.0, 50.0])
    for text, above, below in zip(values.y, first.y, second.y, strict=True):
        assert (
            text + ratio_charts.LINE / 2
            <= above - first.width / 2
            < above + first.width / 2
            <= below - second.width / 2
        )
    assert set(values.x) == {0.0} and figure.layout.xaxis.range == (0, 200.0)


def test_a_ratio_is_hollow_if_its_base_is_noisy() -> None:
    noisy_base = row(EAGER, *times(200.0, SHAKEN))
    (symbol,) = ratio_symbols(ratio_charts.ratios(gains(result(noisy_base, FAST))))
    assert symbol >= 100


def test_a_chart_of_a_gain_without_a_ratio_keeps_its_place() -> None:
    with_one, without = Gain(FAST, PLAIN, Ratio(2.0, 1.9, 2.1), 0.25), Gain(NOISY, PLAIN, None, None)
    figure = ratio_charts.ratios([without, with_one])
    assert texts(figure) == [
        "sdpa: 2.0 times as fast (1.9 to 2.1), 75 % less memory",
        "sdpa: no ratio, not warm in enough of the same rounds (noisy)",
    ]
    assert len(points(figure)) == 1 and len(texts(figure, "headings")) == 2
    (text,) = texts(ratio_charts.pairs([Pair(FAST, PLAIN, None)], "ms"))
    assert text == "sdpa: 100 and 200 ms, no ratio, too few processes"
