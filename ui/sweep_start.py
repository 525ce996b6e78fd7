"""From a selection to a sweep that runs: what it will take, the button, and the same cells once more."""

from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine.tasks import ReadFrames
from ui.checkpoints import checkpoints_here
from ui.escape import literal
from ui.jobs import ask, finished, job_for
from ui.server import get_server
from ui.sweep_form import BUDGETS, UPLOADED, Selection, clips_here, shut
from ui.visit import visit, visitor
from vivit.benchmark.first_calls import known_seconds
from vivit.benchmark.measurement import Cell
from vivit.benchmark.presets import PRESETS
from vivit.benchmark.refusals import runs_here
from vivit.benchmark.results import Result, known_latencies
from vivit.benchmark.sweep import Sweep, sound_sweep
from vivit.benchmark.wording import duration
from vivit.checkpoint import open_checkpoint
from vivit.machine import Machine


def plan(selection: Selection, machine: Machine) -> Sweep:
    """The sweep of a selection. Raises ValueError, a sentence, if nothing of it can be measured."""
    configs = {name: open_checkpoint(name, weights=False, here=True).config for name in selection.checkpoints}
    first_calls: dict[Cell, float] = {}
    for name, config in configs.items():
        first_calls |= known_seconds(machine, config, [cell for cell in selection.cells if cell.checkpoint == name])
    sweep = sound_sweep(
        selection.cells,
        configs,
        machine,
        budget_seconds=selection.budget_seconds,
        rule=selection.rule,
        known=known_latencies(get_server().sweeps.kept(), machine),
        first_calls=first_calls,
    )
    if sweep.refused:
        raise ValueError(sweep.refused)
    return sweep


def offer(selection: Selection, machine: Machine, notes: DeltaGenerator, *, running: bool) -> None:
    """Draw the button with what it will take. Args: notes: where to say the rest; running: whether another sweep runs."""
    if not selection.cells:
        notes.info("Choose at least one attention backend, one precision and one batch size.", icon=":material/tune:")
        return
    try:
        sweep = plan(selection, machine)
    except ValueError as error:
        notes.error(literal(f"This cannot be measured. {error}"), icon=":material/error:")
        return
    begins, count = len(sweep.begins), len(sweep.cells)
    cells = f"{begins} of {count} cells" if begins < count else f"{count} cell{'s' * (count != 1)}"
    pressed = st.button(
        f"Measure {cells}, about {duration(sweep.seconds_left)}",
        type="primary",
        icon=":material/play_arrow:",
        key="measure",
        on_click=shut,
        disabled=running,
        help="The next sweep can begin once this one has ended." if running else None,
    )
    if said := _rest(sweep, selection, begins):
        notes.caption(said)
    if pressed:
        visit().wanted["sweep"] = replace(selection, budget_seconds=sweep.budget_seconds)
        st.rerun()


def _rest(sweep: Sweep, selection: Selection, begins: int) -> str:
    """What the button does not say."""
    said = []
    if sweep.budget_seconds != selection.budget_seconds:
        asked = selection.budget_seconds or 0.0
        said.append(f"{duration(asked)} are too little for a sound answer: six processes of two cells take this.")
    if begins < len(sweep.cells):
        said.append(
            f"Six processes of each of the {len(sweep.cells)} cells take about {duration(sweep.whole_seconds)}; how many are "
            "begun is decided once the first have shown how long they take."
        )
    return " ".join(said)


def offer_again(result: Result, machine: Machine) -> None:
    """Draw the button that measures a sweep's cells once more, here."""
    selection, sweep, why_not = None, None, ""
    try:
        selection = _again(result, machine)
        sweep = plan(selection, machine)
    except ValueError as error:
        why_not = str(error)
    if st.button(
        f"Measure this again, about {duration(sweep.seconds_left)}" if sweep else "Measure this again",
        icon=":material/replay:",
        key="again",
        on_click=shut,
        disabled=sweep is None,
        help=literal(why_not) or None,
    ):
        assert selection and sweep
        visit().wanted["sweep"] = replace(selection, budget_seconds=sweep.budget_seconds)
        st.rerun()


def _again(result: Result, machine: Machine) -> Selection:
    """What measures a sweep's cells on this machine. Raises ValueError, a sentence, where that cannot be done."""
    checkpoints = list(dict.fromkeys(row.cell.checkpoint for row in result.rows))
    here = checkpoints_here()
    if not checkpoints or any(name not in here for name in checkpoints):
        raise ValueError(f"Its checkpoint{'s are' if len(checkpoints) > 1 else ' is'} not on this machine.")
    clip = clips_here().get(result.clip)
    other = result.clip == UPLOADED and clip is not None and clip.path != visit().measured.get(result.id)
    if result.clip and (clip is None or other):
        raise ValueError("Its clip is not here. Choose one, and measure the same cells with it.")
    cells, _ = runs_here([row.cell for row in result.rows], machine)
    if not cells:
        raise ValueError("Nothing of it runs on this machine.")
    preset = PRESETS.get(result.title)
    same = result.machine.device_name == machine.device_name  # what took that machine a moment may take this one hours
    budget = result.budget_seconds if same else preset.budget_seconds if preset else BUDGETS["45 s"]
    return Selection(
        result.title,
        tuple(checkpoints),
        tuple(cells),
        preset.rule if preset else None,
        None if budget is None else float(budget),
        result.clip,
        clip.path if clip else "",
    )


def begin(selection: Selection, machine: Machine) -> None:
    """Read the clip, if there is one, and begin the sweep."""
    pixels = {}
    if selection.path:
        request = ReadFrames(selection.path, selection.checkpoints[0])
        frames = job_for("sweep-frames", request, lambda: ask(request))
        if frames.finished and frames.state != "done":
            del visit().jobs["sweep-frames"], visit().wanted["sweep"]
            visit().sweep_error = f"The clip was not read: {frames.error or 'cancelled'}"
            st.rerun()
        if not finished(frames, "sweep-frames", "Reading the clip"):
            st.stop()
        pixels = dict.fromkeys(selection.checkpoints, (frames.result.shape, frames.blobs[0]))
    del visit().wanted["sweep"]
    try:
        sweep = plan(selection, machine)
    except ValueError as error:  # the memory has gone meanwhile
        visit().sweep_error = f"This cannot be measured. {error}"
        st.rerun()
    running = get_server().sweeps.start(
        sweep, title=selection.title, clip=selection.clip, pixels=pixels, visitor=visitor()
    )
    visit().measured[running.id] = selection.path
    st.rerun()
