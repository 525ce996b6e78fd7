"""ViViT, models 1 to 4 of Arnab et al. 2021 (arXiv:2103.15691): attention over all tubelets at once, or along an axis.

Letters: B clips, T frames, C channels, H × W pixels, N tokens, E hidden size, A heads, D width of one head; L time steps of
S tokens each, where an attention is over time or over space alone: its tokens are a grid, (B, L, S, E).
"""

from collections.abc import Callable
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from vivit.attention import attention_probabilities, get_attention
from vivit.checkpoint.image_model import check_choices, copy_image_model
from vivit.checkpoint.layout import to_own_names
from vivit.config import TANH_GELUS, VivitConfig
from vivit.device import one_device
from vivit.eight_bit import Int8Linear
from vivit.errors import refuse_unknown
from vivit.execution import Execution, ExecutionUnavailable, get_execution, why_not
from vivit.fused import add_norm, can_fuse, hooked, linear_gelu, one_kernel_pays, own_hooks
from vivit.hub import OPTION_NAMES, locate, split_options
from vivit.linear import linear
from vivit.outputs import VideoClassifierOutput, VivitOutput
from vivit.positions import interpolate
from vivit.precision import get_precision, refuse, set_precision
from vivit.pretrained import VivitPreTrainedModel
from vivit.tf32 import in_its_products

ACTIVATION = {
    "gelu": nn.GELU(),
    **{name: nn.GELU(approximate="tanh") for name in TANH_GELUS},
    "relu": nn.ReLU(),
    "silu": nn.SiLU(),
    "tanh": nn.Tanh(),
}
ALL = slice(None)
# The axes that an attention is over; of two axes each has half of the heads. None stands for all tokens at once.
Axes = tuple[str | None, ...]
AXES: dict[str, Axes] = {
    "none": (None,),
    "encoder": ("space",),
    "self_attention": ("space",),  # each layer has a second attention, over time
    "dot_product": ("time", "space"),
}


class Linear(nn.Linear):
    """A linear layer that computes in its input's dtype, whatever its weights are kept in ('float16-weights')."""

    product: Callable[..., Tensor] = staticmethod(linear)

    def forward(self, x: Tensor, rows: slice = ALL) -> Tensor:
        """(…, I) → (…, O). Args: x: of any dtype; rows: which rows of the weight, for a part of the outputs alone."""
        bias = None if self.bias is None else self.bias[rows].to(x.dtype)
        return self.product(x, self.weight[rows].to(x.dtype), bias)


