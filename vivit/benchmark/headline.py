"""What a comparison says, in one sentence that is right or says that it cannot tell. No torch is used."""

from collections.abc import Iterator

from vivit.benchmark.side_by_side import FASTER, SHORT, SLOWER, Ratio, Row, SideBySide

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
    clauses = [*_attention(comparison, rows), *_precision(comparison, rows), *_others(comparison, rows)]
    if trained and (said := _answers(rows)):
        clauses.append(said)
    sentence = f"{_capitalised('; '.join(clauses))}."
    if comparison.busy:
        share = comparison.others_share or 0.0
        sentence += (
            f" Measured while other programs held {_percent(share)} of the processors, which changes the ratios."
        )
    return sentence


def _attention(comparison: SideBySide, rows: list[Row]) -> Iterator[str]:
    """How the other backends compare with the first, in its precision."""
    base = rows[0]
    places = [k for k, row in enumerate(rows) if k and row.cell.precision == base.cell.precision]
    for place in places[:MOST]:
        yield _compare(comparison, rows, place, 0, rows[place].cell.attention, base.cell.attention)


def _precision(comparison: SideBySide, rows: list[Row]) -> Iterator[str]:
    """How the other precisions compare with the first cell's, with the last backend that was measured in both."""
    usual = rows[0].cell.precision
    bases = {row.cell.attention: k for k, row in enumerate(rows) if row.cell.precision == usual}
    others = [(row.cell.precision, k) for k, row in enumerate(rows) if row.cell.precision != usual]
    last = {name: k for name, k in others if rows[k].cell.attention in bases}
    for name, place in list(last.items())[:MOST]:
        attention = rows[place].cell.attention
        base = bases[attention]
        ratio = comparison.ratio(place, base)
        assert ratio
        weights = _weights(rows[place].found.weights / rows[base].found.weights)
        with_it = name if attention == list(bases)[-1] else f"{name} with {attention}"
        if ratio.same:
            yield f"{with_it} {weights} at the same speed"
        elif ratio.verdict in (FASTER, SLOWER):
            yield f"{with_it} {_speed(ratio, usual)} and {weights}"
        else:
            yield f"{with_it} {weights}, and no difference in speed can be told ({_times(ratio)[1]})"


def _others(comparison: SideBySide, rows: list[Row]) -> Iterator[str]:
    """Cells of another backend and another precision than the first, where no other cell leads from one to the other."""
    base = rows[0].cell
    known = {row.cell.attention for row in rows if row.cell.precision == base.precision}
    places = [
        k for k, row in enumerate(rows) if row.cell.precision != base.precision and row.cell.attention not in known
    ]
    for place in places[:MOST]:
        cell = rows[place].cell
        name, against = f"{cell.attention} in {cell.precision}", f"{base.attention} in {base.precision}"
        yield _compare(comparison, rows, place, 0, name, against)


def _compare(comparison: SideBySide, rows: list[Row], place: int, base: int, name: str, against: str) -> str:
    ratio = comparison.ratio(place, base)
    assert ratio
    memory = _memory(rows[place].peak / rows[base].peak)
    if ratio.same:
        return f"{name} is as fast as {against} ({_times(ratio)[1]}) and {memory}"
    if ratio.verdict in (FASTER, SLOWER):
        return f"{name} {_speed(ratio, against)} and {memory}"
    return f"between {name} and {against} no difference in speed can be told ({_times(ratio)[1]}); {name} {memory}"


def _speed(ratio: Ratio, against: str) -> str:
    if ratio.verdict == SLOWER:
        times, interval = _times(Ratio(1 / ratio.value, 1 / ratio.high, 1 / ratio.low))
        return f"takes {times} times as long as {against} ({interval})"
    times, interval = _times(ratio)
    return f"is {times} times as fast as {against} ({interval})"


def _times(ratio: Ratio) -> tuple[str, str]:
    """A ratio and its interval, with as many digits as tell something."""
    digits = 0 if ratio.value >= 10 else 1 if ratio.value >= 2 else 2
    while digits < 2 and any(round(end, digits) == 1 for end in (ratio.low, ratio.high)):
        digits += 1  # an end that is not 1 is not to be read as 1
    return f"{ratio.value:.{digits}f}", f"{ratio.low:.{digits}f} to {ratio.high:.{digits}f}"


def _memory(share: float) -> str:
    """Args: share: peak over the other's peak."""
    if abs(share - 1) < 0.01:
        return "takes the same memory"
    return f"takes {_percent(abs(1 - share))} {'less' if share < 1 else 'more'} memory"


def _weights(share: float) -> str:
    """Args: share: bytes of the weights over the other's."""
    if HALF[0] <= share <= HALF[1]:
        return "halves the weights"
    if abs(share - 1) < 0.01:
        return "keeps the weights as large"
    return f"makes the weights {_percent(abs(1 - share))} {'smaller' if share < 1 else 'larger'}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _answers(rows: list[Row]) -> str:
    """Whether the cells give the first one's answers; '' where the first gives none that is a number."""
    if not rows[0].found.logits:
        return f"{_names(rows[:1])} gives no answer that is a number"
    count = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}[min(5, len(rows[0].found.logits))]
    same = f"the same {count} answer{'s' * (count != 'one')}"
    none = [row for row in rows[1:] if row.agreement is None]
    other = [row for row in rows[1:] if row.agreement and not row.agreement.top1]
    some = [row for row in rows[1:] if row.agreement and row.agreement.top1 and row.agreement.top5 < 1]
    if not (none or other or some):
        return f"all give {same}"
    said = [
        f"{_names(found)} give{'s' * (len(found) == 1)} {what}"
        for found, what in (
            (none, "no answer that is a number"),
            (other, "another first answer"),
            (some, "the same first answer, but not all the others"),
        )
        if found
    ]
    return f"not all give {same}: {', and '.join(said)}"


def _names(rows: list[Row]) -> str:
    return " and ".join(dict.fromkeys(f"{row.cell.attention} in {row.cell.precision}" for row in rows))


def _capitalised(text: str) -> str:
    return f"SDPA{text[4:]}" if text.startswith("sdpa") else text[:1].upper() + text[1:]
