"""Position embeddings at other sizes than the trained one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import vivit
from tests import oracle
from tests.vivit.model_pairs import assert_close, both

GRID = (4, 3, 5)  # tubelets of TINY along time, height and width


def positions_at(
    grid: tuple[int, int, int], stored: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """What the model adds to each tubelet of a clip of `grid` tubelets, and to [CLS], where it stores `stored(t, h, w)`.

    Taken from the public forward pass: with a projection of 0, the embeddings are the positions.
    """
    model = vivit.VivitModel(vivit.VivitConfig(**oracle.TINY)).eval()
    hidden = model.config.hidden_size
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in GRID), indexing="ij")
    with torch.no_grad():
        model.embeddings.projection.weight.zero_()
        model.embeddings.projection.bias.zero_()
        model.embeddings.cls_token.zero_()
        model.embeddings.position_embeddings[0, 0] = torch.arange(hidden)
        model.embeddings.position_embeddings[0, 1:] = stored(*axes).reshape(-1, 1).expand(-1, hidden)
        time, height, width = (n * step for n, step in zip(grid, model.config.tubelet_size, strict=True))
        pixel_values = torch.zeros(1, time, 3, height, width)
        added = model(pixel_values, interpolate_pos_encoding=True, output_hidden_states=True).hidden_states[0][0]
    assert_close(added[1:], added[1:, :1].expand(-1, hidden), "channels, which are all alike")
    return added[1:, 0].view(grid), added[0]


def sample_points(new: int, old: int) -> Tensor:
    """Where the centres of `new` cells lie among `old` ones of the same whole, held at the outermost centres."""
    return ((torch.arange(new) + 0.5) * old / new - 0.5).clamp(0, old - 1)


SIZES = [GRID, (8, 3, 5), (2, 3, 5), (4, 6, 5), (4, 3, 9), (3, 5, 4), (1, 1, 1), (16, 7, 10)]


@pytest.mark.parametrize("grid", SIZES)
def test_interpolated_positions_follow_a_ramp_of_each_axis(grid: tuple[int, int, int]) -> None:
    """Linear interpolation gives a linear function back, and only the right axis order does so with three slopes."""
    time, height, width = (sample_points(n, old) for n, old in zip(grid, GRID, strict=True))
    ramp, cls = positions_at(grid, lambda t, h, w: 100 * t + 10 * h + w)
    wanted = 100 * time[:, None, None] + 10 * height[:, None] + width
    # The ramp reaches 324, so float32 holds it to about 3e-5.
    assert_close(ramp, wanted, "ramp", rtol=1e-6, atol=1e-4)
    assert torch.equal(cls, torch.arange(35.0)), "[CLS] has no place to interpolate"


@pytest.mark.parametrize("grid", SIZES)
def test_interpolated_positions_of_a_constant_are_constant(grid: tuple[int, int, int]) -> None:
    constant, _ = positions_at(grid, lambda t, h, w: torch.full_like(t, 0.37))
    assert_close(constant, torch.full(grid, 0.37), "constant", atol=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 3, 8, 13])
def test_other_number_of_frames_is_interpolation_in_time_alone(frames: int) -> None:
    noise = torch.randn(GRID, generator=torch.Generator().manual_seed(0))
    resized, _ = positions_at((frames, *GRID[1:]), lambda t, h, w: noise)
    columns = noise.flatten(1).T[None]  # (1, places, time)
    wanted = F.interpolate(columns, size=frames, mode="linear", align_corners=False)[0].T.view(frames, *GRID[1:])
    assert_close(resized, wanted, "positions", atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_interpolated_positions_leave_the_other_axes_alone(axis: int) -> None:
    noise = torch.randn(GRID[axis], generator=torch.Generator().manual_seed(1))
    shape = [1, 1, 1]
    shape[axis] = -1
    time, height, width = (3 * length if k == axis else length for k, length in enumerate(GRID))
    grid = (time, height, width)
    resized, _ = positions_at(grid, lambda t, h, w: noise.view(shape).expand(GRID))
    line = F.interpolate(noise[None, None], size=grid[axis], mode="linear", align_corners=False).view(shape)
    assert_close(resized, line.expand(grid), "positions", atol=1e-6)


def test_positions_at_the_trained_size_are_the_stored_ones(tmp_path: Path) -> None:
    ours, theirs = both(tmp_path, "sdpa")
    pixel_values = oracle.clip(theirs.config)
    with torch.inference_mode():
        assert torch.equal(ours(pixel_values, interpolate_pos_encoding=True).logits, ours(pixel_values).logits)


@pytest.mark.parametrize("size", [(16, 24, 20), (2, 8, 4), (6, 40, 36)])
def test_another_size_equals_an_oracle_that_stores_those_positions(tmp_path: Path, size: tuple[int, int, int]) -> None:
    ours, theirs = both(tmp_path, "sdpa")
    grid = [a // b for a, b in zip(size, oracle.TINY["tubelet_size"], strict=True)]
    stored = theirs.vivit.embeddings.position_embeddings.detach()
    body = F.interpolate(stored[:, 1:].view(1, *GRID, 35).permute(0, 4, 1, 2, 3), size=grid, mode="trilinear")
    larger = oracle.reference(num_frames=size[0], image_size=list(size[1:]))
    state = theirs.state_dict() | {
        "vivit.embeddings.position_embeddings": torch.cat([stored[:, :1], body.flatten(2).transpose(1, 2)], dim=1)
    }
    larger.load_state_dict(state)
    pixel_values = oracle.clip(larger.config)
    with torch.inference_mode():
        mine = ours(pixel_values, interpolate_pos_encoding=True).logits
        assert_close(mine, larger(pixel_values).logits, "logits")
