"""What is told of a sweep whatever its rows: nothing is compared with a figure that is not sound."""

import random
import re
from dataclasses import replace

import pytest

from tests.vivit.benchmark.charted import points, texts
from tests.vivit.benchmark.children import result, row
from vivit.benchmark import documentation, ratio_charts, report, tables
from vivit.benchmark.families import base_of, cell_name, families, gains
from vivit.benchmark.measurement import CAVEATS, Cell, Measurement
from vivit.benchmark.presets import grid
from vivit.benchmark.results import Result, compare, find_ratio_of
from vivit.benchmark.verdict import statement

KINDS = ("sound", "sound", "noisy", "cold", "one process", "failed", "few")


def random_row(chance: random.Random, cell: Cell) -> Measurement:
    kind, ms, first = chance.choice(KINDS), chance.uniform(1, 500), chance.choice((0, 0, 0, 6))
    logits = tuple(chance.uniform(-1, 1) for _ in range(7)) if chance.random() < 0.8 else None
    if kind == "failed":
        return Measurement(cell, chance.choice(("failed", "cancelled", "unavailable", "out-of-memory")), "why")
    spread = 0.5 if kind == "noisy" else 0.01
    processes = {"one process": 1, "few": chance.randint(2, 5), "cold": chance.randint(1, 8)}.get(
        kind, chance.randint(6, 12)
    )
    samples = [tuple(ms * chance.uniform(1 - spread, 1 + spread) for _ in range(3)) for _ in range(processes)]
    found = row(cell, *samples, first=first, warm=kind != "cold", logits=logits, others=chance.random())
    return replace(found, memory=None) if chance.random() < 0.1 else found


def random_result(chance: random.Random) -> Result:
    cells = grid("m", ("eager", "sdpa", "sdpa-math"), ("float32", "float16"), (1, 2), ("inference", "training"))
    return result(*(random_row(chance, cell) for cell in chance.sample(cells, chance.randint(1, len(cells)))))


NAMES = [None, "eager in float32", "sdpa in float16"]
COMPARED = ("compared with", "times as fast", "from", "to", "verdict", "% less memory")


@pytest.mark.parametrize("seed", range(30))
def test_no_ratio_is_ever_formed_with_a_figure_that_is_not_sound(seed: int) -> None:
    chance = random.Random(seed)
    whole, other = random_result(chance), random_result(chance)
    for rows in families(whole).values():
        pairs = [(first, second) for first in rows for second in rows if find_ratio_of(first, second)]
        assert all(first.sound and second.sound for first, second in pairs)
        assert all(base is None or base.sound for base in (base_of(rows, name) for name in NAMES))
    for name in NAMES:
        found = gains(whole, name)
        assert all(gain.row.sound and gain.base.sound for gain in found)
        figure = ratio_charts.ratios(found)
        drawn = sum("no ratio" not in text for text in texts(figure))
        assert drawn == len(points(figure)) == sum(gain.ratio is not None for gain in found)
        for line, measured in zip(tables.table(whole, name), whole.rows, strict=True):
            assert measured.sound or all(line[key] is None for key in COMPARED)
    both = compare(whole, other)
    in_their_order = ratio_charts.pairs(both, "ms").data[0].text
    for pair, text in zip(both, in_their_order, strict=True):
        assert text.startswith(f"{pair.ours.cell.attention}: ")
        assert (pair.ratio is None) == ("no ratio" in text)
        assert pair.ratio is None or (pair.ours.sound and pair.theirs.sound)
    for of, rows in families(whole).items():
        sound = {cell_name(found.cell) for found in rows if found.sound}
        said = statement(whole, of)
        compared = re.findall(r"(\S+ in \S+) (?:is|takes) \S+ times as \w+ as (\S+ in \S+)", said)
        compared += re.findall(r"(\S+ in \S+) is as fast as (\S+ in \S+)", said)
        compared += re.findall(r"between (\S+ in \S+) and (\S+ in \S+) no difference", said)
        assert compared or said.startswith(("No ratio", "Nothing can be compared", "One cell alone", "Only one"))
        assert {name for pair in compared for name in pair} <= sound


@pytest.mark.parametrize("seed", range(30))
def test_figures_that_are_not_sound_change_nothing_in_what_is_told_of_others(seed: int) -> None:
    whole = random_result(random.Random(seed))
    without = replace(whole, rows=tuple(found for found in whole.rows if found.sound))
    for name in NAMES:
        of_sound = {g.row.cell: (g.base.cell, g.ratio, g.memory_share) for g in gains(without, name)}
        assert {g.row.cell: (g.base.cell, g.ratio, g.memory_share) for g in gains(whole, name)} == of_sound
    for table in (documentation.inference_table, documentation.training_table):
        assert table(whole) == table(without)


def test_the_random_rows_are_of_every_kind_and_some_can_be_compared() -> None:
    results = [random_result(random.Random(seed)) for seed in range(30)]
    rows = [found for whole in results for found in whole.rows]
    assert {kind for found in rows for kind in found.caveats} == set(CAVEATS)
    told = [statement(whole, of) for whole in results for of in families(whole)]
    for words in (
        "times as fast as",
        "times as long as",
        "no difference",
        "No ratio",
        "Nothing can be compared",
        "Only one of",
    ):
        assert any(words in said for said in told), words
    assert any(documentation.inference_table(whole) for whole in results)
    assert any(documentation.training_table(whole) for whole in results)


def test_a_page_of_any_rows_can_be_written() -> None:
    for seed in range(2):
        assert "<h1>" in report.as_html(random_result(random.Random(seed)))
