"""Figures about maps and orders: how they are counted, and that one command gives them for both embedded checkpoints."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mannequin import evaluate, inside
from mannequin.actions import LABELS, MOTION_ONLY
from mannequin.moving import moving_tubelets
from mannequin.renders import evaluation_seeds
from mannequin.sample import frame_times
from mannequin.scene import draws
from mannequin.train import EVALUATION_SEEDS
from vivit.explain.attention import look
from vivit.explain.deletion import Deletion
from vivit.explain.maps import choose
from vivit.hub import ASSETS
from vivit.intervals import wilson
from vivit.model import VivitForVideoClassification
from vivit.processing import VivitImageProcessor

EMBEDDED = ("vivit-mannequin", "vivit-mannequin-fe")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coarse pictures and two controls: what is counted is the same."""
    monkeypatch.setattr(evaluate, "SAMPLES", 1)
    monkeypatch.setattr("vivit.explain.deletion.CONTROLS", 2)


@pytest.mark.full
@pytest.mark.parametrize("name", EMBEDDED)
def test_one_command_gives_all_figures(
    name: str, quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = f"--clips 3 --seed 4 --deletion-clips 1 --device cpu --json --model {ASSETS / name}"
    monkeypatch.setattr(sys, "argv", ["inside", *options.split()])
    inside.main()
    report = json.loads(capsys.readouterr().out)
    assert (report["model"], report["clips"], report["seed"], report["grid"]) == (name, 3, 4, [16, 8, 8])
    methods = {"attention"} if name == "vivit-mannequin" else {"attention", "space"}
    checked = {f"{method} {which}" for method in methods for which in ("last", "mean")} | {"rollout", "centred"}
    layers = {f"{method} layer {k}" for method in methods for k in range(4 if name == "vivit-mannequin" else 3)}
    assert report["deletion"].keys() == checked
    assert all(one["better"]["of"] == 1 and -1 <= one["area"] <= 1 for one in report["deletion"].values())
    for when in ("now", "ever"):
        assert report["pointing"][when]["on"].keys() == checked | layers
        assert 0 < report["pointing"][when]["chance"] < 0.5
    # What moves at that moment moves in the clip.
    wide, narrow = (report["pointing"][when]["on"] for when in ("ever", "now"))
    assert all(wide[kind]["share"] >= narrow[kind]["share"] for kind in wide)
    for groups in (*report["order"].values(), report["frozen_familiar"]):
        assert [groups[key]["of"] for key in ("motion_only", "others", "all")] == [2, 1, 3]
    assert report["order"].keys() == {"shuffled", "reversed", "frozen"}
    text = inside.as_text(report)
    assert all(f"\n{kind} " in text for kind in checked | layers)


def test_peaks_are_looked_up_where_the_figure_moves(quick: None) -> None:
    """Against the same counted clip by clip, from the library's own choice of a map."""
    model = VivitForVideoClassification.from_pretrained(evaluate.CHECKPOINT)
    processor = VivitImageProcessor.from_pretrained(evaluate.CHECKPOINT)
    report = inside.inside(model, processor, clips=2, seed=4, deletion_clips=0)
    assert report["deletion"] == {} and report["frozen_familiar"] is None
    hits, shares = [], []
    for label in LABELS[:2]:
        ((seeds, pixels),) = inside.clips_of(label, evaluation_seeds(label, 2, 4), processor, model.device, False)
        numbers = draws(seeds)
        moving = moving_tubelets(label, numbers, frame_times(numbers, 32, 25.0), (16, 8, 8))[0].numpy()
        weights = choose(look(model, pixels).maps["attention"][:, 0].numpy())
        hits.append(bool(moving[np.unravel_index(weights.argmax(), weights.shape)]))
        shares.append(moving.mean())
    now = report["pointing"]["now"]
    assert now["on"]["attention mean"]["share"] == np.mean(hits)
    assert now["chance"] == pytest.approx(np.mean(shares), abs=5.1e-5)  # four places are kept


def test_kinds_of_map_are_those_that_can_be_chosen() -> None:
    for name in EMBEDDED:
        model = VivitForVideoClassification.from_pretrained(ASSETS / name)
        seen = look(model, torch.rand(2, 32, 3, 128, 128, generator=torch.Generator().manual_seed(0)), rollout=True)
        maps = inside.maps_of(seen, model.config)
        assert seen.rollout is not None and torch.equal(maps["rollout"], seen.rollout)
        for clip in range(2):
            for method in ("attention", "space")[: 1 + (name == EMBEDDED[1])]:
                one = seen.maps[method][:, clip].numpy()
                expected = {"last": choose(one, -1), "mean": choose(one), "layer 1": choose(one, 1)}
                for which, chosen in expected.items():
                    # A mean of means is not the mean of all to the last digit.
                    np.testing.assert_allclose(maps[f"{method} {which}"][clip].numpy(), chosen, rtol=1e-6)


def test_the_pointing_game_counts_hits_and_lets_none_win_where_nothing_moves() -> None:
    moving = torch.tensor([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]], dtype=torch.bool)
    found = inside.pointing({"good": [0, 2, 3], "bad": [1, 0, 0]}, moving)
    assert (found["chance"], found["without"]) == (0.25, 1)
    low, high = wilson(2, 3)
    assert found["on"]["good"] == {"share": 0.6667, "low": round(low, 4), "high": round(high, 4), "of": 3}
    assert found["on"]["bad"]["share"] == 0


