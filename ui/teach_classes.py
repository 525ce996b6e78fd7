"""The classes that a visitor teaches: named, and the clips of each looked at, moved and removed."""

from collections.abc import Sequence

import streamlit as st

from engine.class_names import MOST_LETTERS
from engine.lessons import MOST_BYTES, MOST_CLASSES, MOST_CLIP_SECONDS, MOST_CLIPS
from engine.tasks import MakePreview
from engine.teachings import Example, TaughtClass
from ui.clips import thumbnails
from ui.components.clip_strip import Tile, clip_strip
from ui.escape import inert, literal
from ui.jobs import ask, finished, job_for
from ui.server import get_server
from ui.visit import set_widget, unset_widget, visit, visitor, widget
from vivit.errors import UserError
from vivit.hub import megabytes

FILLED = "teach-class"  # the widget that says which class is filled
NEW = "teach-new"
SLOT = "example-"  # of the jobs that make pictures of clips


def count(number: int, what: str = "clip") -> str:
    """'1 clip', '3 clips'."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def shown(name: str) -> str:
    """A class as Markdown that shows just its name."""
    return literal(inert(name))


def try_anew(part: str) -> None:
    """Forget what was refused in a part of the page, where something else is done. To be called before `refuse`."""
    visit().lesson.refused.pop(part, None)


def refuse(part: str, sentence: str) -> None:
    """Have a sentence told until `try_anew`. Args: part: of the page, as `show_refused`'s."""
    visit().lesson.refused.setdefault(part, []).append(sentence)


def show_refused(part: str) -> None:
    """What could not be done in a part of the page."""
    if sentences := visit().lesson.refused.get(part):
        st.error("\n\n".join(map(literal, sentences)), icon=":material/error:")


def show_classes(classes: Sequence[TaughtClass]) -> None:
    """Draw each class with its clips."""
    pictures = pictures_of([clip for one in classes for clip in one.examples])
    for one in classes:
        with st.container(gap="xxsmall", key=f"class-{one.id}"):
            _show_class(one, classes, pictures)
    if any(_coming(clip) for one in classes for clip in one.examples):
        _follow_pictures()


def name_class(classes: Sequence[TaughtClass]) -> None:
    """Draw the place to name one more class."""
    if len(classes) == MOST_CLASSES:
        st.caption(f"There are {MOST_CLASSES} classes, which are all that can be taught at once.")
        show_refused(NEW)
        return
    with (
        st.form("teach-name", border=False),
        st.container(horizontal=True, vertical_alignment="bottom", wrap=False),
    ):
        st.text_input(
            "Name of a new class",
            key=NEW,
            max_chars=MOST_LETTERS,
            placeholder="Such as waving" if not classes else "Another one",
            label_visibility="collapsed",
        )
        st.form_submit_button("Add", icon=":material/add:", on_click=_add_class)
    show_refused(NEW)


def _add_class() -> None:
    try_anew(NEW)
    try:
        made = get_server().lessons.add_class(visitor(), widget(NEW, ""))
    except UserError as error:
        refuse(NEW, str(error))
    else:
        set_widget(NEW, "")
        set_widget(FILLED, made.id)
        visit().lesson.clip = ""


def pictures_of(examples: Sequence[Example]) -> dict[str, str]:
    """The picture of each clip by the clip's id; '' where there is none yet."""
    wanted = {f"{SLOT}{clip.id}": clip.path for clip in examples}
    twice = visit().lesson.pictured_again
    for slot, job in [(slot, job) for slot, (_, job) in visit().jobs.items() if slot.startswith(SLOT)]:
        if slot not in wanted:  # the clip has gone
            del visit().jobs[slot]
        elif job.process_ended and slot not in twice:  # perhaps by what others had sent
            del visit().jobs[slot]
            twice.add(slot)
    return {slot.removeprefix(SLOT): picture for slot, picture in thumbnails(wanted).items()}


def _coming(clip: Example) -> bool:
    """Whether its picture is still to come."""
    _, job = visit().jobs.get(f"{SLOT}{clip.id}", (None, None))
    return job is None or not job.finished


