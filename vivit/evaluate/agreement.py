"""Two evaluations of the same clips: how many answers change, and whether accuracy does. No torch is used."""

from collections.abc import Iterable
from dataclasses import dataclass

from vivit.evaluate.records import Record
from vivit.evaluate.summary import Share
from vivit.hub.labels import same_label

UNLIKELY = 0.05  # below this a difference is more than chance explains


@dataclass(frozen=True)
class Agreement:
    """How one cell's answers go with another's, on the clips that both classified.

    Args:
        clips: how many those are.
        changed: (ours, theirs) of the clips whose best class is another one.
        share: of changed clips.
        only_ours, only_theirs: clips that only one of the two gets right.
        ours, theirs: shares that are right.
        p_value: how often two equally accurate cells would differ as much or more on so many clips that only one gets right:
            McNemar's test in its exact form, a binomial test with two sides; 1 if there is no such clip.
    """

    clips: int
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

    Source: McNemar 1947, 'Note on the sampling error of the difference between correlated proportions or percentages'.
    """
    known = {(r.path, r.label): r for r in theirs if not r.error}
    pairs = [(r, other) for r in ours if not r.error and (other := known.get((r.path, r.label)))]
    changed = tuple(pair for pair in pairs if not same_label(*(record.top[0].label for record in pair)))
    only_ours = sum(one.right and not other.right for one, other in pairs)
    only_theirs = sum(other.right and not one.right for one, other in pairs)
    return Agreement(
        clips=len(pairs),
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
    term = total = 1  # in whole numbers, of which the quotient is exact
    for k in range(fewer):
        term = term * (n - k) // (k + 1)
        total += term
    return min(1.0, 2 * total / 2**n)


def in_words(agreement: Agreement, ours: str = "", theirs: str = "") -> str:
    """One sentence or two, which claim no more than the clips tell.

    Args:
        ours, theirs: what the two cells are called; without names they are 'these' and 'those'.
    """
    n, share = agreement.clips, agreement.share
    if not n or share.value is None:
        return "There is no clip that both classified, so nothing can be told of their answers."
    clips = "1 clip" if n == 1 else f"{n} clips"
    if not agreement.changed:
        return f"No answer changes in {clips}: at most {_percent(share.high)} of answers would (95 %)."
    changed = len(agreement.changed)
    told = (
        f"{changed} of {clips} {'has' if changed == 1 else 'have'} another answer, {_percent(share.value)} "
        f"({100 * share.low:.1f} to {_percent(share.high)}). "
    )
    first, second = ours or "these", theirs or "those"
    if agreement.only_ours == agreement.only_theirs == 0:
        return told + "Each clip is right or wrong in both."
    only = f"{first} alone right on {agreement.only_ours}, {second} alone on {agreement.only_theirs}"
    test = f"exact McNemar test, p = {agreement.p_value:.2g}"
    if agreement.p_value >= UNLIKELY:
        return f"{told}No difference in accuracy can be told: {only} ({test})."
    better, worse = (first, second) if agreement.difference > 0 else (second, first)
    return f"{told}{better} is right more often than {worse} on such clips: {only} ({test})."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
