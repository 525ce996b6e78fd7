"""What a forward pass costs, from the shape of the model alone. No torch is used."""

from vivit.config import VivitConfig


def linear_flops(config: VivitConfig) -> int:
    """Floating-point operations of one clip's matrix products with weights, multiply and add counted separately."""
    hidden, tokens = config.hidden_size, config.num_tokens
    time, height, width = config.tubelet_size
    tubelets = (tokens - 1) * config.num_channels * time * height * width * hidden
    layer = tokens * (4 * hidden * hidden + 2 * hidden * config.intermediate_size)
    return 2 * (tubelets + config.num_hidden_layers * layer + hidden * (config.num_labels or 0))


def attention_flops(config: VivitConfig) -> int:
    """Floating-point operations of one clip's attention: scores and their product with the values."""
    return 4 * config.num_hidden_layers * config.num_tokens**2 * config.hidden_size


def estimate_seconds(config: VivitConfig, machine: dict, attention: str, precision: str) -> float:
    """How long one clip's forward pass will take, before it is run.

    Args:
        config: the model's shape.
        machine: what `vivit.machine.describe` measured.
        attention, precision: keys of `ATTENTION` and `PRECISIONS` that run there.
    Returns:
        Seconds: FLOPs of each kind over the rate that kind reached there. Small models take longer, since the rates are
        those of full-sized products.
    """
    rates = {(s["attention"], s["precision"]): s["flops_per_second"] for s in machine["support"]}
    return (
        linear_flops(config) / machine["flops_per_second"][precision]
        + attention_flops(config) / rates[attention, precision]
    )
