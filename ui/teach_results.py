"""What was taught: how often it is right about clips that it had not seen, which it confuses, and its files to take along."""

from collections.abc import Collection, Hashable, Sequence
from pathlib import Path

import streamlit as st

from engine.teachings import RunningTeaching, Taught, TaughtClass, TeachAsked
from ui.escape import inert, literal
from ui.page import go_to
from ui.server import get_server
from ui.taught import TAUGHT, called
from ui.teach_classes import count, pictures_of, remove_button, shown
from ui.visit import set_widget, visit, visitor
from vivit.benchmark.wording import percent
from vivit.hub import megabytes
from vivit.teach.report import LeftOut, Report

SHOWN = 8  # confused clips that are listed


def verdict(report: Report) -> str:
    """What a head comes to, in a sentence."""
    clips = len(report.left_out)
    low, high = report.interval
    return (
        f"{report.right:,} of {count(clips)} named right by heads that had not seen them ({percent(report.accuracy)}, "
        f"{100 * low:.0f} to {percent(high)}); always naming the largest class would get {percent(report.chance)}."
    )


def show_result(taught: Taught, changed: str) -> None:
    """Draw the verdict and what qualifies it. Args: changed: as `changes` returns it."""
    report = taught.report
    with st.container(key="answer", gap="small"):
        st.subheader(literal(verdict(report)), anchor=False)
        if changed:
            st.info(changed, icon=":material/update:")
        if report.notices:  # in one box: what comes after it is not to be pushed out of sight
            st.warning("\n\n".join(map(literal, report.notices)), icon=":material/warning:")
        st.caption(f"Fitted to what {_model(taught.asked)}. Right by class: {_by_class(report)}. {_how(report)}")


def _model(asked: TeachAsked) -> str:
    """Which model saw the clips, and of which frames if not the usual ones."""
    stride = f", stride {asked.stride}" * (asked.stride > 1)
    sampled = f" (frame sampling {asked.sampling}{stride})" * (asked.sampling != "uniform")
    return f"{literal(inert(called(asked.checkpoint)))} sees{sampled}"


def show_take_along(taught: Taught) -> None:
    """Draw where the checkpoint can be used, and its download."""
    with st.container(horizontal=True, gap="small"):
        for page, label, icon in (
            ("live", "Live from the camera", ":material/videocam:"),
            ("classify", "Classify with it", ":material/movie:"),
        ):
            st.button(label, key=f"teach-{page}", icon=icon, on_click=_use, args=[page])
        token = get_server().cameras.token(visitor())
        size = sum(file.stat().st_size for file in Path(taught.folder).glob("*") if file.is_file())
        st.link_button(
            f"Download the checkpoint, {megabytes(size)}",
            f"teach/checkpoint.zip?token={token}",
            icon=":material/download:",
            help="A zip of an ordinary checkpoint: it loads with `from_pretrained`, here and in transformers.",
        )


def _use(page: str) -> None:
    """Go to a page, with the taught checkpoint chosen there."""
    set_widget("checkpoint", TAUGHT)
    go_to(page)


def _how(report: Report) -> str:
    """How the verdict was measured."""
    left_out = "Leave-one-out" if report.one_by_one else "A tenth left out at a time, since there are many"
    outside = (
        "There are too few to tell which clips are outside what it was taught."
        if report.outside is None
        else f"Of new clips like these about {percent(report.outside)} or fewer are called outside what it was taught."
    )
    return (
        f"{left_out}: each clip was named by a head that had not seen it. The figure is rather too good, since how strongly "
        "heads are regularised was chosen by the same clips, and its interval rather too narrow, since heads share clips. "
        f"{outside}"
    )


def _by_class(report: Report) -> str:
    right = {name: 0 for name in report.classes}
    for clip in report.left_out:
        right[clip.label] += clip.right
    return ", ".join(f"{shown(name)} {right[name]} of {of}" for name, of in report.classes.items())


def changes(taught: Taught, classes: Sequence[TaughtClass], faults: Collection[str], asked: TeachAsked) -> str:
    """What is different from what was taught; '' where nothing is.

    Args:
        faults: the ids of clips that could not be used.
        asked: what would be asked for now; without a checkpoint where none is chosen.
    """
    then = {taught.examples[clip.clip].id: clip.label for clip in taught.report.left_out}
    now = {clip.id: one.name for one in classes for clip in one.examples if clip.id not in faults}
    kinds = {
        "added": now.keys() - then.keys(),
        "removed": then.keys() - now.keys(),
        "moved or renamed": {id for id in now.keys() & then.keys() if now[id] != then[id]},
    }
    words = [f"{count(len(ids))} {'were' if len(ids) > 1 else 'was'} {kind}" for kind, ids in kinds.items() if ids]
    if asked.checkpoint and asked != taught.asked:
        what = "the model" if asked.checkpoint != taught.asked.checkpoint else "how the model is used"
        words.append(f"{what} was changed")
    return f"{', '.join(words)} since: teach again." if words else ""


def show_confused(taught: Taught, classes: Sequence[TaughtClass]) -> None:
    """Draw the clips that were named wrong, the most doubtful first, and what can be done with each."""
    ids = {one.name: one.id for one in classes}
    here = {clip.id: one.name for one in classes for clip in one.examples}
    found = [clip for clip in taught.report.confused if here.get(taught.examples[clip.clip].id) == clip.label]
    if not found:
        return
    pictures = pictures_of([clip for one in classes for clip in one.examples])
    form = st.expander("Confused clips", expanded=any(clip.doubtful for clip in found), icon=":material/help:")
    for clip in found[:SHOWN]:
        example = taught.examples[clip.clip]
        with form, st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if picture := pictures[example.id]:
                st.image(picture, width=72, alt=f"The first frame of {example.name}")
            st.markdown(_told(clip, example.name), width=260)
            if to := ids.get(clip.answer):
                st.button(
                    f"Move to {shown(clip.answer)}",
                    key=f"confused-move-{example.id}",
                    help=f"Move '{literal(inert(example.name))}' there",
                    on_click=get_server().lessons.move,
                    args=[visitor(), example.id, to],
                )
            remove_button(example, f"confused-remove-{example.id}")
    if len(found) > SHOWN:
        form.caption(f"And {len(found) - SHOWN:,} more, of which it was less sure.")


def _told(clip: LeftOut, name: str) -> str:
    doubt = " It is sure of that: look whether the clip is in the right class." * clip.doubtful
    answer = f"named **{shown(clip.answer)}** with {percent(clip.score)}"
    return f"**{shown(clip.label)}**, {answer}.{doubt}  \n:small[{literal(inert(name, 40))}]"


def news(running: RunningTeaching | None, taught: Taught | None, tried: str) -> str:
    """What to announce: what is new since the page was drawn last, else what was announced then.

    Args: tried: as `ui.teach_try.try_it` returns it.
    """
    lesson = visit().lesson
    there: list[tuple[Hashable, str]] = []
    if running and running.state in ("failed", "cancelled"):
        there.append((running, running.error or "Cancelled."))
    if taught:
        there.append((taught.number, verdict(taught.report)))
    if tried:
        there.append(("tried", tried))
    if new := [text for of, text in there if (of, text) not in lesson.heard]:
        lesson.said = " ".join(new)
    elif running and running.state == "running":
        lesson.said = ""  # what comes of it may be the same words, which are to be announced again
    lesson.heard = there
    return lesson.said
