"""Times on a device's own clock, which nobody waits for until they are read."""

from time import perf_counter
from typing import cast

import torch

Mark = float | torch.Event


def mark(device: torch.device) -> Mark:
    """A time on a device's own clock: when it has done what it was given before, which the host does not wait for."""
    if device.type == "cpu":
        return perf_counter()
    event = torch.Event(device, enable_timing=True)
    event.record(torch.accelerator.current_stream(device))  # or it is recorded on the device that is current
    return event


def milliseconds(begin: Mark, end: Mark) -> float:
    """Milliseconds between two marks of one device; waits until the device has reached the second."""
    if isinstance(begin, float) or isinstance(end, float):
        return (cast(float, end) - cast(float, begin)) * 1e3
    end.synchronize()
    return begin.elapsed_time(end)
