"""ViViT-B/16x2 with random weights: as large and as fast as the published model, with no network. It predicts nothing."""

from typing import TYPE_CHECKING, Any

from vivit.config import VivitConfig

if TYPE_CHECKING:
    import torch

    from vivit.eight_bit import EightBit

RANDOM = "vivit-b-16x2-random"  # stands where a checkpoint's name does
CONFIG = VivitConfig(num_labels=400)


def make_model(
    kind: Any, *, attn_implementation: str, dtype: "str | torch.dtype | EightBit", device: "str | torch.device"
) -> Any:
    """A model in evaluation mode, whose weights are the same whenever they are made on a device.

    Args:
        kind: its class.
        attn_implementation, dtype, device: as `Checkpoint.load` takes them.
    """
    import torch

    from vivit.precision import set_precision

    torch.manual_seed(0)
    with torch.device(device):
        model = kind(CONFIG, attn_implementation=attn_implementation)
    return set_precision(model.eval(), dtype)
