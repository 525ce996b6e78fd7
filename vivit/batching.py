"""How many clips go through a model together."""

import torch

from vivit.benchmark.measurement import Cell
from vivit.benchmark.memory import activations_bytes
from vivit.config import VivitConfig
from vivit.device import memory_bytes
from vivit.names import BACKENDS, EIGHT_BIT

MOST = 16  # clips of a batch: more make nothing faster, and cancelling slower
MEMORY_SHARE = 1 / 8  # of the device's memory that a batch's activations may take


def clips_at_once(
    config: VivitConfig, attention: str, precision: str, device: torch.device, execution: str = "plain"
) -> int:
    """How many clips a batch holds: at most `MOST`, what its memory is predicted to allow, and at least one.

    One in 'int8-bitsandbytes', since a token is rounded there by what the whole batch holds; and one where the attention or the
    model is compiled or captured, since that would be done anew for every other size of batch.

    Args:
        config: of the model.
        attention, precision, execution: keys of `vivit.names.BACKENDS`, `PRECISIONS` and `EXECUTIONS`.
        device: where the model is.
    """
    if precision == EIGHT_BIT or BACKENDS[attention].compiled or execution != "plain":
        return 1
    room, threads = MEMORY_SHARE * memory_bytes(device), torch.get_num_threads()

    def fits(count: int) -> bool:
        return activations_bytes(config, Cell("", attention, precision, count), device.type, threads) <= room

    return next((count for count in range(MOST, 1, -1) if fits(count)), 1)
