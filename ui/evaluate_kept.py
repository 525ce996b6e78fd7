"""Which evaluations a visitor may see, what they are called, and what of them may leave the server."""

from dataclasses import fields, replace
from pathlib import Path

from ui.checkpoints import taught_folder
from ui.escape import inert
from ui.server import get_server, offers_folders
from ui.taught import is_taught, public_name, same_visitor
from vivit.evaluate.kept import Kept
from vivit.evaluate.records import Asked
from vivit.hub import ASSETS, as_path, split_name
from vivit.names import WITHOUT_STRIDE
from vivit.views import Views

COMMIT = 8  # letters of one that are shown
CELL = ("attention", "precision")  # what cells of one evaluation differ in, which their names say


def is_bundled(kept: Kept) -> bool:
    """Whether its clips are those that ship with the app."""
    return kept.evaluations[0].source.root == str(Path(ASSETS) / "clips")


def may_see(kept: Kept) -> bool:
    """Whether an evaluation is for this visitor: those of clips or checkpoints in folders are for who may open folders."""
    models = [one.asked.model for one in kept.evaluations]
    folders = any(Path(model).is_absolute() and not _is_own(model) for model in models)
    return offers_folders() or ((bool(kept.dataset) or is_bundled(kept)) and not folders)


def _is_own(model: str) -> bool:
    """Whether the visitor has taught this checkpoint."""
    return is_taught(model) and same_visitor(model, taught_folder())


def kept_here() -> dict[str, Kept]:
    """Every evaluation that this visitor may see by its id, newest first."""
    return {one.id: one for one in get_server().evaluations.kept() if may_see(one)}


def same_clips(kept: Kept, other: Kept) -> bool:
    """Whether both are of one dataset at one commit, or of one folder, so that the same path is the same clip."""
    if kept.dataset or other.dataset:
        return (kept.dataset, kept.commit) == (other.dataset, other.commit)
    return kept.evaluations[0].source.root == other.evaluations[0].source.root


def name(kept: Kept) -> str:
    """What tells an evaluation from the others: when, of which clips, by which checkpoints and cells."""
    source = kept.evaluations[0].source
    count = f"{kept.done:,} clips" if kept.whole else f"{kept.done:,} of {kept.clips:,} clips"
    when = kept.created[:19].replace("T", " ")
    models = dict.fromkeys(_model(evaluation.asked, commit=False) for evaluation in kept.evaluations)
    cells = kept.names if len(kept.names) < 4 else [*kept.names[:2], f"{len(kept.names) - 2} more cells"]
    return inert(" · ".join((when, source.name, count, " and ".join(models), *cells)), 160)


def how(asked: Asked) -> str:
    """By which checkpoint a cell classified, and how clips were read: what its name does not say."""
    strides = asked.sampling not in WITHOUT_STRIDE or Views.parse(asked.views).temporal > 1
    sampling = f"{asked.sampling} sampling" + f", stride {asked.stride}" * (strides and asked.stride is not None)
    return inert(
        " · ".join(
            (
                _model(asked),
                sampling,
                f"{asked.views} views",
                f"pixel values: {asked.normalisation}",
                *[f"geometry: {asked.geometry}"] * (asked.geometry != "upright"),
                asked.device,
            )
        ),
        200,
    )


def differences(ours: Asked, theirs: Asked) -> str:
    """What two cells differ in besides attention and precision: 'stride (2 and 4), device (cpu and cuda:0)'; '' in nothing."""
    told = []
    for field in fields(Asked):
        one, other = getattr(ours, field.name), getattr(theirs, field.name)
        if one == other or field.name in CELL:
            continue
        if field.name == "model":
            one, other = _model(ours), _model(theirs)
        elif field.name == "checkpoint_written":
            if ours.model == theirs.model:
                told.append("checkpoint (written anew between the two)")
            continue
        told.append(f"{field.name.replace('_', ' ')} ({_value(one)} and {_value(other)})")
    return ", ".join(told)


def to_take_along(kept: Kept) -> Kept:
    """An evaluation as visitors may have it: a taught checkpoint is called by its public name, and where the clips lie on this
    machine is left out for whoever may not open folders.
    """
    if not offers_folders():
        evaluations = tuple(replace(one, source=replace(one.source, root="")) for one in kept.evaluations)
        kept = replace(kept, evaluations=evaluations)
    cells = [replace(one, asked=replace(one.asked, model=public_name(one.asked.model))) for one in kept.evaluations]
    return replace(kept, evaluations=tuple(cells))


def _model(asked: Asked, commit: bool = True) -> str:
    """A checkpoint as it is shown: a folder by its last part, one of the Hub with the first letters of its commit."""
    said, revision = split_name(asked.model, asked.revision)
    if as_path(said).is_absolute():
        return as_path(said).name
    return f"{said}@{revision[:COMMIT]}" if revision and commit else said


def _value(value: object) -> str:
    return "none" if value is None else inert(str(value))
