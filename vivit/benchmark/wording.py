"""Ratios, shares, names and answers in words, for every sentence that says what was measured. No torch is used."""

from collections.abc import Sequence
from dataclasses import dataclass

from vivit.benchmark.measurement import Agreement
from vivit.benchmark.ratios import FASTER, SLOWER, Ratio

UNKNOWN = "not known"


def compare(ratio: Ratio, share: float | None, name: str, against: str) -> str:
    """How one cell compares with another in speed and memory. Args: share: its peak over the other's, None if not known."""
    held = "" if share is None else memory(share)
    and_held = f" and {held}" if held else ""
    if ratio.same:
        return f"{name} is as fast as {against} ({times(ratio)[1]}){and_held}"
    if ratio.verdict in (FASTER, SLOWER):
        return f"{name} {speed(ratio, against)}{and_held}"
    said = f"between {name} and {against} no difference in speed can be told ({times(ratio)[1]})"
    return f"{said}; {name} {held}" if held else said


def speed(ratio: Ratio, against: str) -> str:
    """'is 2.3 times as fast as … (2.2 to 2.4)', or that it takes so many times as long."""
    if ratio.verdict == SLOWER:
        value, interval = times(ratio.inverse)
        return f"takes {value} times as long as {against} ({interval})"
    value, interval = times(ratio)
    return f"is {value} times as fast as {against} ({interval})"


def times(ratio: Ratio) -> tuple[str, str]:
    """A ratio and its interval, with as many digits as tell something."""
    digits = 0 if ratio.value >= 10 else 1 if ratio.value >= 2 else 2
    most, ends = 1 if ratio.value >= 10 else 2, (ratio.low, ratio.high)
    while digits < most and (
        round(ends[0], digits) == round(ends[1], digits) or 1 in (round(end, digits) for end in ends)
    ):
        digits += 1  # an interval is not to be read as none, nor an end that is not 1 as 1
    return f"{ratio.value:.{digits}f}", f"{ratio.low:.{digits}f} to {ratio.high:.{digits}f}"


def memory(share: float) -> str:
    """'takes 20 % less memory'. Args: share: peak over the other's peak."""
    if abs(share - 1) < 0.01:
        return "takes the same memory"
    if share >= 2:
        return f"takes {share:.1f} times the memory"
    return f"takes {percent(abs(1 - share))} {'less' if share < 1 else 'more'} memory"


def percent(share: float) -> str:
    """'76 %'."""
    return f"{100 * share:.0f} %"


def plain(value: float) -> str:
    """A number as people read it: whole from 100 on, else with one decimal."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def three_digits(value: float) -> str:
    """A number in three digits, or more where they stand before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """'45 s', and from two minutes on '3 minutes', or '2.5 hours'."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def busy(share: float | None, *, compared: bool = True) -> str:
    """What there is to say where others held so much of the processors. Args: share: 0 to 1; compared: if there are ratios."""
    changes = "the ratios" if compared else "the times"
    return f"Measured while other programs held {percent(share or 0.0)} of the processors, which changes {changes}."


@dataclass(frozen=True)
class Answer:
    """What a cell answered to the clip. Args: cell: its name; logits: if finite; agreement: with the first cell's."""

    cell: str
    logits: tuple[float, ...] | None
    agreement: Agreement | None


def answers(found: Sequence[Answer]) -> str:
    """Whether the others give the first one's answers."""
    first, others = found[0], found[1:]
    if not first.logits:
        return f"{first.cell} gives no answer that is a number"
    count = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}[min(5, len(first.logits))]
    same = f"the same {count} answer{'s' * (count != 'one')}"
    none = [a.cell for a in others if a.agreement is None]
    other = [a.cell for a in others if a.agreement and not a.agreement.top1]
    some = [a.cell for a in others if a.agreement and a.agreement.top1 and a.agreement.top5 < 1]
    if not (none or other or some):
        return f"all give {same}"
    said = [
        f"{names(cells)} give{'s' * (len(cells) == 1)} {what}"
        for cells, what in (
            (none, "no answer that is a number"),
            (other, "another first answer"),
            (some, "the same first answer, but not all the others"),
        )
        if cells
    ]
    return f"not all give {same}: {', and '.join(said)}"


def agrees(found: Agreement | None) -> str:
    """How near an answer is to another: 'same first answer, largest logit difference 0.023'; '' where that is not known."""
    if found is None:
        return ""
    first = "same first answer" if found.top1 else "another first answer"
    return f"{first}, largest logit difference {found.max_logit_difference:.2g}"


def count(number: int, noun: str) -> str:
    """'1 clip', '2 clips'."""
    return f"{number} {noun}{'s' * (number != 1)}"


def names(cells: Sequence[str]) -> str:
    """'a, b and c', each once."""
    *first, last = dict.fromkeys(cells)
    return f"{', '.join(first)} and {last}" if first else last


def sentence(clauses: Sequence[str]) -> str:
    """Clauses as a sentence that begins with a capital."""
    text = "; ".join(clauses)
    if "_" in text.partition(" ")[0] or text.startswith("int8"):  # a name such as flex_attention stays as it is
        return f"{text}."
    return f"SDPA{text[4:]}." if text.startswith("sdpa") else f"{text[:1].upper()}{text[1:]}."
