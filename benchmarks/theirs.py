"""transformers' ViViT with random weights, which ours is compared with."""

from typing import Any

import transformers


def random_model(attention: str = "sdpa", **changes: Any) -> Any:
    """A classifier of Kinetics-400's size, in evaluation mode.

    Args:
        attention: its `attn_implementation`.
        changes: to transformers' own config, which is that of ViViT-B/16x2.

    Returns:
        `transformers.VivitForVideoClassification`, of whose calls the stubs say too little.
    """
    config = transformers.VivitConfig(**{"num_labels": 400} | changes)
    config._attn_implementation = attention
    return transformers.VivitForVideoClassification(config).eval()
