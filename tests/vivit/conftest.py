"""What the library's tests share."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[int]:
    """Tiny tensors on one thread: waiting for a second one takes longer than the work. Yields the usual number."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield usual
    torch.set_num_threads(usual)
