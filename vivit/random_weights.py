"""ViViT-B/16x2 with random weights: as large and as fast as the published model, with no network. It predicts nothing."""

from typing import TYPE_CHECKING

from vivit.config import VivitConfig

if TYPE_CHECKING:
    import torch

    from vivit.model import VivitForVideoClassification

RANDOM = "vivit-b-16x2-random"


def read_config(name: str) -> VivitConfig:
    """The shape of a checkpoint, or of `RANDOM`. Raises what `VivitConfig.from_pretrained` does. No torch is used."""
    return VivitConfig(num_labels=400) if name == RANDOM else VivitConfig.from_pretrained(name)


def load_model(
    name: str, *, attn_implementation: str, dtype: str, device: "torch.device"
) -> "VivitForVideoClassification":
    """A checkpoint by `from_pretrained`, or `RANDOM`, whose weights are the same whenever they are made on a device.

    Args:
        name: `RANDOM`, or what `VivitForVideoClassification.from_pretrained` takes.
        attn_implementation, dtype, device: as there.
    Returns:
        A model in evaluation mode.
    """
    import torch

    from vivit.model import VivitForVideoClassification
    from vivit.precision import set_precision

    if name != RANDOM:
        return VivitForVideoClassification.from_pretrained(
            name, attn_implementation=attn_implementation, dtype=dtype, device=device
        )
    torch.manual_seed(0)
    with torch.device(device):
        model = VivitForVideoClassification(read_config(name), attn_implementation=attn_implementation)
    return set_precision(model.eval(), dtype)
