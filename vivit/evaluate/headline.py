"""What an evaluation of several cells comes to, in one sentence that claims no more than its clips tell. No torch is used."""

from vivit.evaluate.agreement import UNLIKELY, Agreement, agree, unanswered
from vivit.evaluate.kept import Kept
from vivit.evaluate.report import share_text
from vivit.evaluate.sources import BUNDLED
from vivit.evaluate.summary import Share, summarise


def statement(kept: Kept, place: int = 0) -> str:
    """How often a cell is right, and how its answers go with the reference's. Args: place: of the cell."""
    name, evaluation = kept.names[place], kept.evaluations[place]
    found = summarise(evaluation.records, evaluation.id2label)
    known = found.clips - found.failed
    if not known:
        return f"{name}: no clip was classified."
    right = right_on(found.top1, known)
    if evaluation.source.name == BUNDLED:  # an interval is of clips that nobody has chosen
        right = f"{sum(record.right for record in evaluation.records)} of {known} chosen clips"
    first = f"{name} is right on {right}"
    if place == kept.reference:
        return f"{first}."
    reference = kept.evaluations[kept.reference]
    agreement = agree(evaluation.records, reference.records)
    told = changes(agreement, name, kept.names[kept.reference]) + unanswered(agreement, "; ", "")
    return f"{first}; {told}."


def right_on(share: Share, clips: int) -> str:
    """'98.2 % of 72 clips (93.3 to 99.6)'."""
    value, _, interval = share_text(share).partition(" (")
    return f"{value} of {clips:,} clip{'s' * (clips != 1)} ({interval}"


def changes(agreement: Agreement, name: str, reference: str) -> str:
    """How many answers change, and whether accuracy does, as a clause. Args: name, reference: what the two cells are called."""
    share, n = agreement.share, agreement.clips
    if not n:
        return f"no clip was classified by {reference} too"
    if not agreement.changed:
        return f"no answer changes from {reference}: at most {100 * share.high:.1f} % would (95 %)"
    number = len(agreement.changed)
    told = f"{number:,} answer{'s' * (number > 1)} of {n:,} change{'s' * (number == 1)} from {reference}, {share_text(share)}"
    if not agreement.only_ours + agreement.only_theirs:
        return f"{told}, and each clip is right or wrong in both"
    if agreement.p_value >= UNLIKELY:
        return f"{told}, and no difference in accuracy can be told"
    return f"{told}, and {name if agreement.difference > 0 else reference} is right more often"
