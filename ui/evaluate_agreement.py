"""Which answers another cell changes, and whether that makes a difference in accuracy."""

from collections.abc import Sequence

import streamlit as st

from ui import charts
from ui.beside import pick_beside
from ui.escape import literal
from ui.evaluate_charts import cell_colour, shares, with_clips
from ui.evaluate_clips import show_clips
from ui.evaluate_figures import agreement_of
from ui.evaluate_kept import differences, kept_here, name, same_clips
from vivit.evaluate.agreement import Agreement, in_words
from vivit.evaluate.kept import Kept

Pair = tuple[str, Agreement]
TEST = (
    "A share of 0 has an upper bound too: so few clips would not show a rarer change. Whether accuracy differs is told by the "
    "exact McNemar test on the clips that only one of the two gets right; where it tells no difference there may still be one, "
    "too small for so many clips."
)


def show_agreement(kept: Kept, place: int) -> None:
    """Draw every cell beside one of the same evaluation, and the clips whose answer changes. Args: place: of the cell."""
    names = kept.names
    if len(names) < 2:
        st.info(
            "This evaluation has one cell. Add others above, such as eager float32, and evaluate the same clips again."
        )
        return
    key = f"reference-{kept.id}"
    reference = st.selectbox("Compared with", names, index=kept.reference, key=key, width=320)
    base = names.index(reference or names[0])
    pairs = [(name, agreement_of(kept, k, kept, base)) for k, name in enumerate(names) if k != base]
    _show_pairs(kept, pairs, names[base])
    shown = place if place != base else next(k for k in range(len(names)) if k != base)
    _show_changed(kept, shown, names[base], agreement_of(kept, shown, kept, base), "changed")


def show_two_evaluations(kept: Kept, place: int) -> None:
    """Draw a cell beside those of another evaluation, on the clips that both have. Args: place: of the cell."""
    known = {id: one for id, one in kept_here().items() if id != kept.id and same_clips(kept, one)}
    if not known:
        st.info(
            "There is no other evaluation of the same dataset or folder: evaluate it again, by other models or cells."
        )
        return
    other = pick_beside(f"other-evaluation-{kept.id}", known, "Another evaluation", name)
    if other is None:
        st.info("Choose another evaluation: the answers to the clips that both have are compared.")
        return
    pairs = [(cell, agreement_of(kept, place, other, k)) for k, cell in enumerate(other.names)]
    if not any(agreement.clips for _, agreement in pairs):
        st.info("The two evaluations have no clip in common that was classified in both.")
        return
    ours = kept.names[place]
    # A cell that ended early has fewer clips, and what is told of ours beside it is of those alone.
    here = dict.fromkeys((one.clips, one.ours) for _, one in pairs)
    rows = [(with_clips(f"{ours}, here", clips), share, "") for clips, share in here]
    rows += [(with_clips(f"{cell}, there", one.clips), one.theirs, "") for cell, one in pairs]
    st.markdown(":small[Right, of the clips that both classified, and its 95 % interval]")
    charts.show(shares(rows, zoom=True), f"two-{kept.id}-{other.id}", "Top-1 of both evaluations on the same clips")
    told = [f"- **{literal(cell)}**: {literal(in_words(one, ours, f'{cell} there'))}" for cell, one in pairs]
    st.markdown("\n".join(told))
    asked = kept.evaluations[place].asked
    unlike = {cell: differences(asked, one.asked) for cell, one in zip(other.names, other.evaluations, strict=True)}
    besides = "; ".join(f"{cell} there: {told}" for cell, told in unlike.items() if told)
    if besides:
        st.caption(
            f":material/difference: Besides attention and precision, here and there differ in: {literal(besides)}."
        )
    st.caption(TEST)
    _show_changed(kept, place, f"{pairs[0][0]} there", pairs[0][1], f"two-{other.id}")


def _show_pairs(kept: Kept, pairs: Sequence[Pair], reference: str) -> None:
    asked = {name: evaluation.asked for name, evaluation in zip(kept.names, kept.evaluations, strict=True)}
    st.markdown("\n".join(f"- **{literal(name)}**: {literal(in_words(one, name, reference))}" for name, one in pairs))
    left, right = st.columns([5, 6], gap="medium")
    with left:
        st.markdown(f":small[Answers that change from {literal(reference)}, and the 95 % interval]")
        rows = [(name, one.share, cell_colour(asked[name].attention, asked[name].precision)) for name, one in pairs]
        charts.show(
            shares(rows, zoom=True),
            f"changes-{kept.id}-{reference}",
            "The share of answers that change; the table has the same",
        )
    with right:
        table = [
            {
                "cell": name,
                "clips": one.clips,
                "changed": len(one.changed),
                "share": one.share.value,
                "95 % from": one.share.low,
                "95 % to": one.share.high,
                "it alone right": one.only_ours,
                "the other alone": one.only_theirs,
                "McNemar p": one.p_value,
            }
            for name, one in pairs
        ]
        percent = st.column_config.NumberColumn(format="percent")
        columns = {
            "share": percent,
            "95 % from": percent,
            "95 % to": percent,
            "McNemar p": st.column_config.NumberColumn(format="%.3g"),
        }
        st.dataframe(table, hide_index=True, column_config=columns, alt=f"Each cell beside {reference}")
    st.caption(TEST)


def _show_changed(kept: Kept, place: int, other: str, agreement: Agreement, part: str) -> None:
    count = len(agreement.changed)
    if not count:
        return
    st.subheader(
        literal(
            f"{count:,} answer{'s' * (count > 1)} of {kept.names[place]} that {'are' if count > 1 else 'is'} not {other}'s"
        )
    )
    show_clips(
        kept, place, [ours for ours, _ in agreement.changed], part, [(other, theirs) for _, theirs in agreement.changed]
    )