class VivitEmbeddings(nn.Module):
    """Pixels → tokens: one linear map of every tubelet, [CLS] in front, a position embedding on each."""

    def __init__(self, config: VivitConfig) -> None:
        super().__init__()
        self.config = config
        time, height, width = config.tubelet_size
        # A 3-D convolution whose stride is its kernel is this one product, and as a product it is faster.
        self.projection = Linear(config.num_channels * time * height * width, config.hidden_size)
        self.projection.product = F.linear  # its error goes through every layer, and MKL's is a quarter of oneDNN's
        size, steps = config.hidden_size, config.grid_size[0]
        each = config.factorization == "encoder"  # whether each time step has its own [CLS], and all share positions
        if config.has_cls:
            self.cls_token = nn.Parameter(torch.empty(1, 1, 1, size) if each else torch.empty(1, 1, size))
        tokens = config.num_tokens // steps if each else config.num_tokens
        self.position_embeddings = nn.Parameter(torch.empty(1, tokens, size))
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, pixel_values: Tensor, interpolate_pos_encoding: bool = False) -> Tensor:
        """(B, T, C, H, W) → (B, N, E), or (B, L, S, E) where attention is over an axis. Raises ValueError as `grid`."""
        config, grid = self.config, self.grid(pixel_values, interpolate_pos_encoding)
        # B T C H W → B (grid) (C and one tubelet's time, height, width), the order of a convolution's weights
        tubelets = pixel_values.unflatten(1, (grid[0], -1)).unflatten(4, (grid[1], -1)).unflatten(6, (grid[2], -1))
        tubelets = tubelets.permute(0, 1, 4, 6, 3, 2, 5, 7).flatten(4)
        in_steps = config.factorization != "none"
        tubelets = tubelets.flatten(2, 3) if in_steps else tubelets.flatten(1, 3)
        tokens = self.projection(tubelets)  # (B, L, S, E) or (B, N, E)
        if config.has_cls:
            tokens = torch.cat([self.cls_token.expand_as(tokens[..., :1, :]), tokens], dim=-2)
        positions = self._positions(grid)
        if in_steps and not config.has_cls:
            positions = positions.unflatten(1, (grid[0], -1))
        embedded: Tensor = self.dropout(tokens + positions)
        return embedded

    def grid(self, pixel_values: Tensor, any_size: bool) -> tuple[int, int, int]:
        """Tubelets of a clip along (time, height, width). Raises ValueError for clips of a wrong shape."""
        config = self.config
        if pixel_values.ndim != 5 or pixel_values.shape[2] != config.num_channels:
            raise ValueError(
                f"pixel_values must be (clips, frames, {config.num_channels} channels, height, width), "
                f"not {tuple(pixel_values.shape)}"
            )
        size = (pixel_values.shape[1], *pixel_values.shape[3:])
        if size != config.clip_size and not any_size:
            raise ValueError(
                f"this model takes (frames, height, width) = {config.clip_size}, not {size}; "
                "interpolate_pos_encoding=True admits other sizes"
            )
        if any(a < b or a % b for a, b in zip(size, config.tubelet_size, strict=True)):
            raise ValueError(f"(frames, height, width) = {size} is no multiple of tubelet_size = {config.tubelet_size}")
        time, height, width = (a // b for a, b in zip(size, config.tubelet_size, strict=True))
        return time, height, width

    def _positions(self, grid: tuple[int, int, int]) -> Tensor:
        """Position embeddings for any (time, height, width) of tubelets: (1, N, E); (1, S, E) for 'encoder', at every step."""
        of = self.config.grid_size
        if self.config.factorization == "encoder":
            of, grid = (1, *of[1:]), (1, *grid[1:])
        return interpolate(self.position_embeddings, of, grid)


class VivitAttention(nn.Module):
    """Multi-head self-attention with query, key and value in one product.

    Args:
        config: of the model.
        axes: over which axis the tokens of a grid attend, see `AXES`.
    """

    axes: Axes = (None,)  # for layers that were pickled before there was a choice

    def __init__(self, config: VivitConfig, axes: Axes = (None,)) -> None:
        super().__init__()
        self.axes = axes
        self.heads = config.num_attention_heads
        self.dropout_p = config.attention_probs_dropout_prob
        self.qkv = Linear(config.hidden_size, 3 * config.hidden_size, bias=config.qkv_bias)
        self.output = Linear(config.hidden_size, config.hidden_size)
        self.attend = get_attention("sdpa")

    def forward(
        self, x: Tensor, output_attentions: bool = False, cls_only: bool = False
    ) -> tuple[Tensor, Tensor | tuple[Tensor, ...] | None]:
        """(B, N, E) or (B, L, S, E) → the same shape, or with `cls_only` its first tokens; and the probabilities or None.

        The probabilities are (B, A, N, N) over all tokens, (B, L, A, S, S) over space and (B, S, A, L, L) over time; for two
        axes a tuple, with A / 2 heads each.
        """
        queries = x[..., :1, :].contiguous() if cls_only else x  # strided, each clip would be a product by itself
        if cls_only and type(self.qkv) is Linear and not own_hooks(self.qkv):
            size = self.qkv.out_features // 3
            query = self.qkv(queries, slice(size)).unflatten(-1, (1, self.heads, -1))
            both = self.qkv(x, slice(size, None)).unflatten(-1, (2, self.heads, -1))
        else:
            query, both = self.qkv(x).unflatten(-1, (3, self.heads, -1)).split((1, 2), dim=-3)
            query = query[..., :1, :, :, :] if cls_only else query
        contexts, probabilities = [], []
        parts = zip(self.axes, query.chunk(len(self.axes), -2), both.chunk(len(self.axes), -2), strict=True)
        for axis, of_query, of_both in parts:
            context, some = self._attend(apart(of_query, axis), apart(of_both, axis), output_attentions)
            groups = x.shape[2 if axis == "time" else 1]  # batches that `apart` makes of each clip
            contexts.append(together(context, axis, groups))
            probabilities.append(some if some is None or axis is None else some.unflatten(0, (-1, groups)))
        context = contexts[0] if len(contexts) == 1 else torch.cat(contexts, dim=-2)
        found = tuple(probabilities) if len(probabilities) > 1 else probabilities[0]
        return self.output(context.flatten(-2)), found if output_attentions else None  # type: ignore[return-value]

    def _attend(self, query: Tensor, both: Tensor, output_attentions: bool) -> tuple[Tensor, Tensor | None]:
        """(B, N, 1, A, D) and (B, N, 2, A, D) → (B, N, A, D), and the probabilities (B, A, N, N), or None if not asked for."""
        query = query[:, :, 0].transpose(1, 2)  # (B, A, N, D)
        key, value = both.permute(2, 0, 3, 1, 4)
        dropout_p = self.dropout_p if self.training else 0.0
        if output_attentions:  # the very ones that are used, so that gradients reach them
            probabilities = F.dropout(attention_probabilities(query, key), dropout_p)
            context = probabilities @ value
        else:
            probabilities, context = None, self.attend(query, key, value, dropout_p)
        return context.transpose(1, 2), probabilities


def apart(tokens: Tensor, axis: str | None) -> Tensor:
    """Tokens grouped by what they attend to: (B, L, S, …) → (B · L, S, …) over space, (B · S, L, …) over time."""
    if axis is None:
        return tokens
    return (tokens.transpose(1, 2) if axis == "time" else tokens).flatten(0, 1)


def together(tokens: Tensor, axis: str | None, groups: int) -> Tensor:
    """The inverse of `apart`. Args: tokens, axis: its result and its axis; groups: L over space, S over time."""
    if axis is None:
        return tokens
    tokens = tokens.unflatten(0, (-1, groups))
    return tokens.transpose(1, 2) if axis == "time" else tokens


class VivitLayer(nn.Module):
    """One pre-norm transformer layer; with the factorization 'self_attention' it has a second attention, over time.

    Args:
        config: of the model.
        axes: of its attention, see `AXES`.
    """

    def __init__(self, config: VivitConfig, axes: Axes = (None,)) -> None:
        super().__init__()
        if config.factorization == "self_attention":
            self.layernorm_time = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
            self.attention_time = VivitAttention(config, ("time",))
            self.order = config.attention_order.split("_")
        self.layernorm_before = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = VivitAttention(config, axes)
        self.layernorm_after = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.intermediate = Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACTIVATION[config.hidden_act]
        self.output = Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def steps(self) -> list[tuple[nn.LayerNorm, VivitAttention]]:
        """Its attentions in their order, each with the LayerNorm before it."""
        over_space = (self.layernorm_before, self.attention)
        if not hasattr(self, "attention_time"):
            return [over_space]
        over_time = (self.layernorm_time, self.attention_time)
        return [over_time if axis == "time" else over_space for axis in self.order]

    def forward(
        self,
        x: Tensor,
        output_attentions: bool = False,
        cls_only: bool = False,
        normed: list[Tensor] | None = None,
        following: nn.LayerNorm | None = None,
    ) -> tuple[Tensor, Tensor | tuple[Tensor, ...] | None]:
        """One layer.

        Args:
            x: (B, N, E), or (B, L, S, E) where attention is over an axis.
            output_attentions: return the probabilities too.
            cls_only: compute the [CLS] tokens alone, from the keys and values of all tokens; without effect on `Int8Linear`.
            normed: a list with this layer's first LayerNorm of x, if the layer before has made it; the layer takes it out, so
                that no caller holds it for longer.
            following: the LayerNorm after this layer, if its result is to be put into `normed`.

        Returns:
            x's shape, with `cls_only` (B, 1, E) or (B, L, 1, E); and the probabilities of `VivitAttention`, of two attentions a
            tuple.
        """
        # An `Int8Linear` rounds a token by what all other tokens hold.
        cls_only = cls_only and not isinstance(self.output, Int8Linear)
        steps = self.steps()
        before = normed.pop() if normed else steps[0][0](x)
        probabilities = []
        for (_, attention), norm in zip(steps, [*(norm for norm, _ in steps[1:]), self.layernorm_after], strict=True):
            attended, some = attention(before, output_attentions, cls_only)
            del before
            x, before = add_norm(x[..., :1, :] if cls_only else x, self.dropout(attended), norm)
            probabilities.append(some)
        found = probabilities[0] if len(steps) == 1 or not output_attentions else tuple(probabilities)
        change = self.dropout(self.output(self._widened(before)))
        del before
        if following is None or normed is None:
            return x + change, found
        x, then = add_norm(x, change, following)
        normed.append(then)
        return x, found

    def _widened(self, x: Tensor) -> Tensor:
        if type(self.intermediate) is Linear and can_fuse(x, self.intermediate, self.activation):
            return linear_gelu(x, self.intermediate.weight, self.intermediate.bias)
        wide: Tensor = self.activation(self.intermediate(x))
        return wide


class VivitTemporalEncoder(nn.Module):
    """What the factorised encoder does with the time steps' [CLS] tokens: positions, one more [CLS], layers of its own."""

    def __init__(self, config: VivitConfig) -> None:
        super().__init__()
        self.steps = config.grid_size[0]
        self.cls_token = nn.Parameter(torch.empty(1, 1, config.hidden_size))
        self.position_embeddings = nn.Parameter(torch.empty(1, self.steps + 1, config.hidden_size))
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.layers = nn.ModuleList(VivitLayer(config) for _ in range(config.num_temporal_layers))
        self.layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def embed(self, x: Tensor) -> Tensor:
        """(B, L, E) → (B, 1 + L, E)."""
        positions = interpolate(self.position_embeddings, (self.steps, 1, 1), (x.shape[1], 1, 1))
        tokens: Tensor = self.dropout(torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1) + positions)
        return tokens


