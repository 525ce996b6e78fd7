"""ViViT-B/16x2 with random weights: as large and as fast as the published model, with no network. It predicts nothing."""

from typing import TYPE_CHECKING

from vivit.config import VivitConfig

if TYPE_CHECKING:
    import torch

    from vivit.model import VivitForVideoClassification

RANDOM = "vivit-b-16x2-random"  # stands where a checkpoint's name does
CONFIG = VivitConfig(num_labels=400)


def make_model(
    config: VivitConfig, *, attn_implementation: str, dtype: "str | torch.dtype", device: "str | torch.device"
) -> "VivitForVideoClassification":
    """A model in evaluation mode, whose weights are the same whenever they are made on a device.

    Args:
        config: its shape.
        attn_implementation, dtype, device: as `VivitForVideoClassification.from_pretrained` takes them.
    """
    import torch

    from vivit.model import VivitForVideoClassification
    from vivit.precision import set_precision

    torch.manual_seed(0)
    with torch.device(device):
        model = VivitForVideoClassification(config, attn_implementation=attn_implementation)
    return set_precision(model.eval(), dtype)
