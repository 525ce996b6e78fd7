"""ViViT-B/16x2 with random weights: as large and as fast as the published model, with no network. It predicts nothing."""

from typing import TYPE_CHECKING, Any

from vivit.config import VivitConfig
from vivit.names import FACTORIZATIONS

if TYPE_CHECKING:
    import torch

    from vivit.eight_bit import EightBit


def random_name(factorization: str) -> str:
    """The name of the checkpoint with random weights. Args: factorization: a key of `vivit.names.FACTORIZATIONS`."""
    kind = "" if factorization == "none" else factorization.replace("_", "-") + "-"
    return f"vivit-b-16x2-{kind}random"


# Of each of the paper's four models.
RANDOM_CONFIGS = {random_name(name): VivitConfig(num_labels=400, factorization=name) for name in FACTORIZATIONS}
RANDOM = random_name("none")


def make_model(
    kind: Any,
    config: VivitConfig,
    *,
    attn_implementation: str,
    dtype: "str | torch.dtype | EightBit",
    device: "str | torch.device",
) -> Any:
    """A model in evaluation mode, whose weights are the same whenever they are made on a device.

    Args:
        kind: its class.
        config: one of `RANDOM_CONFIGS`.
        attn_implementation, dtype, device: as `Checkpoint.load` takes them.
    """
    import torch

    from vivit.precision import set_precision

    torch.manual_seed(0)
    with torch.device(device):
        model = kind(config, attn_implementation=attn_implementation)
    return set_precision(model.eval(), dtype)