def classified(last_hidden_state: Tensor, has_cls: bool) -> Tensor:
    """What a head sees of (B, N, E): [CLS], or the mean of all tokens where there is none, (B, E)."""
    return last_hidden_state[:, 0] if has_cls else last_hidden_state.mean(1)


class VivitPooler(nn.Module):
    """A linear map and an activation of what a head sees."""

    has_cls = True  # for poolers that were pickled before there was a choice

    def __init__(self, config: VivitConfig) -> None:
        super().__init__()
        self.has_cls = config.has_cls
        self.dense = Linear(config.hidden_size, config.pooler_output_size)
        self.activation = ACTIVATION[config.pooler_act]

    def forward(self, last_hidden_state: Tensor) -> Tensor:
        """(B, N, E) → (B, pooler_output_size)."""
        pooled: Tensor = self.activation(self.dense(classified(last_hidden_state, self.has_cls)))
        return pooled


class VivitModel(VivitPreTrainedModel):
    """The bare transformer.

    Args:
        config: its shape.
        add_pooling_layer: whether there is a pooler on the [CLS] token, or the mean of all tokens where there is none.
        attn_implementation: a key of `vivit.attention.ATTENTION`; 'sdpa' if None.
    """

    # (n, options of torch's `checkpoint`): in training every n-th layer is computed twice.
    checkpointing: tuple[int, dict[str, Any]] | None = None

    def __init__(
        self, config: VivitConfig, add_pooling_layer: bool = True, *, attn_implementation: str | None = "sdpa"
    ) -> None:
        super().__init__()
        self.config = config = config.settled()
        self.embeddings = VivitEmbeddings(config)
        axes = AXES[config.factorization]
        self.layers = nn.ModuleList(VivitLayer(config, axes) for _ in range(config.num_hidden_layers))
        self.layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        if config.factorization == "encoder":
            self.temporal = VivitTemporalEncoder(config)
        self.pooler = VivitPooler(config) if add_pooling_layer else None
        self.set_attn_implementation(attn_implementation)
        self.init_weights()

    @in_its_products
    def forward(
        self,
        pixel_values: Tensor,
        interpolate_pos_encoding: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        cls_only: bool = False,
    ) -> VivitOutput | tuple[Any, ...]:
        """Clips → tokens.

        Args:
            pixel_values: (B, T, C, H, W), floating point, as `VivitImageProcessor` returns them.
            interpolate_pos_encoding: admit other sizes than the trained one, by trilinear interpolation of the position
                embeddings over time, height and width.
            output_attentions: return attention probabilities; only the eager backend has them. In training they are those
                after dropout.
            output_hidden_states: return the embeddings and every layer's output.
            return_dict: False for a tuple of the fields that are not None. It and the two above follow the config if None.
            cls_only: compute [CLS] alone in the last layer, which is all that a classification needs, where there is a [CLS]
                and neither attentions nor hidden states are asked for. The last hidden state is then (B, 1, E), except in
                'int8-bitsandbytes'. The factorised encoder's last layer over space always does so, since only [CLS] is used.

        Raises:
            ValueError: for a wrong shape, or attentions asked of another backend than eager.
            vivit.errors.AttentionUnavailable: if the backend cannot run here.
        """
        config = self.config
        output_attentions = config.output_attentions if output_attentions is None else output_attentions
        output_hidden_states = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return_dict = config.return_dict if return_dict is None else return_dict
        if output_attentions and self.attn_implementation != "eager":
            raise ValueError(
                f"'{self.attn_implementation}' never holds the attention probabilities; "
                "load the model with attn_implementation='eager' for output_attentions"
            )
        asked = output_attentions or output_hidden_states
        hidden_states: list[Tensor] | None = [] if output_hidden_states else None  # None: no layer's output is kept
        attentions: list[Tensor] | None = [] if output_attentions else None
        first_alone = config.has_cls and not asked and (cls_only or config.factorization == "encoder")
        kept = (hidden_states, attentions)
        embed = partial(self.embeddings, pixel_values.to(self.dtype), interpolate_pos_encoding)
        x = self._encode(embed, self.layers, self.layernorm, first_alone, *kept)
        if config.factorization == "encoder":
            last, last_alone = self.temporal, cls_only and not asked
            x = self._encode(partial(last.embed, x[:, :, 0]), last.layers, last.layernorm, last_alone, *kept)
        elif config.factorization != "none":
            x = x.flatten(1, 2)
            hidden_states = hidden_states and [states.flatten(1, 2) for states in hidden_states]
        output = VivitOutput(
            last_hidden_state=x,
            pooler_output=None if self.pooler is None else self.pooler(x),
            hidden_states=None if hidden_states is None else tuple(hidden_states),
            attentions=None if attentions is None else tuple(attentions),
        )
        return output if return_dict else output.to_tuple()

    def encoder_layers(self) -> list[nn.Module]:
        """All layers in the order in which they are run."""
        return [*self.layers, *(self.temporal.layers if hasattr(self, "temporal") else ())]

    def _encode(
        self,
        embed: Callable[[], Tensor],
        layers: nn.ModuleList,
        layernorm: nn.LayerNorm,
        cls_only: bool,
        hidden_states: list[Tensor] | None,
        attentions: list[Tensor] | None,
    ) -> Tensor:
        """Tokens, through some layers and the LayerNorm after them.

        Args:
            embed: makes the tokens; here, so that no caller holds them for longer than the first layer does.
            hidden_states, attentions: lists to append to, or None.
        """
        x = embed()
        if hidden_states is not None:
            hidden_states.append(x)
        output_attentions = attentions is not None
        training = self.training and torch.is_grad_enabled()
        every, options = self.checkpointing if self.checkpointing and training else (0, {})
        normed: list[Tensor] = []  # the next LayerNorm's result, where it is made together with the sum before it
        for number, layer in enumerate(layers):
            ours = isinstance(layer, VivitLayer)  # another's layer need not take more than two arguments
            more = [cls_only and number == len(layers) - 1] if ours else []
            if every and number % every == 0:
                x, probabilities = checkpoint(layer, x, output_attentions, *more, **options)
            else:
                chained = (normed, _following(layers, number, layernorm, x)) if ours else ()
                x, probabilities = layer(x, output_attentions, *more, *chained)
            if hidden_states is not None:
                hidden_states.append(x)
            if attentions is not None:
                attentions.append(probabilities)
        return normed.pop() if normed else layernorm(x)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Rename what has transformers' names, then load as every module does. PyTorch calls this before the layers' own."""
        to_own_names(state_dict, prefix, {prefix + name for name in self.state_dict(keep_vars=True)})
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _following(layers: nn.ModuleList, number: int, layernorm: nn.LayerNorm, x: Tensor) -> nn.LayerNorm | None:
    """The LayerNorm after a layer, if one kernel may make it with the layer's last sum: not where a hook could change it."""
    if not one_kernel_pays(x) or any(type(k) is not VivitLayer or hooked(k) for k in layers[number : number + 2]):
        return None
    return cast(VivitLayer, layers[number + 1]).steps()[0][0] if number + 1 < len(layers) else layernorm