def test_deletion_is_the_mean_of_areas_and_the_share_of_those_that_are_better() -> None:
    good = Deletion(1.0, (0.0, 0.0, 0.0), ((1.0, 1.0, 1.0),) * 19)
    bad = Deletion(1.0, (1.0, 1.0, 1.0), ((1.0, 1.0, 1.0),) * 19)
    found = inside.deletion([good, bad])
    assert found["better"]["share"] == 0.5 and found["area"] == pytest.approx(good.area / 2, abs=5.1e-5)
    # The standard error of two values is their distance from their mean.
    assert found["area_standard_error"] == pytest.approx(good.area / 2, abs=5.1e-5)
    assert inside.deletion([good])["area_standard_error"] is None


def test_groups_are_counted_apart() -> None:
    found = inside.by_group([True, True, False, True], [True, False, True, True])
    assert [(found[key]["share"], found[key]["of"]) for key in found] == [(0.6667, 3), (1.0, 1), (0.75, 4)]
    assert inside.by_group([], [])["all"] == {"share": 0.0, "low": 0.0, "high": 1.0, "of": 0}


def test_a_centred_map_peaks_in_the_middle() -> None:
    # Of an even number two are as central; the first counts, as it does in `top_tubelets`.
    for grid, middle in (((16, 8, 8), (7, 3, 3)), ((3, 5, 7), (1, 2, 3))):
        weights = inside.centred_map(grid)
        assert weights.shape == grid and [*np.unravel_index(weights.argmax(), grid)] == [*middle]


def test_every_clip_is_shuffled_once_in_its_own_way() -> None:
    one = inside.shuffles([5, 6])
    assert torch.equal(one[1:], inside.shuffles([6])) and not torch.equal(one[0], one[1])
    assert one.sort(-1).values.eq(torch.arange(32)).all()


def test_clips_are_those_that_accuracy_is_measured_on() -> None:
    seeds = {label: evaluation_seeds(label, 80, 1) for label in LABELS}
    first = EVALUATION_SEEDS.index(seeds[LABELS[0]][0])
    in_turn = sorted((seed, LABELS.index(label)) for label, some in seeds.items() for seed in some)
    assert in_turn == [(EVALUATION_SEEDS[first + k], k % len(LABELS)) for k in range(80)]
    assert {label in MOTION_ONLY for label in LABELS[:2]} == {True, False}


@pytest.mark.full
def test_it_needs_neither_a_reader_of_video_nor_a_page() -> None:
    """In a process of its own, where those packages cannot be imported."""
    absent = {"av": None, "streamlit": None, "plotly": None}
    code = f"import sys\nsys.modules.update({absent})\nimport mannequin.inside"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(inside.__file__).parents[1])
