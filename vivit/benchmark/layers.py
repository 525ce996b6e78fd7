"""What the layers of a model compute, as its config says: the counts that operations, memory and time follow from.

No torch is used.
"""

from dataclasses import dataclass

from vivit.config import VivitConfig
from vivit.names import EIGHT_BIT


@dataclass(frozen=True)
class Attention:
    """Tokens of one clip that attend to each other.

    Args:
        groups: how many such sets there are, which know nothing of each other.
        tokens: of a set; each has a key and a value.
        queries: those of a set that are computed: all, or [CLS] alone.
        heads: that attend so.
        apart: whether a set's tokens do not lie side by side, and are copied: those over time.
    """

    groups: int
    tokens: int
    queries: int
    heads: int
    apart: bool = False

    @property
    def scores(self) -> int:
        """Of all sets and heads."""
        return self.groups * self.queries * self.tokens * self.heads


@dataclass(frozen=True)
class Layers:
    """Layers that are alike.

    Args:
        count: how many.
        steps: what each does before its MLP; a step has projections of its own, which its attentions share, by heads.
    """

    count: int
    steps: tuple[tuple[Attention, ...], ...]

    @property
    def tokens(self) -> int:
        """Of one clip, that a layer is given."""
        return self.steps[0][0].groups * self.steps[0][0].tokens

    @property
    def computed(self) -> int:
        """Tokens of one clip that it computes."""
        return self.steps[0][0].groups * self.steps[0][0].queries

    @property
    def attentions(self) -> list[Attention]:
        """Of all its steps."""
        return [attention for step in self.steps for attention in step]

    @property
    def scores(self) -> int:
        """Of one clip in one layer."""
        return sum(attention.scores for attention in self.attentions)


def encoder_layers(config: VivitConfig, precision: str = "float32") -> list[Layers]:
    """All layers of a classification in their order, those together that are alike."""
    steps, height, width = config.grid_size
    places, heads, count = height * width, config.num_attention_heads, config.num_hidden_layers
    if not config.has_cls:
        one_step = config.factorization == "dot_product"  # one step, in which each attention has half of the heads
        time = Attention(places, steps, steps, heads // (1 + one_step), apart=True)
        space = Attention(steps, places, places, heads // (1 + one_step))
        in_order = ((time,), (space,)) if config.attention_order == "time_space" else ((space,), (time,))
        found = [Layers(count, ((time, space),) if one_step else in_order)]
    elif config.factorization == "encoder":
        found = _with_cls(config, count, steps, 1 + places, precision)
        found += _with_cls(config, config.num_temporal_layers, 1, 1 + steps, precision)
    else:
        found = _with_cls(config, count, 1, config.num_tokens, precision)
    return [layers for layers in found if layers.count]


def _with_cls(config: VivitConfig, count: int, groups: int, tokens: int, precision: str) -> list[Layers]:
    """Layers of all tokens, and the last of each group's [CLS] alone."""
    alone = int(count > 0 and precision != EIGHT_BIT)  # in `EIGHT_BIT` a token is rounded by what all others hold
    return [
        Layers(number, ((Attention(groups, tokens, queries, config.num_attention_heads),),))
        for number, queries in ((count - alone, tokens), (alone, 1))
    ]
