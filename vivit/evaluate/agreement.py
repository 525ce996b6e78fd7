"""Two evaluations of the same clips: how many answers change, and whether accuracy does. No torch is used."""

from collections.abc import Iterable
from dataclasses import dataclass

from vivit.benchmark.wording import count
from vivit.evaluate.records import Record
from vivit.evaluate.summary import Share
from vivit.hub.labels import same_label

UNLIKELY = 0.05  # below this a difference is more than chance explains


@dataclass(frozen=True)
class Agreement:
    """How one cell's answers go with another's, on the clips that both classified.

    Args:
        clips: how many those are.
        unanswered: how many clips more only one of the two has an answer to; they count nowhere else.
        changed: (ours, theirs) of the clips whose best class is another one.
        share: of changed clips.
        only_ours, only_theirs: clips that only one of the two gets right.
        ours, theirs: shares that are right.
        p_value: how often two equally accurate cells would differ as much or more on so many clips that only one gets right:
            McNemar's test in its exact form, a binomial test with two sides; 1 if there is no such clip.
    """

    clips: int
    unanswered: int
    changed: tuple[tuple[Record, Record], ...]
    share: Share
    only_ours: int
    only_theirs: int
    ours: Share
    theirs: Share
    p_value: float

    @property
    def difference(self) -> float:
        """Our accuracy less theirs, 0 of no clips."""
        return (self.only_ours - self.only_theirs) / self.clips if self.clips else 0.0


def agree(ours: Iterable[Record], theirs: Iterable[Record]) -> Agreement:
    """Compare two cells on the clips that both classified: those of one path and one label.

    Each p-value is of one pair of cells: of twenty pairs that are equally accurate one has a p-value below 0.05 by chance.

    Source: McNemar 1947, 'Note on the sampling error of the difference between correlated proportions or percentages'.
    """
    known = {(r.path, r.label): r for r in theirs}
    both = [(r, other) for r in ours if (other := known.get((r.path, r.label)))]
    pairs = [(r, other) for r, other in both if not (r.error or other.error)]
    changed = tuple(pair for pair in pairs if not same_label(*(record.top[0].label for record in pair)))
    only_ours = sum(one.right and not other.right for one, other in pairs)
    only_theirs = sum(other.right and not one.right for one, other in pairs)
    return Agreement(
        clips=len(pairs),
        unanswered=sum(bool(one.error) != bool(other.error) for one, other in both),
        changed=changed,
        share=Share.of(len(changed), len(pairs)),
        only_ours=only_ours,
        only_theirs=only_theirs,
        ours=Share.of(sum(one.right for one, _ in pairs), len(pairs)),
        theirs=Share.of(sum(other.right for _, other in pairs), len(pairs)),
        p_value=mcnemar(only_ours, only_theirs),
    )


def mcnemar(one: int, other: int) -> float:
    """The exact two-sided p-value of McNemar's test.

    Args:
        one, other: clips that only the one, or only the other, gets right; 0 or more.
    """
    n, fewer = one + other, min(one, other)
    term = total = 1  # in whole numbers, whose sum is exact
    for k in range(fewer):
        term = term * (n - k) // (k + 1)
        total += term
    p: float = 2 * total / 2**n
    return min(1.0, p)


def in_words(agreement: Agreement, ours: str = "this cell", theirs: str = "that one") -> str:
    """A sentence or a few, which claim no more than the clips tell. Args: ours, theirs: what the two cells are called."""
    return _of_answers(agreement, ours, theirs) + unanswered(agreement, " ", ".")


def unanswered(agreement: Agreement, before: str, after: str) -> str:
    """What to say of clips that only one of two cells has an answer to; '' if there are none."""
    if not (n := agreement.unanswered):
        return ""
    return f"{before}{n:,} clip{'s' * (n > 1)} more only one of them could answer{after}"


def _of_answers(agreement: Agreement, ours: str, theirs: str) -> str:
    n, share = agreement.clips, agreement.share
    if not n or share.value is None:
        return "There is no clip that both classified, so nothing can be told of their answers."
    clips = count(n, "clip")
    if not agreement.changed:
        return f"No answer changes in {clips}: at most {_percent(share.high)} of answers would (95 %)."
    changed = len(agreement.changed)
    told = (
        f"{changed} of {clips} {'has' if changed == 1 else 'have'} another answer, {_percent(share.value)} "
        f"({100 * share.low:.1f} to {_percent(share.high)}). "
    )
    if agreement.only_ours == agreement.only_theirs == 0:
        return told + "Each clip is right or wrong in both."
    only = f"{ours} alone right on {agreement.only_ours}, {theirs} alone on {agreement.only_theirs}"
    test = f"exact McNemar test, p = {agreement.p_value:.2g}"
    if agreement.p_value >= UNLIKELY:
        return f"{told}No difference in accuracy can be told: {only} ({test})."
    better, worse = (ours, theirs) if agreement.difference > 0 else (theirs, ours)
    return f"{told}{better[:1].upper()}{better[1:]} is right more often than {worse} on such clips: {only} ({test})."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
