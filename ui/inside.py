"""Looking inside a model: one pass for each clip and checkpoint, and its checks, which the visit keeps."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np

from engine import Job, checks
from engine.checks import Found, RunningCheck
from engine.tasks import Frames, LookedInside, LookInside
from ui.chosen import ChosenClip, Settings
from ui.inside_kept import Insight, MapChoice
from ui.jobs import ask
from ui.server import compares_by_itself, get_engine, get_machine, get_server
from ui.taught import public_name
from ui.visit import recall, visit, visitor
from ui.what_runs import estimate_seconds
from vivit.checkpoint import Checkpoint, open_checkpoint
from vivit.explain import maps
from vivit.explain.deletion import CONTROLS, SHARES
from vivit.explain.report import report

MOST = 8  # insights that are kept
DELETIONS = (1 + CONTROLS) * len(SHARES)  # passes
ORDERS = 9  # passes
BUDGET_SECONDS = 5.0  # of a check that nobody has asked for

Key = tuple[Any, ...]


def key_of(clip: ChosenClip, frames: Job[Frames], settings: Settings, checkpoint: Checkpoint) -> Key:
    """What an insight is of: as long as that is the same, there is nothing new to be seen."""
    pixels = sha256(frames.blobs[0]).hexdigest()  # the same frames may have been read again
    return clip.name, pixels, frames.result.seconds, checkpoint.name, checkpoint.written_ns, *_how(settings)


def _how(settings: Settings) -> tuple[str, str, str]:
    return settings.attention, settings.precision, settings.normalisation


def find(key: Key) -> Insight | None:
    """The insight of this key, if there is one; it is then what was looked at last, and the checks of others are cancelled."""
    if found := recall(visit().insights, key):
        _leave_others(found)
    return found


def ask_to_look(frames: Job[Frames], settings: Settings, checkpoint: Checkpoint) -> Job[LookedInside]:
    """Queue the one pass that tells everything but the checks."""
    request = LookInside(settings.checkpoint, *_how(settings), frames.result.shape)
    return ask(request, [frames.blobs[0]], cost_key=f"look {checkpoint.name} {_how(settings)}")


def keep(
    key: Key,
    job: Job[LookedInside],
    clip: ChosenClip,
    frames: Job[Frames],
    settings: Settings,
    checkpoint: Checkpoint,
) -> Insight:
    """Keep what a finished job has told, and return it.

    Args:
        key: as `key_of` made it.
        job: has succeeded.
        clip, frames, settings, checkpoint: what it was asked of.
    """
    arrays = zip(job.result.shapes.items(), job.blobs, strict=True)
    insight = Insight(
        key,
        clip,
        settings,
        checkpoint.config,
        frames.result,
        frames.blobs[1:],
        LookInside(settings.checkpoint, *_how(settings), frames.result.shape),
        frames.blobs[0],
        job.result,
        {name: np.frombuffer(blob, np.float32).reshape(shape) for (name, shape), blob in arrays},
    )
    visit().insights.append(insight)
    del visit().insights[:-MOST]
    visit().jobs.pop("look", None)  # so that its arrays are held once
    _leave_others(insight)
    return insight


def weights_of(insight: Insight, choice: MapChoice) -> np.ndarray:
    """The chosen map, (L, H, W)."""
    return maps.choose(insight.maps[choice.method], choice.layer, choice.head)


def report_of(insight: Insight, choice: MapChoice, weights: np.ndarray) -> dict[str, Any]:
    """An insight as JSON, with raw numbers. Args: weights: (L, H, W), the chosen map."""
    machine, deletion, orders = get_machine(), insight.deletions.get(choice), insight.orders
    answer, frames = insight.looked.answer, insight.frames
    return report(
        weights,
        clip=insight.clip.name,
        model=public_name(insight.look.checkpoint),
        attention=insight.look.attention,
        precision=insight.look.precision,
        device=machine.device if machine else "",
        method=choice.method,
        layer=choice.layer,
        head=choice.head,
        predictions=[{"label": answer.label, "score": answer.score}],
        familiar=answer.familiar,
        indices=frames.indices,
        seconds=frames.seconds,
        crop_box=frames.crop_boxes[0],
        tubelet_size=insight.config.tubelet_size,
        deletion=deletion.found if deletion else None,
        counterfactuals=orders.found if orders else None,
        warnings=frames.warnings,
        trained=insight.looked.known,
        raw=True,
    )


def _leave_others(insight: Insight) -> None:
    for other in visit().insights:
        if other is not insight:
            for check in other.checks:
                check.cancel()


def begin_checks(insight: Insight, choice: MapChoice, weights: np.ndarray) -> None:
    """Begin what takes little without being asked: the check of time, and that of the map that is looked at first.

    Args:
        choice: that map; weights: (L, H, W), what it shows.
    """
    if not compares_by_itself():
        return
    if not insight.orders and about_seconds(insight, ORDERS) <= BUDGET_SECONDS:
        check_orders(insight)
    if not insight.deletions and about_seconds(insight, DELETIONS) <= BUDGET_SECONDS:
        check_map(insight, choice, weights)


def about_seconds(insight: Insight, passes: int) -> float:
    """What so many passes will take, an estimate from the one that was made, or from this machine's speed.

    A first pass may take much longer than those that come after it.
    """
    plain = replace(insight.settings, execution="plain")
    checkpoint = open_checkpoint(insight.look.checkpoint, weights=False, here=True)
    return passes * min(insight.looked.pass_seconds, estimate_seconds(plain, checkpoint, first=False))


def check_map(insight: Insight, choice: MapChoice, weights: np.ndarray) -> None:
    """Begin to delete what a map calls attended. Args: weights: (L, H, W), the chosen map."""
    for map_check in insight.deletions.values():
        map_check.cancel()  # of another map, which is not looked at now
    insight.deletions[choice] = _begin(
        lambda: checks.start_deletion(get_engine(), insight.look, insight.pixels, insight.looked, weights)
    )


def check_orders(insight: Insight) -> None:
    """Begin to show the model the frames in other orders."""
    insight.orders = _begin(lambda: checks.start_orders(get_engine(), insight.look, insight.pixels, insight.looked))


def _begin(start: Callable[[], RunningCheck[Found]]) -> RunningCheck[Found]:
    """Begin a check that ends when its visitor leaves for good."""
    running = start()
    held = get_server().checks
    held[visitor()] = [check for check in held.get(visitor(), []) if check.state == "running"] + [running]
    return running
