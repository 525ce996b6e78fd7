"""The ready choices: of known backends, within their budgets, and the documentation's as its tables have them."""

import random
from dataclasses import replace

import pytest

from tests.vivit.benchmark.children import MACHINE
from tests.vivit.benchmark.made_up import TINY
from vivit.benchmark.presets import PRESETS
from vivit.benchmark.sweep import ROUNDS, Sweep
from vivit.checkpoint import RANDOM_CONFIGS
from vivit.names import BACKENDS


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_cells_of_known_backends(name: str) -> None:
    preset = PRESETS[name]
    cells = preset.cells("m")
    assert len(cells) == len(set(cells)) and preset.budget_seconds <= (600 if preset.checkpoints else 120)
    assert {c.attention for c in cells} <= BACKENDS.keys()
    configs = dict.fromkeys(preset.checkpoints or ("m",), replace(TINY, num_frames=32))
    sweep = Sweep(cells, configs, MACHINE, budget_seconds=preset.budget_seconds, rule=preset.rule)
    assert sweep.seconds_left <= preset.budget_seconds


def test_what_factorising_buys_is_asked_of_the_four_models_with_random_weights() -> None:
    cells = PRESETS["what does factorising buy?"].cells("whatever is chosen")
    assert {c.checkpoint for c in cells} == RANDOM_CONFIGS.keys()
    assert {(c.attention, c.num_frames) for c in cells} == {(a, n) for a in ("eager", "sdpa") for n in (8, 16, 32)}
    assert len(cells) == 24 and {c.precision for c in cells} == {"float32"}


def test_documentation_presets_are_its_tables() -> None:
    inference = PRESETS["documentation's inference table"]
    assert {(c.batch_size, c.precision) for c in inference.cells("m")} >= {(b, "float32") for b in (1, 2, 4, 8)}
    training = PRESETS["documentation's training table"]
    assert [(c.mode, c.attention, c.batch_size) for c in training.cells("m")] == [
        ("training", "eager", 1),
        ("training", "sdpa", 1),
    ]
    random.seed(0)
    for preset, documented in ((inference, 20), (training, 100)):
        assert preset.rule and preset.rule.max_samples * ROUNDS >= documented > (preset.rule.max_samples - 1) * ROUNDS
        noisy = [random.uniform(1, 9) for _ in range(preset.rule.max_samples - 1)]
        assert not preset.rule.satisfied(noisy) and preset.rule.satisfied([*noisy, 1.0])
        steady = [1.0] * (preset.rule.max_samples - 1)
        assert not preset.rule.satisfied(steady) and not preset.rule.too_slow(9e3)
