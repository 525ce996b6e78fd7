"""How a cell does class by class, and what it takes for what."""

from collections import defaultdict
from functools import partial

import streamlit as st

from ui import charts
from ui.escape import inert, literal
from ui.evaluate_charts import MOST_CLASSES, confusion, matrix_classes, shares
from ui.evaluate_clips import show_clips
from ui.evaluate_figures import summary_of
from ui.visit import visit, widget
from vivit.evaluate.kept import Kept

DRAWN = 20  # classes in the chart, the worst
CLASSES, MISTAKES = 13, 6  # rows in sight
HEAD, ROW = 38, 35  # pixels of a table


def show_classes(kept: Kept, place: int) -> None:
    """Draw the classes, the worst first. Args: place: of the cell."""
    summary, labels = summary_of(kept, place), kept.evaluations[place].id2label
    if not summary.per_class:
        st.info("No clip was classified.")
        return
    taken: dict[int, tuple[int, int]] = defaultdict(lambda: (0, -1))
    for target, answer, clips in summary.confusion:
        if target != answer:
            taken[target] = max(taken[target], (clips, answer))
    worst = sorted(summary.per_class, key=lambda one: (one.share.value or 0.0, -one.clips, one.label))
    left, right = st.columns([5, 6], gap="medium")
    with left:
        several = len(worst) > DRAWN
        st.markdown(
            f":small[{f'The {DRAWN} worst of {len(worst)} classes' if several else 'Classes'}, with 95 % intervals]"
        )
        rows = [(one.label, one.share, "") for one in worst[:DRAWN]]
        alt = "The share of each class's clips that is right, with its interval; the table has the same"
        charts.show(shares(rows), f"classes-{kept.id}-{place}", alt)
    with right:
        table = [
            {
                "class": inert(one.label, 40),
                "clips": one.clips,
                "right": one.share.value,
                "95 % from": one.share.low,
                "95 % to": one.share.high,
                "in top 5": one.in_top5 / one.clips,
                "most taken for": inert(labels[taken[one.target][1]], 40) if one.target in taken else "",
            }
            for one in worst
        ]
        percent = st.column_config.NumberColumn(format="percent")
        columns = {name: percent for name in ("right", "95 % from", "95 % to", "in top 5")}
        st.dataframe(
            table,
            hide_index=True,
            column_config=columns,
            height=HEAD + ROW * min(len(table), CLASSES),
            alt="Every class, the worst first",
        )


def show_confusion(kept: Kept, place: int) -> None:
    """Draw what is taken for what; a square that is chosen shows its clips. Args: place: of the cell."""
    summary, labels, looked = summary_of(kept, place), kept.evaluations[place].id2label, visit().looked
    if not summary.per_class:
        st.info("No clip was classified.")
        return
    mistaken, everything = matrix_classes(summary), {c for t, a, _ in summary.confusion for c in (t, a)}
    by_name = sorted(everything, key=lambda index: labels[index])
    classes = by_name if len(by_name) <= MOST_CLASSES else sorted(mistaken, key=lambda index: labels[index])
    left, right = st.columns([11, 8], gap="medium")
    with left:
        key = _key(kept, place, "matrix")
        charts.show(
            confusion(summary, classes, labels, looked.confused),
            key,
            "What is shown by what is answered: a square for each pair that there are clips of; the table has the mistakes",
            on_select=partial(_choose_square, key),
            selection_mode="points",
        )
        if len(classes) < len(by_name):
            st.caption(f"The {len(classes)} classes with most mistakes of {len(by_name)}.")
    with right:
        _show_mistakes(kept, place)
        _show_chosen(kept, place)


def _show_chosen(kept: Kept, place: int) -> None:
    """The clips of the square that is chosen, if one is."""
    labels, pair = kept.evaluations[place].id2label, visit().looked.confused
    if pair is None or not {*pair} <= labels.keys():
        return
    target, answer = pair
    records = [r for r in kept.evaluations[place].records if r.top and (r.target, r.top[0].index) == pair]
    what = "right" if target == answer else f"taken for {labels[answer]}"
    st.subheader(literal(f"{inert(labels[target])}, {inert(what)}: {len(records):,} clip{'s' * (len(records) != 1)}"))
    show_clips(kept, place, records, f"confused-{target}-{answer}", narrow=True)


def _show_mistakes(kept: Kept, place: int) -> None:
    summary, labels, looked = summary_of(kept, place), kept.evaluations[place].id2label, visit().looked
    of_class = {one.target: one.clips for one in summary.per_class}
    mistakes = sorted((square for square in summary.confusion if square[0] != square[1]), key=lambda one: -one[2])
    if not mistakes:
        st.success("There is no mistake.", icon=":material/check_circle:")
    pairs = [(target, answer) for target, answer, _ in mistakes]
    chosen = [pairs.index(looked.confused)] if looked.confused in pairs else []
    match widget(_key(kept, place, "mistakes")):
        case {"selection": {"rows": now}} if now != chosen:  # the chart has chosen
            looked.redrawn["mistakes"] += 1
    key = _key(kept, place, "mistakes")
    if mistakes:
        rows = [
            {
                "shown": inert(labels[target], 40),
                "answered": inert(labels[answer], 40),
                "clips": clips,
                "of its class": clips / of_class[target],
            }
            for target, answer, clips in mistakes
        ]
        st.dataframe(
            rows,
            hide_index=True,
            key=key,
            column_config={"of its class": st.column_config.NumberColumn(format="percent")},
            on_select=partial(_choose_row, pairs, key),
            selection_mode="single-row",
            height=HEAD + ROW * min(len(rows), MISTAKES),
            selection_default={"selection": {"rows": chosen}},
            alt="Mistakes: what is shown, what is answered, and of how many clips",
        )
    st.caption(
        ":material/touch_app: Choose a square or a row: its clips stand below. A square is the paler the smaller its part of "
        "the class; on the diagonal answers are right."
    )


def _key(kept: Kept, place: int, part: str) -> str:
    """The key of a part's widget; a widget of another key has forgotten what was chosen."""
    return f"{part}-{kept.id}-{place}-{visit().looked.redrawn[part]}"


def _choose_square(key: str) -> None:
    looked = visit().looked
    match widget(key):  # browsers can send anything
        case {"selection": {"points": [{"customdata": [int() as target, int() as answer, *_]}, *_]}}:
            looked.confused = target, answer
        case _:
            looked.confused = None


def _choose_row(pairs: list[tuple[int, int]], key: str) -> None:
    looked = visit().looked
    looked.redrawn["matrix"] += 1  # or a click on the square that the chart has as chosen would let that go
    match widget(key):
        case {"selection": {"rows": [int() as row, *_]}} if 0 <= row < len(pairs):
            looked.confused = pairs[row]
        case _:
            looked.confused = None
