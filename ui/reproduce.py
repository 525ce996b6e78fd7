"""'Reproduce': the same run from Python and from the command line, to be pasted in a shell in the checkout."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from ui.chosen import Settings
from ui.taught import is_taught, public_name
from vivit.checkpoint import RANDOM_CONFIGS
from vivit.hub import split_name
from vivit.processing import NORMALISATIONS
from vivit.timeline import Grid

ROOT = Path(__file__).parents[1]


def show_reproduce(clip: str, settings: Settings) -> None:
    """An expander with the lines that give the same answer. Args: clip: a file's path, as the lines should name it."""
    with st.expander("Reproduce", icon=":material/terminal:"):
        if settings.checkpoint in RANDOM_CONFIGS:
            st.caption("Random weights have no answer to reproduce; choose a trained checkpoint.")
            return
        if is_taught(settings.checkpoint):
            folder = public_name(settings.checkpoint)
            st.caption(
                f"Download the checkpoint on the page Teach, and unpack it as the folder '{folder}' where you run this."
            )
        for text in commands(clip, settings):
            st.code(text, language=None, wrap_lines=True)


def commands(clip: str, settings: Settings) -> tuple[str, str]:
    """The lines, for the command and for the library. Args: clip: as `show_reproduce` takes it."""
    clip = _within(Path(clip))
    python = _interpreter()
    return f"{python} {_command(clip, settings)}", f"{python} - <<'END'\n{_python(clip, settings)}\nEND"


def timeline_command(film: str, settings: Settings, grid: Grid, smoothing: str) -> str:
    """The line that tells the same segments.

    Args:
        film: a file's path, as the line should name it.
        settings: the checkpoint, and how it runs.
        grid: how windows lie.
        smoothing: a key of `vivit.timeline.SMOOTHING`.
    """
    options = {
        "--window": f"{grid.window_seconds:g}",
        "--stride": f"{grid.stride_seconds:g}",
        "--smoothing": smoothing,
        **_model_options(settings),
    }
    across = "" if grid.cuts else " --ignore-cuts"
    return f"{_interpreter()} {_words('timeline', _within(Path(film)), options)}{across}"


def evaluate_command(source: str, limit: int, settings: Settings, more: Mapping[str, str] | None = None) -> str:
    """The line that evaluates the same.

    Args:
        source: as `vivit.evaluate.sources.find_clips` takes it.
        limit: clips at most.
        settings: the checkpoint, and how it runs.
        more: other options → their values.
    """
    options = _model_options(settings) | _frames_options(settings) | {"--limit": str(limit)} | dict(more or {})
    return f"{_interpreter()} {_words('evaluate', source, options)}"


def _interpreter() -> str:
    return shlex.quote(_within(Path(sys.executable))) if ROOT in Path(sys.executable).parents else "python3"


def _within(path: Path) -> str:
    """A path as it is called in the checkout, and taken for no option."""
    name = str(path.relative_to(ROOT)) if ROOT in path.parents else str(path)
    return f"./{name}" if name.startswith("-") else name


def _python(clip: str, settings: Settings) -> str:
    model, revision = _split(settings)
    pinned = {"revision": revision} if revision else {}
    changes = pinned | NORMALISATIONS.get(settings.normalisation, {})
    processor = "".join(f", {name}={value!r}" for name, value in changes.items())
    views = f"{chr(10)}    views={settings.views!r}," * (settings.views != "1x1")
    execution = f"{chr(10)}    execution={settings.execution!r}," * (settings.execution != "plain")
    return f"""from vivit import VivitImageProcessor, pipeline

classify = pipeline(
    "video-classification",
    model={model!r},{f"{chr(10)}    revision={revision!r}," if revision else ""}
    image_processor=VivitImageProcessor.from_pretrained({model!r}{processor}),
    attn_implementation={settings.attention!r},{execution}
    dtype={settings.precision!r},
    sampling={settings.sampling!r},
    stride={settings.stride},{views}
)
print(classify({clip!r}, top_k={settings.top_k}))"""


def _split(settings: Settings) -> tuple[str, str | None]:
    """The checkpoint as `vivit` takes it where the lines are pasted, and its commit."""
    if is_taught(settings.checkpoint):
        return f"./{public_name(settings.checkpoint)}", None
    return split_name(settings.checkpoint)


def _command(clip: str, settings: Settings) -> str:
    options = _model_options(settings) | _frames_options(settings) | {"--top-k": str(settings.top_k)}
    return _words("classify", clip, options)


def _frames_options(settings: Settings) -> dict[str, str]:
    frames = {"--sampling": settings.sampling, "--stride": str(settings.stride)}
    return frames | ({"--views": settings.views} if settings.views != "1x1" else {})


def _model_options(settings: Settings) -> dict[str, str]:
    model, revision = _split(settings)
    options = {
        "--model": model,
        **({"--revision": revision} if revision else {}),
        "--attention": settings.attention,
        "--precision": settings.precision,
    }
    if settings.execution != "plain":
        options["--execution"] = settings.execution
    if settings.normalisation in NORMALISATIONS:
        options["--normalisation"] = settings.normalisation
    return options


def _words(command: str, file: str, options: dict[str, str]) -> str:
    words = ["-m", "vivit", command, file, *(word for pair in options.items() for word in pair)]
    return " ".join(map(shlex.quote, words))
