"""The actions that no embedded checkpoint was trained on: kept out of training, whole, and rendered by their labels."""

from pathlib import Path

import pytest
import torch

from mannequin import train
from mannequin.actions import BY_LABEL, LABELS, MOTION_ONLY
from mannequin.body import solve
from mannequin.evaluate import SINGLE_FRAME_CHECKPOINT
from mannequin.novel import NOVEL
from mannequin.renders import CODE, planned, render_video
from mannequin.sample import perform
from mannequin.scene import draws
from tests.mannequin.limbs import assert_limbs_keep_their_length
from vivit.config import VivitConfig
from vivit.hub import ASSETS, kinetics400_labels

CHECKPOINTS = [*ASSETS.glob("vivit-mannequin*"), SINGLE_FRAME_CHECKPOINT]


def test_they_are_six_of_kinetics_400_and_some_hold_nothing() -> None:
    assert len(NOVEL) == 6 and list(NOVEL) == [action.label for action in NOVEL.values()] == sorted(NOVEL)
    assert set(NOVEL) <= set(kinetics400_labels())
    assert sum(action.props is None for action in NOVEL.values()) >= 2


@pytest.mark.parametrize("folder", CHECKPOINTS, ids=lambda folder: folder.name)
def test_no_checkpoint_has_learned_them(folder: Path) -> None:
    assert not set(NOVEL) & set(VivitConfig.from_pretrained(folder).id2label.values())


def test_they_never_come_into_training() -> None:
    assert len(LABELS) == 36 and len(CHECKPOINTS) == 3
    for names in (LABELS, MOTION_ONLY, BY_LABEL, train.config().id2label.values()):
        assert not set(NOVEL) & set(names)
    # Nor into the clips that the evaluation keeps: a change of a novel action's pose leaves those clips as they are.
    assert not set(NOVEL) & {clip["label"] for clip in planned(100, 1)} and "novel" not in CODE


@pytest.mark.parametrize("label", NOVEL)
def test_bones_keep_their_lengths_and_nothing_sinks(label: str) -> None:
    seconds = torch.linspace(0, 7, 80).expand(3, -1)
    figure, *_, scene = perform(label, draws(range(3)), seconds)
    assert figure.start.isfinite().all() and figure.end.isfinite().all()
    lowest = torch.minimum(figure.start[..., 1], figure.end[..., 1]) - figure.radius[:, None]
    assert float(lowest.min()) > -0.05
    # What moves is more than the camera's hand.
    assert float((figure.end[:, 1:] - figure.end[:, :-1]).norm(dim=-1).max()) > 0.03
    phase = NOVEL[label].clock(seconds, scene.traits)
    joints = solve(NOVEL[label].pose(phase, scene.traits), phase.shape)
    assert_limbs_keep_their_length(joints)


@pytest.mark.parametrize("label", NOVEL)
def test_a_movement_has_no_jump(label: str) -> None:
    """Over two cycles in steps of a thousandth, no joint goes further in a step than a fist does at its fastest."""
    cycles = torch.linspace(0, 2, 2001)[None]
    scene = perform(label, draws([4]), cycles)[-1]
    joints = solve(NOVEL[label].pose(cycles, scene.traits), cycles.shape)
    for places in (joints.hands, joints.ankles, joints.elbows, joints.knees, joints.head):
        assert float(places.diff(dim=1).norm(dim=-1).max()) < 0.03


def test_a_clip_is_rendered_by_its_label() -> None:
    one, other = (render_video(label, 7, 1.0, height=32) for label in ("shaking head", "punching bag"))
    assert one.shape == other.shape and one.shape[0] >= 5 and not torch.equal(one, other)
    with pytest.raises(KeyError, match="flying"):
        render_video("flying", 7, 1.0, height=32)
