"""An evaluation that is kept: which, its headline, its figures, and the evidence in tabs."""

from collections.abc import Callable

import streamlit as st

from ui import charts
from ui.escape import literal
from ui.evaluate_agreement import show_agreement, show_two_evaluations
from ui.evaluate_calibration import show_calibration
from ui.evaluate_charts import FEW, cell_colour, shares, show_share, with_clips
from ui.evaluate_classes import show_classes, show_confusion
from ui.evaluate_clips import show_all_clips
from ui.evaluate_figures import agreement_of, calibration_of, statement_of, summary_of
from ui.evaluate_kept import how, is_bundled, kept_here, name, to_take_along
from ui.evaluate_reproduce import show_reproduce
from ui.evaluate_speed import clips_per_second, show_speed
from ui.server import get_server
from ui.visit import Looked, set_widget, visit, widget
from vivit.benchmark.wording import UNKNOWN
from vivit.evaluate.kept import Kept, as_csv, as_json
from vivit.evaluate.report import share_text
from vivit.evaluate.sources import CHOSEN
from vivit.evaluate.summary import Share


def choose_kept() -> Kept | None:
    """Draw the list of evaluations that this visitor may see; returns the chosen one, None while there is none."""
    kept = kept_here()
    if not kept:
        return None
    shown, visit().evaluation_to_show = (
        visit().evaluation_to_show or widget("evaluation") or st.query_params.get("evaluation"),
        "",
    )
    if shown in kept:
        set_widget("evaluation", shown)
    elif widget("evaluation") is not None:
        set_widget("evaluation", next(iter(kept)))
    left, take, delete = st.columns([34, 8, 6], gap="small")
    with left:
        chosen = st.selectbox(
            "Evaluation",
            list(kept),
            key="evaluation",
            format_func=lambda id: name(kept[id]),
            label_visibility="collapsed",
        )
    with take:
        _show_take_along(kept[chosen])
    with delete:
        _show_delete(kept[chosen])
    st.query_params["evaluation"] = chosen
    return kept[chosen]


def _show_take_along(kept: Kept) -> None:
    with st.popover("Take along", icon=":material/download:", width="stretch"):
        for label, data, suffix, mime in (
            ("CSV, a line a clip and cell", lambda: as_csv(to_take_along(kept)), "csv", "text/csv"),
            ("JSON", lambda: as_json(to_take_along(kept), indent=1), "json", "application/json"),
        ):
            st.download_button(
                label, data, f"evaluation-{kept.id}.{suffix}", mime, on_click="ignore", icon=":material/download:"
            )


def _show_delete(kept: Kept) -> None:
    # The key has the evaluation in it: else a popover that is open over one stays open over the next.
    with st.popover("Delete", icon=":material/delete:", key=f"delete-{kept.id}", width="stretch"):
        st.markdown(f"Delete the evaluation {literal(name(kept))}? It will be gone for everybody who uses this server.")
        st.button(
            "Delete this evaluation",
            key=f"delete-now-{kept.id}",
            type="primary",
            on_click=get_server().evaluations.delete,
            args=(kept.id,),
        )


def show_kept(kept: Kept) -> None:
    """Everything there is to see of an evaluation; only the tab that is open is drawn."""
    with st.container(key="answer"):
        place = _pick_cell(kept)
        with st.container(gap=None):
            st.subheader(literal(statement_of(kept, place)))
            st.caption(literal(how(kept.evaluations[place].asked)))
            _show_remarks(kept, place)
        _show_figures(kept, place)
    if visit().looked.evaluation != (kept.id, place):
        visit().looked = Looked((kept.id, place))
    tabs: dict[str, Callable[[], None]] = {
        "Classes": lambda: show_classes(kept, place),
        "Confusion": lambda: show_confusion(kept, place),
        "Calibration": lambda: show_calibration(kept, place),
        "Agreement": lambda: show_agreement(kept, place),
        "Clips": lambda: show_all_clips(kept, place),
        "Speed": lambda: show_speed(kept),
        "Two evaluations": lambda: show_two_evaluations(kept, place),
    }
    if is_bundled(kept):
        tabs = {"Agreement": tabs.pop("Agreement"), **tabs}
    drawn = st.tabs(list(tabs), key="evaluated", on_change="rerun")
    for tab, draw in zip(drawn, tabs.values(), strict=True):
        if tab.open:
            with tab:
                draw()
    show_reproduce(kept, place)


