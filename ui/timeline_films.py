"""Choosing a film: one that ships with the app, a file of the visitor's own, or one that lies on this machine."""

import json
from pathlib import Path

import streamlit as st

from ui.clips import own_clip, upload_clip
from ui.escape import inert, literal
from ui.server import offers_folders
from ui.timeline_kept import ChosenFilm, Shown
from vivit.film import clock
from vivit.hub import ASSETS, as_path

BUNDLED, OWN, HERE = "Bundled", "Your file", "File on this machine"
CONTROLS = {"film_from": "source of the film", "film": "film"}  # in the address, and what they are called


@st.cache_data(show_spinner=False)
def bundled_films() -> dict[str, ChosenFilm]:
    """The films that ship with the app, by name."""
    index = Path(ASSETS) / "films" / "films.json"
    if not index.is_file():
        return {}
    entries = json.loads(index.read_text(encoding="utf-8"))
    return {
        e["name"]: ChosenFilm(
            str(index.parent / e["file"]), e["name"], True, tuple(Shown(**piece) for piece in e["truth"])
        )
        for e in entries
    }


def choose_film() -> ChosenFilm | None:
    """Draw where films come from and the choice of one; None without."""
    sources = [*[BUNDLED] * bool(bundled_films()), OWN, *[HERE] * offers_folders()]
    left, right = st.columns([470, 880], gap="medium", vertical_alignment="bottom")
    with left, st.container(gap=None):
        st.title("What happens when?", anchor=False)
        source = st.segmented_control(
            "Where the film comes from",
            sources,
            default=sources[0],
            required=True,
            key="film_from",
            bind="query-params",
            label_visibility="collapsed",
        )
    with right:
        return {BUNDLED: _bundled, OWN: _own, HERE: _here}[source]()


def _bundled() -> ChosenFilm:
    films = bundled_films()
    name = next(iter(films))
    if len(films) > 1:
        name = st.selectbox("Film", list(films), key="film", bind="query-params", label_visibility="collapsed")
    film = films[name]
    with st.container(gap=None):
        st.markdown(f"**{literal(film.name)}**, {clock(film.truth[-1].end)}" if film.truth else literal(film.name))
        st.caption(
            f"{len(film.truth)} actions one after the other. What it shows when is known, and drawn above what the model says."
        )
    return film


def _own() -> ChosenFilm | None:
    upload_clip()
    most, elsewhere = st.get_option("server.maxUploadSize"), ""
    if offers_folders():
        elsewhere = f" A file on this machine needs no upload: choose '{HERE}'."
    st.markdown(f":small[A video of any length, in a file of at most {most:,} MB.{elsewhere}]")
    clip = own_clip()
    return ChosenFilm(clip.path, clip.name) if clip else None


def _here() -> ChosenFilm | None:
    """A file where the server runs. Not in the address: a link is not to name what is opened here."""
    typed = st.text_input(
        "Path of a video on this machine",
        key="path",
        placeholder="/path/to/a/video.mp4",
        label_visibility="collapsed",
        help="It is read where it lies, and neither copied nor uploaded.",
    ).strip()
    st.markdown(":small[A video of any length and size. It is read where it lies: nothing is uploaded or copied.]")
    if not typed:
        return None
    path = as_path(typed).absolute()
    try:
        if path.is_file():
            return ChosenFilm(str(path), inert(path.name))
        found = "That is no file" if path.exists() else "There is no such file on this machine"
    except OSError:  # too long a name, or a folder that may not be looked into
        found = "There is no file here that can be read by that name"
    st.error(f"{found}: {literal(inert(str(path), 200))}. Type the whole path of a video.", icon=":material/error:")
    return None
