"""'Reproduce': the same run from Python and from the command line."""

import shlex

import streamlit as st

from ui.visit import Settings
from vivit.checkpoint import RANDOM
from vivit.hub import split_name
from vivit.processing import NORMALISATIONS


def show_reproduce(clip: str, settings: Settings) -> None:
    """An expander with the lines that give the same answer. Args: clip: a file's path, as the lines should name it."""
    with st.expander("Reproduce", icon=":material/terminal:"):
        if settings.checkpoint == RANDOM:
            st.caption("Random weights have no answer to reproduce; choose a trained checkpoint.")
            return
        st.code(_python(clip, settings), language="python", wrap_lines=True)
        st.code(_command(clip, settings), language="bash", wrap_lines=True)


def _python(clip: str, settings: Settings) -> str:
    model, revision = split_name(settings.checkpoint)
    pinned = {"revision": revision} if revision else {}
    changes = pinned | NORMALISATIONS.get(settings.normalisation, {})
    processor = "".join(f", {name}={value!r}" for name, value in changes.items())
    return f"""from vivit import VivitImageProcessor, pipeline

classify = pipeline(
    "video-classification",
    model={model!r},{f"{chr(10)}    revision={revision!r}," if revision else ""}
    image_processor=VivitImageProcessor.from_pretrained({model!r}{processor}),
    attn_implementation={settings.attention!r},
    dtype={settings.precision!r},
    sampling={settings.sampling!r},
    stride={settings.stride},
)
print(classify({clip!r}, top_k={settings.top_k}))"""


def _command(clip: str, settings: Settings) -> str:
    model, revision = split_name(settings.checkpoint)
    options = {
        "--model": model,
        **({"--revision": revision} if revision else {}),
        "--attention": settings.attention,
        "--precision": settings.precision,
        "--sampling": settings.sampling,
        "--stride": str(settings.stride),
        "--top-k": str(settings.top_k),
    }
    if settings.normalisation in NORMALISATIONS:
        options["--normalisation"] = settings.normalisation
    words = ["python", "-m", "vivit", "classify", clip, *(word for pair in options.items() for word in pair)]
    return " ".join(map(shlex.quote, words))