@st.fragment(run_every=1.0)
def _follow_pictures() -> None:
    """Draw the page again, which asks for more pictures, once those that were asked for have come."""
    if all(job.finished for slot, (_, job) in visit().jobs.items() if slot.startswith(SLOT)):
        st.rerun()


def _show_class(one: TaughtClass, classes: Sequence[TaughtClass], pictures: dict[str, str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", wrap=False):
        st.markdown(f"**{shown(one.name)}** · {count(len(one.examples)) if one.examples else 'no clip yet'}")
        about = f"Rename or delete '{shown(one.name)}'"
        with st.popover("Edit", icon=":material/edit:", type="tertiary", key=f"edit-{one.id}", help=about):
            _edit(one)
    if not one.examples:
        return
    tiles = [
        Tile(clip.id, clip.name, pictures[clip.id], "…" if _coming(clip) else "no picture") for clip in one.examples
    ]
    chosen = next((clip for clip in one.examples if clip.id == visit().lesson.clip), None)
    clicked = clip_strip(
        tiles, chosen.id if chosen else "", key=f"examples-{one.id}", label=f"Clips of {inert(one.name)}"
    )
    if clicked:
        visit().lesson.clip = clicked
        st.rerun()
    if chosen:
        _show_chosen(chosen, one, classes)


def _edit(one: TaughtClass) -> None:
    key = f"rename-{one.id}"
    st.text_input("Name", one.name, key=key, max_chars=MOST_LETTERS, on_change=_rename, args=[one.id, key])
    clips = f" and its {count(len(one.examples))}" * bool(one.examples)
    st.button(
        f"Delete it{clips}",
        key=f"delete-{one.id}",
        icon=":material/delete:",
        on_click=_delete,
        args=[one.id],
    )


def _delete(id: str) -> None:
    try_anew(NEW)
    get_server().lessons.remove_class(visitor(), id)


def _rename(id: str, key: str) -> None:
    try_anew(NEW)
    try:
        get_server().lessons.rename_class(visitor(), id, widget(key, ""))
    except UserError as error:
        refuse(NEW, str(error))
        unset_widget(key)


def _show_chosen(clip: Example, one: TaughtClass, classes: Sequence[TaughtClass]) -> None:
    """What can be done with the clip that is chosen."""
    others = {other.id: inert(other.name) for other in classes if other.id != one.id}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        look = st.popover("Look at it", icon=":material/play_circle:", key=f"look-{clip.id}", on_change="rerun")
        if look.open:
            with look:
                job = job_for("example", clip.path, lambda: ask(MakePreview(clip.path)))
                if finished(job, "example", "Making a preview"):
                    alt = f"The chosen clip: {clip.name}"
                    st.video(job.blobs[0], alt=alt, muted=True, loop=True, autoplay=True, width=300)
        if others:
            key = f"move-{clip.id}"
            st.selectbox(
                "Move it to",
                list(others),
                None,
                key=key,
                format_func=lambda id: others[id],
                placeholder="Move it to…",
                label_visibility="collapsed",
                width=160,
                on_change=_move,
                args=[clip.id, key],
            )
        remove_button(clip, f"remove-{clip.id}")


def remove_button(clip: Example, key: str) -> None:
    """Draw what removes a clip."""
    st.button(
        "Remove",
        key=key,
        icon=":material/delete:",
        help=f"Remove '{literal(inert(clip.name))}'",
        on_click=get_server().lessons.remove,
        args=[visitor(), clip.id],
    )


def _move(example: str, key: str) -> None:
    if to := widget(key):
        get_server().lessons.move(visitor(), example, to)


def bounds() -> str:
    """How much can be taught."""
    return (
        f"At most {MOST_CLASSES} classes, and {MOST_CLIPS} clips of at most {MOST_CLIP_SECONDS:g} s each, "
        f"{megabytes(MOST_BYTES)} in all. They are yours alone, and are deleted a minute after this page is closed or loses "
        "its connection."
    )
