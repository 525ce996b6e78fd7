"""Clips of an evaluation: listed, one looked at, and opened in Classify."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from engine.tasks import MakeThumbnail, Prediction
from ui import charts
from ui.answer import warn_unfamiliar
from ui.escape import inert, literal
from ui.evaluate_open import offer_classify
from ui.jobs import ask, job_for
from ui.visit import widget
from vivit.evaluate.kept import Kept
from vivit.evaluate.records import Record

KINDS: dict[str, Callable[[Record], bool]] = {
    "all": lambda record: True,
    "not right": lambda record: not record.right and not record.error,
    "failed": lambda record: bool(record.error),
    "unfamiliar": lambda record: record.familiar is False,
}
PICTURE_SECONDS = 1.0  # that a picture may keep the page waiting


def show_all_clips(kept: Kept, place: int) -> None:
    """Draw every clip of a cell, or those of a kind. Args: place: of the cell."""
    records = kept.evaluations[place].records
    counts = {kind: sum(map(fits, records)) for kind, fits in KINDS.items()}
    kinds = [kind for kind, count in counts.items() if count]
    if not kinds:
        st.info("There is no clip.")
        return
    chosen = st.segmented_control(
        "Which clips",
        kinds,
        default=kinds[0],
        required=True,
        key=f"which-{kept.id}-{place}",
        format_func=lambda kind: f"{kind}, {counts[kind]:,}",
        label_visibility="collapsed",
    )
    show_clips(kept, place, [record for record in records if KINDS[chosen or kinds[0]](record)], f"clips-{chosen}")


def show_clips(
    kept: Kept,
    place: int,
    records: Sequence[Record],
    part: str,
    others: Sequence[tuple[str, Record]] = (),
    *,
    narrow: bool = False,
) -> None:
    """Draw clips as a table, and the one that is chosen with its answers.

    Args:
        place: of the cell whose records they are.
        part: of the page, which has a choice of its own.
        others: what another cell is called, and its record, of each clip, to be shown beside it.
        narrow: whether there is no room beside the table.
    """
    any_failed = any(record.error for record in records)
    rows = [_row(record, others[k] if others else None, why_not=any_failed) for k, record in enumerate(records)]
    key = f"{part}-{kept.id}-{place}"
    percent = st.column_config.NumberColumn(format="percent")
    left, right = (st.container(), st.container()) if narrow else st.columns([7, 4], gap="medium")
    with left:
        st.dataframe(
            rows,
            hide_index=True,
            key=key,
            column_config={"probability": percent, "its probability": percent},
            on_select="rerun",
            selection_mode="single-row",
            selection_default={"selection": {"rows": [0]}},
            placeholder="",
            alt="Clips: what each shows, and the answer",
        )
    with right:
        match widget(key):  # browsers can send anything
            case {"selection": {"rows": [int() as chosen, *_]}} if 0 <= chosen < len(records):
                _show_clip(kept, place, records[chosen], key)
            case _:
                st.caption(":material/touch_app: Choose a clip: its answers stand here, and it opens in Classify.")


def _row(record: Record, other: tuple[str, Record] | None, *, why_not: bool) -> dict[str, Any]:
    """A clip in the table. Args: other: as one of `show_clips`' others; why_not: whether there is a column of errors."""
    best = record.top[0] if record.top else None
    row: dict[str, Any] = {"clip": inert(record.path, 70), "shows": inert(record.label, 40)}
    row |= {"answer": inert(best.label, 40) if best else "", "probability": best.score if best else None}
    if other:
        name, theirs = other
        row |= {name: inert(theirs.top[0].label, 40), "its probability": theirs.top[0].score}
    row |= {"rank of what it shows": record.rank or None}
    if why_not:
        row["why not"] = record.error
    return row


def _show_clip(kept: Kept, place: int, record: Record, key: str) -> None:
    path = Path(kept.evaluations[place].source.root, record.path)
    if not path.is_file():
        st.info("The clip is no longer on this machine.", icon=":material/movie_off:")
    else:
        job = job_for("evaluated-picture", str(path), lambda: ask(MakeThumbnail(str(path))))
        job.wait(PICTURE_SECONDS)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if job.state == "done":
                st.image(job.blobs[0], width=132, alt=f"The first frame of {record.path}")
            offer_classify(path, record, kept.evaluations[place].asked, f"open-{key}")
    if record.error:
        st.error(literal(record.error), icon=":material/error:")
        return
    st.markdown(f"Shows **{literal(inert(record.label))}**, which is at rank {record.rank} with {record.score:.1%}:")
    rows = [Prediction(guess.label, guess.score) for guess in record.top]
    charts.show(charts.predictions(rows), f"answers-{key}", "The most likely actions of this clip")
    if record.familiar is False:
        warn_unfamiliar(kept.evaluations[place].asked.model)
