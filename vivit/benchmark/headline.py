"""What a comparison says, in one sentence that is right or says that it cannot tell. No torch is used."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from vivit.benchmark.families import cell_name, model_names
from vivit.benchmark.ratios import FASTER, SHORT, SLOWER
from vivit.benchmark.side_by_side import Row, SideBySide
from vivit.benchmark.wording import Answer, answers, busy, compare, memory, names, percent, sentence, speed, times
from vivit.checkpoint import RANDOM_CONFIGS

GAIN = 0.97  # a share of the peak from which on nothing is gained
HALF = (0.45, 0.6)  # of the weights: positions and norms stay as they are
USUAL = "sdpa in float32"
MOST = 3  # clauses of a kind; the bars have the rest


Labels = Mapping[str, Mapping[int, str]]  # checkpoint → its classes


def headline(comparison: SideBySide, *, trained: bool = True, labels: Labels | None = None) -> str:
    """The verdict on a comparison that has ended.

    Args:
        trained: whether the answers of checkpoints without random weights mean anything.
        labels: the classes of trained checkpoints, whose first answers are named where there are several.
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
    named = model_names(cell.checkpoint for cell in comparison.cells)
    clauses = [
        *_attention(comparison, rows),
        *_precision(comparison, rows),
        *_execution(comparison, rows),
        *_others(comparison, rows),
    ]
    if first := named[rows[0].cell.checkpoint]:  # what is asked is how models differ
        clauses = list(_models(comparison, rows, named)) or [f"in {first}, {clause}" for clause in clauses]
    if trained:
        clauses += _answers(rows, named, labels or {})
    return sentence(clauses) + (f" {busy(comparison.others_share)}" if comparison.busy else "")


def _models(comparison: SideBySide, rows: list[Row], named: Mapping[str, str]) -> Iterator[str]:
    """How the other models compare with the first in the same backend, precision and way to run."""
    first = rows[0].cell.checkpoint
    places = {row.cell: place for place, row in enumerate(rows)}
    pairs = [
        (place, places[same])
        for place, row in enumerate(rows)
        if row.cell.checkpoint != first and (same := replace(row.cell, checkpoint=first)) in places
    ]
    # The usual one first, as a sweep's verdict has it; what else was compared is in the bars.
    pairs.sort(key=lambda pair: cell_name(rows[pair[0]].cell) != USUAL)
    for place, base in pairs[:MOST]:
        cell = rows[place].cell
        said = _compare(comparison, rows, place, named[cell.checkpoint], named[first], base)
        yield f"with {cell_name(cell)}, {said}"
    if others := dict.fromkeys(cell_name(rows[place].cell) for place, _ in pairs[MOST:]):
        yield f"the bars have the rest ({names([*others])})"


def _answers(rows: list[Row], named: Mapping[str, str], labels: Labels) -> Iterator[str]:
    """Whether cells with the same weights give the same answers; of several trained ones the first answer of each."""
    said, firsts = {}, []
    for checkpoint, name in named.items():
        ours = [row for row in rows if row.cell.checkpoint == checkpoint]
        if checkpoint in RANDOM_CONFIGS or not ours:
            continue
        if not name or len(ours) > 1:
            said[name] = answers([Answer(cell_name(row.cell), row.found.logits, row.agreement) for row in ours])
        logits = ours[0].found.logits
        if name and logits and checkpoint in labels:
            best = max(range(len(logits)), key=logits.__getitem__)
            firsts.append(f"{name} answers '{labels[checkpoint].get(best, f'class {best}')}'")
    alike = len(said) > 1 and len(set(said.values())) == 1
    for name, clause in ({"each model by itself": next(iter(said.values()))} if alike else said).items():
        yield f"in {name}, {clause}" if name else clause
    if firsts:
        yield names(firsts)


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
    """The places and rows of the first one's model that run in its way."""
    return ((k, row) for k, row in _of_the_first(rows) if row.cell.execution == rows[0].cell.execution)


def _of_the_first(rows: list[Row]) -> Iterator[tuple[int, Row]]:
    """The places and rows of the first one's model."""
    return ((k, row) for k, row in enumerate(rows) if row.cell.checkpoint == rows[0].cell.checkpoint)


def _execution(comparison: SideBySide, rows: list[Row]) -> Iterator[str]:
    """How the other ways to run compare with the first cell's, of the same backend in the same precision."""
    usual = rows[0].cell.execution
    found = [(k, _otherwise_same(rows, k)) for k, row in _of_the_first(rows) if row.cell.execution != usual]
    for place, base in [(place, base) for place, base in found if base is not None][:MOST]:
        cell = rows[place].cell
        ratio = comparison.ratio(place, base)
        assert ratio
        ours, theirs = rows[place].peak, rows[base].peak
        share = ours / theirs if ours and theirs else None
        yield compare(ratio, share, f"{cell.attention} in {cell.precision} {cell.execution}", usual)


def _otherwise_same(rows: list[Row], place: int) -> int | None:
    """The place of the cell that differs from that at `place` only in running in the first cell's way; None without one."""
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
        k for k, row in _of_the_first(rows) if row.cell.execution != base.execution and _otherwise_same(rows, k) is None
    ]
    for place in places[:MOST]:
        cell = rows[place].cell
        name, against = cell_name(cell), cell_name(base)
        yield _compare(comparison, rows, place, name, against)


def _compare(comparison: SideBySide, rows: list[Row], place: int, name: str, against: str, base: int = 0) -> str:
    ratio = comparison.ratio(place, base)
    assert ratio
    ours, theirs = rows[place].peak, rows[base].peak
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
