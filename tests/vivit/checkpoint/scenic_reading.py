"""Checkpoints of the original release, read with a small clip: what is refused."""

from pathlib import Path
from typing import Any

import pytest

from vivit.checkpoint import scenic
from vivit.errors import UserError

CLIP: dict[str, Any] = {"num_frames": 8, "image_size": (24, 20)}


def refused(path: Path, **clip: Any) -> UserError:
    """The error, whose first line is one or two sentences."""
    with pytest.raises(UserError) as caught:
        scenic.read(path, **CLIP | clip)
    first = str(caught.value).partition("\n")[0]
    assert first.endswith(".") and "'" in first and len(first) < 420, first
    return caught.value
