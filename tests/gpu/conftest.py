"""What only an NVIDIA GPU can show: `make test-gpu`, for whoever has one. Needs no streamlit.

The other tests run on the CPU even where there is a GPU: kernels, threads and figures in them are the CPU's.
"""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="module")
def exact_products() -> Iterator[None]:
    """TF32, which PyTorch uses for convolutions unless told otherwise, would round the oracle's embedding."""
    usual = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = usual
