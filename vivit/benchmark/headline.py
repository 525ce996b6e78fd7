"""What a comparison says, in one sentence that is right or says that it cannot tell. No torch is used."""

from collections.abc import Iterator
from dataclasses import replace

from vivit.benchmark.families import cell_name
from vivit.benchmark.side_by_side import FASTER, SHORT, SLOWER, Row, SideBySide
from vivit.benchmark.wording import Answer, answers, busy, compare, memory, percent, sentence, speed, times

GAIN = 0.97  # a share of the peak from which on nothing is gained
HALF = (0.45, 0.6)  # of the weights: positions and norms stay as they are
MOST = 3  # clauses of a kind; the bars have the rest


def headline(comparison: SideBySide, *, trained: bool = True) -> str:
    """The verdict on a comparison that has ended.

    Args:
        trained: whether its answers mean anything.
    """
    rows = comparison.rows()
    if len(comparison.cells) < 2:
        return "One cell alone: there is nothing to compare it with."
    if len(rows) < len(comparison.cells):
        return "Stopped before every cell was ready: nothing was compared."
    if not comparison.ratio(1):
        n = comparison.rounds
        return (
            f"No ratio can be told from {n} round{'s' * (n != 1)}: it takes {min(comparison.looks or SHORT)}, "
            f"here about {comparison.sound_seconds:,.0f} s."
        )
    clauses = [
        *_attention(comparison, rows),
        *_precision(comparison, rows),
        *_execution(comparison, rows),
        *_others(comparison, rows),
    ]
    if trained:
        names = [cell_name(row.cell) for row in rows]
        clauses.append(
            answers([Answer(n, row.found.logits, row.agreement) for n, row in zip(names, rows, strict=True)])
        )
    return sentence(clauses) + (f" {busy(comparison.others_share)}" if comparison.busy else "")


def _attention(comparison: SideBySide, rows: list[Row]) -> Iterator[str]:
    """How the other backends compare with the first, in its precision."""
    base = rows[0]
    places = [k for k, row in _like_the_first(rows) if k and row.cell.precision == base.cell.precision]
    for place in places[:MOST]:
        yield _compare(comparison, rows, place, rows[place].cell.attention, base.cell.attention)


def _precision(comparison: SideBySide, rows: list[Row]) -> Iterator[str]:
    """How the other precisions compare with the first cell's, with the last backend that was measured in both."""
    usual = rows[0].cell.precision
    bases = {row.cell.attention: k for k, row in _like_the_first(rows) if row.cell.precision == usual}
    others = [(row.cell.precision, k) for k, row in _like_the_first(rows) if row.cell.precision != usual]
    last = {name: k for name, k in others if rows[k].cell.attention in bases}
    for name, place in list(last.items())[:MOST]:
        attention = rows[place].cell.attention
        base = bases[attention]
        ratio = comparison.ratio(place, base)
        assert ratio
        weights = _weights(rows[place].found.weights / rows[base].found.weights)
        peak = _no_less_at_the_peak(rows[place], rows[base])
        with_it = name if attention == list(bases)[-1] else f"{name} with {attention}"
        if ratio.same:
            yield f"{with_it} {weights} at the same speed{peak}"
        elif ratio.verdict in (FASTER, SLOWER):
            yield f"{with_it} {speed(ratio, usual)} and {weights}{peak}"
        else:
            yield f"{with_it} {weights}, and no difference in speed can be told ({times(ratio)[1]}){peak}"


def _like_the_first(rows: list[Row]) -> Iterator[tuple[int, Row]]:
    """The places and rows that run in the first one's way."""
    return ((k, row) for k, row in enumerate(rows) if row.cell.execution == rows[0].cell.execution)


def _execution(comparison: SideBySide, rows: list[Row]) -> Iterator[str]:
    """How the other ways to run compare with the first cell's, of the same backend in the same precision."""
    usual = rows[0].cell.execution
    found = [(k, _otherwise_same(rows, k)) for k, row in enumerate(rows) if row.cell.execution != usual]
    for place, base in [(place, base) for place, base in found if base is not None][:MOST]:
        cell = rows[place].cell
        ratio = comparison.ratio(place, base)
        assert ratio
        ours, theirs = rows[place].peak, rows[base].peak
        share = ours / theirs if ours and theirs else None
        yield compare(ratio, share, f"{cell.attention} in {cell.precision} {cell.execution}", usual)


def _otherwise_same(rows: list[Row], place: int) -> int | None:
    """The place of the cell that differs from one in running in the first cell's way alone."""
    wanted = replace(rows[place].cell, execution=rows[0].cell.execution)
    return next((k for k, row in enumerate(rows) if row.cell == wanted), None)


def _others(comparison: SideBySide, rows: list[Row]) -> Iterator[str]:
    """Cells that differ from the first in more than one thing, where no other cell leads from one to the other."""
    base = rows[0].cell
    known = {row.cell.attention for _, row in _like_the_first(rows) if row.cell.precision == base.precision}
    alone = [
        k
        for k, row in _like_the_first(rows)
        if row.cell.precision != base.precision and row.cell.attention not in known
    ]
    places = alone + [
        k for k, row in enumerate(rows) if row.cell.execution != base.execution and _otherwise_same(rows, k) is None
    ]
    for place in places[:MOST]:
        cell = rows[place].cell
        name, against = cell_name(cell), cell_name(base)
        yield _compare(comparison, rows, place, name, against)


def _compare(comparison: SideBySide, rows: list[Row], place: int, name: str, against: str) -> str:
    ratio = comparison.ratio(place)
    assert ratio
    ours, theirs = rows[place].peak, rows[0].peak
    return compare(ratio, ours / theirs if ours and theirs else None, name, against)


def _no_less_at_the_peak(row: Row, base: Row) -> str:
    """What is to be said where smaller weights come with activations that are larger by as much."""
    if row.found.weights >= base.found.weights or not row.peak or not base.peak or row.peak < GAIN * base.peak:
        return ""
    return f", though at the peak it {memory(row.peak / base.peak)}"


def _weights(share: float) -> str:
    if HALF[0] <= share <= HALF[1]:
        return "halves the weights"
    if abs(share - 1) < 0.01:
        return "keeps the weights as large"
    return f"makes the weights {percent(abs(1 - share))} {'smaller' if share < 1 else 'larger'}"
