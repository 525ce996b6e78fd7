"""'Reproduce': the same run from Python and from the command line, to be pasted in a shell in the checkout."""

import shlex
import sys
from pathlib import Path

import streamlit as st

from ui.visit import Settings
from vivit.checkpoint import RANDOM_CONFIGS
from vivit.hub import split_name
from vivit.processing import NORMALISATIONS

ROOT = Path(__file__).parents[1]


def show_reproduce(clip: str, settings: Settings) -> None:
    """An expander with the lines that give the same answer. Args: clip: a file's path, as the lines should name it."""
    with st.expander("Reproduce", icon=":material/terminal:"):
        if settings.checkpoint in RANDOM_CONFIGS:
            st.caption("Random weights have no answer to reproduce; choose a trained checkpoint.")
            return
        for text in commands(clip, settings):
            st.code(text, language=None, wrap_lines=True)


def commands(clip: str, settings: Settings) -> tuple[str, str]:
    """The lines, for the command and for the library. Args: clip: as `show_reproduce` takes it."""
    clip = _within(Path(clip))
    python = shlex.quote(_within(Path(sys.executable))) if ROOT in Path(sys.executable).parents else "python3"
    return f"{python} {_command(clip, settings)}", f"{python} - <<'END'\n{_python(clip, settings)}\nEND"


def _within(path: Path) -> str:
    """A path as it is called in the checkout, and taken for no option."""
    name = str(path.relative_to(ROOT)) if ROOT in path.parents else str(path)
    return f"./{name}" if name.startswith("-") else name


def _python(clip: str, settings: Settings) -> str:
    model, revision = split_name(settings.checkpoint)
    pinned = {"revision": revision} if revision else {}
    changes = pinned | NORMALISATIONS.get(settings.normalisation, {})
    processor = "".join(f", {name}={value!r}" for name, value in changes.items())
    execution = f"{chr(10)}    execution={settings.execution!r}," * (settings.execution != "plain")
    return f"""from vivit import VivitImageProcessor, pipeline

classify = pipeline(
    "video-classification",
    model={model!r},{f"{chr(10)}    revision={revision!r}," if revision else ""}
    image_processor=VivitImageProcessor.from_pretrained({model!r}{processor}),
    attn_implementation={settings.attention!r},{execution}
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
    if settings.execution != "plain":
        options["--execution"] = settings.execution
    if settings.normalisation in NORMALISATIONS:
        options["--normalisation"] = settings.normalisation
    words = ["-m", "vivit", "classify", clip, *(word for pair in options.items() for word in pair)]
    return " ".join(map(shlex.quote, words))