def _pick_cell(kept: Kept) -> int:
    if len(kept.names) == 1:
        return 0
    chosen = st.segmented_control(
        "Cell",
        kept.names,
        default=kept.names[0],
        required=True,
        key=f"cell-{kept.id}",
        label_visibility="collapsed",
        wrap=True,
    )
    return kept.names.index(chosen or kept.names[0])


def _show_remarks(kept: Kept, place: int) -> None:
    """What a reader of the figures must know."""
    for cell, error in zip(kept.names, kept.errors, strict=True):
        if error:
            st.warning(f"**{literal(cell)}** ended early: {literal(error)}", icon=":material/error:")
    summary, said = summary_of(kept, place), [CHOSEN] if is_bundled(kept) else []
    if not kept.whole and not any(kept.errors):
        said.append(f"It ended after {kept.done:,} of {kept.clips:,} clips.")
    if number := summary.failed:
        clips = (
            "1 clip could not be used and counts" if number == 1 else f"{number:,} clips could not be used and count"
        )
        said.append(f"{clips} nowhere: see 'Clips'.")
    if left_out := sum(kept.evaluations[place].source.left_out.values()):
        said.append(f"{left_out:,} clip{'s' * (left_out > 1)} with labels that are no class left out.")
    familiar = summary.familiar
    if familiar and familiar.value is not None and familiar.value < 0.9:
        said.append(f"{1 - familiar.value:.0%} of the clips are unlike those that this checkpoint was trained on.")
    if said:
        st.markdown(f":small[:material/info: {literal(' '.join(said))}]")


def _show_figures(kept: Kept, place: int) -> None:
    summary, calibration = summary_of(kept, place), calibration_of(kept, place)
    left, right = st.columns([54, 46], gap="medium", vertical_alignment="center")
    pace, known, chosen = clips_per_second(kept), summary.clips - summary.failed, is_bundled(kept)
    error = calibration.error if calibration and calibration.clips >= FEW else None
    of = f"{calibration.clips:,} clips, {len(calibration.bins)} bins" if calibration and calibration.clips else None
    with left, st.container(horizontal=True, gap="small"):
        interval = "" if chosen else "; and the 95 % interval of that"
        show_share("Top-1", summary.top1, known, f"The best class is the true one{interval}.", chosen=chosen)
        show_share("Top-5", summary.top5, known, f"The true class is among the best five{interval}.", chosen=chosen)
        st.metric(
            "Calibration error",
            UNKNOWN if error is None else f"{error:.1%}",
            of,
            "off",
            help=f"ECE, see 'Calibration'; less is better. Of fewer than {FEW} clips none is told.",
            delta_arrow="off",
        )
        st.metric(
            "Clips a second", UNKNOWN if pace is None else f"{pace:.3g}", help="Of all cells together, see 'Speed'"
        )
    with right:
        if not chosen:
            _show_right(kept)
        elif len(kept.names) > 1:
            _show_changes(kept)


def _show_right(kept: Kept) -> None:
    rows = []
    for k, (cell, evaluation) in enumerate(zip(kept.names, kept.evaluations, strict=True)):
        found = summary_of(kept, k)
        asked = evaluation.asked
        rows.append(
            (
                with_clips(cell, found.clips - found.failed),
                found.top1,
                cell_colour(asked.attention, asked.precision),
            )
        )
    st.markdown(":small[Right, of all clips, and its 95 % interval]")
    charts.show(shares(rows, zoom=True), f"cells-{kept.id}", f"Top-1 of each cell with its interval: {_in_words(rows)}")


def _show_changes(kept: Kept) -> None:
    """What clips that were chosen can tell: whether cells agree."""
    rows = []
    for k, (cell, evaluation) in enumerate(zip(kept.names, kept.evaluations, strict=True)):
        if k != kept.reference:
            found, asked = agreement_of(kept, k, kept, kept.reference), evaluation.asked
            rows.append((with_clips(cell, found.clips), found.share, cell_colour(asked.attention, asked.precision)))
    reference = literal(kept.names[kept.reference])
    st.markdown(f":small[Answers that change from {reference}, of all clips, and the 95 % interval]")
    alt = f"The share of answers that change in each cell, with its interval: {_in_words(rows)}"
    charts.show(shares(rows, zoom=True), f"cells-{kept.id}", alt)


def _in_words(rows: list[tuple[str, Share, str]]) -> str:
    return "; ".join(f"{cell} {share_text(share)}" for cell, share, _ in rows)
