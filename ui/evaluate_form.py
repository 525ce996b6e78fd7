"""Which cells classify the clips, what that takes, and which labels no model knows."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine.evaluations import CellAsked, ToEvaluate
from ui.checkpoints import pick_others
from ui.chosen import Settings
from ui.escape import inert, literal
from ui.what_runs import READ_SECONDS, missing, runs_here
from vivit.benchmark.cost import estimate_seconds
from vivit.benchmark.measurement import Cell
from vivit.benchmark.wording import duration
from vivit.checkpoint import Checkpoint, open_checkpoint
from vivit.errors import UserError
from vivit.evaluate.journal import source_of
from vivit.evaluate.labels import Matching, labelled, match_labels
from vivit.evaluate.records import Asked
from vivit.evaluate.sources import Found
from vivit.machine import Machine
from vivit.names import BACKENDS, PRECISIONS
from vivit.views import Views

REFERENCE = "eager float32"
SHOWN = 12  # labels that are named


def pick_cells(settings: Settings) -> tuple[list[Cell], DeltaGenerator]:
    """Draw the choice of cells that classify the clips too.

    Args:
        settings: say the first cell.

    Returns:
        All cells, and the place of a button beside the choice.
    """
    pairs = {
        f"{attention} {precision}": (attention, precision)
        for precision in PRECISIONS
        for attention in BACKENDS
        if runs_here(attention, precision)
    }
    here = sorted(pairs, key=lambda name: name != REFERENCE)
    left, right, button = st.columns([9, 7, 7], gap="small", vertical_alignment="bottom")
    with left:
        beside = st.multiselect(
            "Cells beside it",
            here,
            [name for name in here if name == REFERENCE],
            key="beside",
            bind="query-params",
            placeholder="Other backends and precisions",
            wrap=True,
            help="Each classifies the same clips, which are read once. Answers are compared with those of eager float32, if it "
            f"is among them: the plain arithmetic.{_absent()}",
        )
    with right:
        others = pick_others(settings.checkpoint, "evaluate-models", settings.normalisation, trained=True)
    own = settings.attention, settings.precision, settings.execution
    kinds = dict.fromkeys([own, *((*pairs[name], "plain") for name in beside)])
    models = (settings.checkpoint, *others)
    return [Cell(model, a, p, execution=e) for model in models for a, p, e in kinds], button


def _absent() -> str:
    """Why backends and precisions are not in the list."""
    reasons: dict[str, list[str]] = {}
    for name, reason in (missing("attention") | missing("precision")).items():
        reasons.setdefault(reason, []).append(name)
    told = "".join(f"\n- {', '.join(f'`{name}`' for name in names)}: {literal(why)}" for why, names in reasons.items())
    return f"\n\nNot here:\n{told}" if told else ""


def to_evaluate(
    found: Found,
    limit: int | None,
    settings: Settings,
    cells: Sequence[Cell],
    machine: Machine,
) -> ToEvaluate:
    """What is to be evaluated, of the clips whose label every model knows.

    Args:
        found: the clips.
        limit: clips at most; all if None.
        settings: how clips are read.
        cells: as `pick_cells` returns them.
        machine: on which.

    Raises:
        UserError: if a checkpoint cannot be opened, a model knows none of the labels, a label may mean several of its classes,
            or the models have no class in common that the clips show.
    """
    checkpoints = {cell.checkpoint: open_checkpoint(cell.checkpoint, here=True) for cell in cells}
    labels = [label for _, label in found.clips]
    matched = {name: match_labels(labels, checkpoint.labels) for name, checkpoint in checkpoints.items()}
    unknown = {label: clips for matching in matched.values() for label, clips in matching.unknown.items()}
    first = matched[cells[0].checkpoint]
    both = Matching({label: index for label, index in first.targets.items() if label not in unknown}, unknown)
    if not both.targets:
        raise UserError(
            "These models have no class in common that these clips show. Choose one of them, or other clips."
        )
    clips = labelled(found, both, limit)
    return ToEvaluate(
        found,
        source_of(found, clips, both),
        tuple((path, label) for path, label in found.clips if label in both.targets)[:limit],
        tuple(_asked(cell, settings, checkpoints[cell.checkpoint], matched[cell.checkpoint]) for cell in cells),
        machine,
    )


def _asked(cell: Cell, settings: Settings, checkpoint: Checkpoint, matching: Matching) -> CellAsked:
    """One cell of an evaluation. Args: matching: what the clips' labels mean to this checkpoint."""
    asked = Asked(
        checkpoint.name,
        checkpoint.written_ns,
        attention=cell.attention,
        precision=cell.precision,
        execution=cell.execution,
        normalisation=settings.normalisation,
        sampling=settings.sampling,
        stride=settings.stride,
        views=settings.views,
        batch_size=0,
    )
    return CellAsked(asked, checkpoint.labels, matching.targets)


def show_unknown(what: ToEvaluate) -> None:
    """Name the labels that are no classes, before anything runs."""
    unknown = what.source.left_out
    if not unknown:
        return
    clips = sum(unknown.values())
    named = [f"'{literal(inert(label, 40))}' ({count:,})" for label, count in unknown.items()]
    more = f" and {len(named) - SHOWN:,} more" if len(named) > SHOWN else ""
    labels = f"{len(named):,} labels are" if len(named) > 1 else "1 label is"
    of = "these models" if len({cell.asked.model for cell in what.cells}) > 1 else "this checkpoint"
    st.warning(
        f"{clips:,} clip{'s' * (clips != 1)} left out, since {labels} no class of {of}: {', '.join(named[:SHOWN])}{more}.",
        icon=":material/label_off:",
    )


def about(what: ToEvaluate) -> str:
    """How many clips and cells there are, and what they will take, as words of a button."""
    clips, cells = len(what.clips), len(what.cells)
    of = f"{clips:,} clip{'s' * (clips != 1)}" + f" × {cells} cells" * (cells > 1)
    return f"{of}, about {duration(_seconds(what))}"


def _seconds(what: ToEvaluate) -> float:
    """What all clips take. They are read while the models work, so the slower counts; on a CPU both share the processors."""
    model = 0.0
    for asked in (cell.asked for cell in what.cells):
        config = open_checkpoint(asked.model, weights=False, here=True).config
        how = asked.attention, asked.precision, asked.execution
        views = Views.parse(asked.views).count
        model += estimate_seconds(config, what.machine, *how, batch_size=views, first=False)
    return len(what.clips) * (max(READ_SECONDS, model) if what.machine.on_gpu else READ_SECONDS + model)
