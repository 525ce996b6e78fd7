"""How many clips a batch holds."""

import pytest
import torch

from tests.factorized_models import config_of
from vivit import batching
from vivit.batching import MEMORY_SHARE, MOST, clips_at_once
from vivit.benchmark.measurement import Cell
from vivit.benchmark.memory import activations_bytes
from vivit.config import VivitConfig
from vivit.device import memory_bytes

CPU = torch.device("cpu")


def test_a_batch_holds_what_its_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    config = VivitConfig()  # ViViT-B/16x2

    def needed(attention: str, count: int) -> int:
        return activations_bytes(config, Cell("", attention, "float32", count), "cpu", torch.get_num_threads())

    for attention in ("eager", "sdpa"):
        for gib in (1, 8, 64, 4096):
            monkeypatch.setattr(batching, "memory_bytes", lambda _, gib=gib: gib * 2**30)
            count = clips_at_once(config, attention, "float32", CPU)
            assert 1 <= count <= MOST
            assert count == 1 or needed(attention, count) <= MEMORY_SHARE * gib * 2**30
            assert count == MOST or needed(attention, count + 1) > MEMORY_SHARE * gib * 2**30
    monkeypatch.setattr(batching, "memory_bytes", lambda _: 2**30)
    assert clips_at_once(config, "eager", "float32", CPU) == 1  # one clip is asked for whatever memory it takes


def test_small_clips_are_sixteen_and_eight_bit_is_one_by_one() -> None:
    """In 'int8-bitsandbytes' a large number in one clip keeps its column from being rounded in all clips of the batch."""
    assert memory_bytes(CPU) > 2**30
    assert clips_at_once(config_of("encoder"), "sdpa", "float32", CPU) == MOST
    assert clips_at_once(config_of("encoder"), "sdpa", "int8-dynamic", CPU) == MOST
    assert clips_at_once(config_of("encoder"), "sdpa", "int8-bitsandbytes", CPU) == 1


@pytest.mark.parametrize(
    ("attention", "execution"), [("flex_attention", "plain"), ("sdpa", "compiled"), ("sdpa", "captured")]
)
def test_what_is_made_for_one_size_of_batch_goes_one_by_one(attention: str, execution: str) -> None:
    assert clips_at_once(config_of("encoder"), attention, "float32", CPU, execution) == 1