def head_features(model: VivitModel, pixel_values: Tensor, interpolate_pos_encoding: bool) -> Tensor:
    """What a head sees: [CLS] after the final LayerNorm, or the mean of the tokens, (B, E)."""
    found = model(pixel_values, interpolate_pos_encoding, False, False, True, cls_only=True)
    return classified(found.last_hidden_state, model.config.has_cls)


cls_features = head_features  # its name in models that were pickled whole before there were means of tokens


class VivitForVideoClassification(VivitPreTrainedModel):
    """The transformer with a linear head on its [CLS] token, or on the mean of its tokens where there is none."""

    def __init__(self, config: VivitConfig, *, attn_implementation: str | None = "sdpa") -> None:
        super().__init__()
        self.config = config = config.settled()
        self.vivit = VivitModel(config, attn_implementation=attn_implementation, add_pooling_layer=False)
        self.attn_implementation = self.vivit.attn_implementation
        self.classifier = Linear(config.hidden_size, config.num_labels)
        self.executions = {}
        self.classifier.apply(self.init_module)

    @classmethod
    def from_image_model(
        cls,
        vit_checkpoint: str | Path,
        config: VivitConfig,
        *,
        tubelets: str = "central_frame",
        temporal: str = "zero",
        attn_implementation: str | None = "sdpa",
        dtype: str | torch.dtype | None = None,
        device: str | torch.device | None = None,
        **options: Any,
    ) -> Self:
        """A model to train, in evaluation mode, that begins with the weights of a ViT for images.

        Layers, LayerNorms and [CLS] are the ViT's; its positions are repeated over time, and interpolated where the config has
        another image size. The classification head is new, with random weights; a warning says so, and what of the ViT was not
        used. Another warning tells of another `hidden_act` or `layer_norm_eps` (transformers' ViTs have 'gelu' and 1e-12).

        Args:
            vit_checkpoint: a folder or a Hub repository, 'google/vit-base-patch16-224' for instance.
            config: of the ViViT; width, heads, MLP, layers, channels and `qkv_bias` must be the ViT's, and the tubelets as high
                and wide as its patches.
            tubelets: 'central_frame' for a tubelet that begins as the picture tubelet_size[0] // 2 of it, counted from 0,
                'average' for the mean of its pictures.
            temporal: 'zero' for attention over time that changes nothing at first, 'fresh' for random weights. Of model 2's
                temporal encoder 'zero' makes the mean over time; models 1 and 4 have no weights for time alone, and it
                changes nothing. See `vivit.checkpoint.image_model.begin_over_time`.
            attn_implementation: a key of `vivit.attention.ATTENTION`; 'sdpa' if None.
            dtype: a key of `vivit.names.PRECISIONS`, or a torch dtype of the same name; float32 if None.
            device: where to put the weights; the CPU if None.
            options: of `vivit.hub.HubOptions`: revision, token, cache_dir and others.

        Raises:
            vivit.hub.HubError: if there is no such checkpoint.
            vivit.errors.UserError: if it is no ViT, does not fit the config, or is damaged; or for a precision that the device
                does not have.
            ValueError: for an unknown option, choice, backend or precision.

        Source: Arnab et al. 2021, section 3.4.
        """
        check_choices(tubelets, temporal)
        where, others = split_options(options)
        refuse_unknown(others, OPTION_NAMES, signature(cls.from_image_model).parameters.keys() - {"options"})
        attention, precision, place = (
            attn_implementation or "sdpa",
            get_precision(dtype or "float32"),
            one_device(device),
        )
        get_attention(attention)
        refuse(precision, place)
        folder = locate(vit_checkpoint, where)[1]
        with torch.device(place):
            model = cls(config)
        copy_image_model(folder, where, model, tubelets=tubelets, temporal=temporal)
        model.set_attn_implementation(attention)
        return set_precision(model.eval(), precision)

    @in_its_products
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        interpolate_pos_encoding: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> VideoClassifierOutput | tuple[Any, ...]:
        """Clips → logits.

        Args:
            pixel_values: (B, T, C, H, W), floating point, as `VivitImageProcessor` returns them.
            labels: (B,) class indices; or (B, num_labels) in [0, 1] for several labels a clip; or numbers to regress to,
                (B,) for a model with one label. Which it is follows `config.problem_type` where that is set.
            interpolate_pos_encoding, output_attentions, output_hidden_states, return_dict: as `VivitModel.forward` takes them.

        Raises:
            ValueError: as `VivitModel.forward`; and for attentions or hidden states of a model whose execution is not 'plain'.
            vivit.errors.AttentionUnavailable, vivit.execution.ExecutionUnavailable: if the backend or the execution cannot run.
        """
        config = self.config
        output_attentions = config.output_attentions if output_attentions is None else output_attentions
        output_hidden_states = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        found = VivitOutput()
        if output_attentions or output_hidden_states:
            if self.execution != "plain":
                raise ValueError(
                    f"'{self.execution}' gives the logits alone; load the model with execution='plain' for output_attentions "
                    "and output_hidden_states"
                )
            found = self.vivit(
                pixel_values,
                interpolate_pos_encoding=interpolate_pos_encoding,
                output_attentions=output_attentions,
                output_hidden_states=output_hidden_states,
                return_dict=True,
            )
            features = classified(found.last_hidden_state, config.has_cls)
        else:
            features = self.features(pixel_values, interpolate_pos_encoding=interpolate_pos_encoding)
        logits = self.classifier(features)
        output = VideoClassifierOutput(
            loss=None if labels is None else self._loss(logits, labels),
            logits=logits,
            hidden_states=found.hidden_states,
            attentions=found.attentions,
        )
        return output if (config.return_dict if return_dict is None else return_dict) else output.to_tuple()

    @in_its_products
    def features(self, pixel_values: Tensor, *, interpolate_pos_encoding: bool = False) -> Tensor:
        """What the head sees, (B, E), `classifier(features)` being the logits: [CLS] after the last LayerNorm, or the mean."""
        if self.execution == "plain":
            return head_features(self.vivit, pixel_values, interpolate_pos_encoding)
        self.vivit.embeddings.grid(pixel_values, interpolate_pos_encoding)  # a compiler would swallow its errors
        made = (self.vivit.attn_implementation, self.execution)
        run = self.executions.setdefault(made, Execution(self.execution, head_features))
        return run(self.vivit, pixel_values, interpolate_pos_encoding)

    def set_execution(self, name: str) -> None:
        if reason := why_not(get_execution(name), self.device.type):
            raise ExecutionUnavailable(reason)
        self.execution = name
        self.executions.pop((self.vivit.attn_implementation, name), None)

    set_execution.__doc__ = VivitPreTrainedModel.set_execution.__doc__

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        several = "multi_label" if labels.is_floating_point() else "single_label"
        kind = self.config.problem_type or ("regression" if self.config.num_labels == 1 else several)
        if kind == "regression":
            return F.mse_loss(logits.view(labels.shape), labels.to(logits.dtype))
        if kind.startswith("multi_label"):
            return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        return F.cross_entropy(logits, labels.view(-1))
