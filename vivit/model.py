"""ViViT, model 1 of Arnab et al. 2021 (arXiv:2103.15691): spatio-temporal attention over tubelets.

Letters: B clips, T frames, C channels, H × W pixels, N tokens, E hidden size, A heads, D width of one head.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from vivit.attention import attention_probabilities, get_attention
from vivit.checkpoint.layout import to_own_names
from vivit.config import TANH_GELUS, VivitConfig
from vivit.eight_bit import Int8Linear
from vivit.execution import Execution, ExecutionUnavailable, get_execution, why_not
from vivit.fused import add_norm, can_fuse, hooked, linear_gelu, one_kernel_pays, own_hooks
from vivit.linear import linear
from vivit.outputs import VideoClassifierOutput, VivitOutput
from vivit.positions import interpolate
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


class Linear(nn.Linear):
    """A linear layer that computes in its input's dtype, whatever its weights are kept in ('float16-weights')."""

    product: Callable[..., Tensor] = staticmethod(linear)

    def forward(self, x: Tensor, rows: slice = ALL) -> Tensor:
        """(…, I) → (…, O). Args: rows: of the weight, for a part of the outputs alone."""
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
        self.projection.product = F.linear  # the error of this one goes through every layer, and MKL's is a quarter
        self.cls_token = nn.Parameter(torch.empty(1, 1, config.hidden_size))
        self.position_embeddings = nn.Parameter(torch.empty(1, config.num_tokens, config.hidden_size))
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, pixel_values: Tensor, interpolate_pos_encoding: bool = False) -> Tensor:
        grid = self.grid(pixel_values, interpolate_pos_encoding)
        # B T C H W → B (grid) (C and one tubelet's time, height, width), the order of a convolution's weights
        tubelets = pixel_values.unflatten(1, (grid[0], -1)).unflatten(4, (grid[1], -1)).unflatten(6, (grid[2], -1))
        tubelets = tubelets.permute(0, 1, 4, 6, 3, 2, 5, 7).flatten(4).flatten(1, 3)
        tokens = self.projection(tubelets)  # (B, N - 1, E)
        tokens = torch.cat([self.cls_token.expand(pixel_values.shape[0], -1, -1), tokens], dim=1)  # (B, N, E)
        return self.dropout(tokens + self._positions(grid))

    def grid(self, pixel_values: Tensor, any_size: bool) -> tuple[int, int, int]:
        """How many tubelets there are in time, height and width. Raises ValueError for clips of a wrong shape."""
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
        """Position embeddings for any (time, height, width) of tubelets: (1, N, E), the stored ones at the trained size."""
        if grid == self.config.grid_size:
            return self.position_embeddings
        return interpolate(self.position_embeddings, self.config.grid_size, grid)


class VivitAttention(nn.Module):
    """Multi-head self-attention with query, key and value in one product."""

    def __init__(self, config: VivitConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.dropout_p = config.attention_probs_dropout_prob
        self.qkv = Linear(config.hidden_size, 3 * config.hidden_size, bias=config.qkv_bias)
        self.output = Linear(config.hidden_size, config.hidden_size)
        self.attend = get_attention("sdpa")

    def forward(
        self, x: Tensor, output_attentions: bool = False, cls_only: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        if cls_only and type(self.qkv) is Linear and not own_hooks(self.qkv):
            heads = self.qkv.out_features // 3
            query = self.qkv(x[:, :1], slice(heads)).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, A, 1, D)
            key, value = self.qkv(x, slice(heads, None)).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        else:
            # 3 × (B, A, N, D)
            query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            query = query[:, :, :1] if cls_only else query
        dropout_p = self.dropout_p if self.training else 0.0
        if output_attentions:  # the very ones that are used, so that gradients reach them
            probabilities = F.dropout(attention_probabilities(query, key), dropout_p)
            context = probabilities @ value
        else:
            probabilities, context = None, self.attend(query, key, value, dropout_p)
        return self.output(context.transpose(1, 2).flatten(2)), probabilities  # (B, N, E)


class VivitLayer(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, config: VivitConfig) -> None:
        super().__init__()
        self.layernorm_before = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = VivitAttention(config)
        self.layernorm_after = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.intermediate = Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACTIVATION[config.hidden_act]
        self.output = Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self,
        x: Tensor,
        output_attentions: bool = False,
        cls_only: bool = False,
        normed: list[Tensor] | None = None,
        following: nn.LayerNorm | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """One layer.

        Args:
            x: (B, N, E).
            output_attentions: return the probabilities too.
            cls_only: compute [CLS] alone, of the keys and values of all tokens.
            normed: its `layernorm_before` of x, if that is known, which is taken out, so that nobody holds it for longer.
            following: the LayerNorm that comes next, whose result is then put there.
        Returns:
            (B, N, E), or (B, 1, E), and (B, A, N, N) if asked for.
        """
        cls_only = cls_only and not isinstance(self.output, Int8Linear)  # which rounds a token by what all others hold
        before = normed.pop() if normed else self.layernorm_before(x)
        attended, probabilities = self.attention(before, output_attentions, cls_only)
        del before
        x, after = add_norm(x[:, :1] if cls_only else x, self.dropout(attended), self.layernorm_after)
        change = self.dropout(self.output(self._widened(after)))
        del after
        if following is None or normed is None:
            return x + change, probabilities
        x, then = add_norm(x, change, following)
        normed.append(then)
        return x, probabilities

    def _widened(self, x: Tensor) -> Tensor:
        if type(self.intermediate) is Linear and can_fuse(x, self.intermediate, self.activation):
            return linear_gelu(x, self.intermediate.weight, self.intermediate.bias)
        return self.activation(self.intermediate(x))


class VivitPooler(nn.Module):
    """A linear map and an activation of the [CLS] token."""

    def __init__(self, config: VivitConfig) -> None:
        super().__init__()
        self.dense = Linear(config.hidden_size, config.pooler_output_size)
        self.activation = ACTIVATION[config.pooler_act]

    def forward(self, last_hidden_state: Tensor) -> Tensor:
        return self.activation(self.dense(last_hidden_state[:, 0]))


class VivitModel(VivitPreTrainedModel):
    """The bare transformer.

    Args:
        config: its shape.
        add_pooling_layer: whether there is a pooler on the [CLS] token.
        attn_implementation: a key of `vivit.attention.ATTENTION`; 'sdpa' if None.
    """

    checkpointing: tuple[int, dict[str, Any]] | None = (
        None  # of how many layers one is computed twice, and torch's options
    )

    def __init__(
        self, config: VivitConfig, add_pooling_layer: bool = True, *, attn_implementation: str | None = "sdpa"
    ) -> None:
        super().__init__()
        self.config = config = config.settled()
        self.embeddings = VivitEmbeddings(config)
        self.layers = nn.ModuleList(VivitLayer(config) for _ in range(config.num_hidden_layers))
        self.layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.pooler = VivitPooler(config) if add_pooling_layer else None
        self.checkpointing: tuple[int, dict[str, Any]] | None = (
            None  # which layers to compute twice, and torch's options
        )
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
            return_dict: False for a tuple of what there is. The three follow the config where they are None.
            cls_only: where neither of the two is asked for compute [CLS] alone in the last layer, which is all that a
                classification needs of it: the last hidden state is then (B, 1, E), but not in 8 bit.
        Raises:
            ValueError: for a wrong shape, or attentions asked of another backend than eager.
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
        cls_only = cls_only and not (output_attentions or output_hidden_states)
        x = self.embeddings(pixel_values.to(self.dtype), interpolate_pos_encoding)
        hidden_states = [x] if output_hidden_states else []  # else nothing is held for longer than it is needed
        attentions = []
        training = self.training and torch.is_grad_enabled()
        every, options = self.checkpointing if self.checkpointing and training else (0, {})
        normed: list[Tensor] = []  # the LayerNorm that comes next, where it is made together with the sum before it
        for number, layer in enumerate(self.layers):
            ours = isinstance(layer, VivitLayer)  # one that somebody has put in need not know more than the first two
            more = [cls_only and number == len(self.layers) - 1] if ours else []
            if every and number % every == 0:
                x, probabilities = checkpoint(layer, x, output_attentions, *more, **options)
            else:
                chained = (normed, self._following(number, x)) if ours else ()
                x, probabilities = layer(x, output_attentions, *more, *chained)
            if output_hidden_states:
                hidden_states.append(x)
            if output_attentions:
                attentions.append(probabilities)
        x = normed.pop() if normed else self.layernorm(x)
        output = VivitOutput(
            last_hidden_state=x,
            pooler_output=None if self.pooler is None else self.pooler(x),
            hidden_states=tuple(hidden_states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )
        return output if return_dict else output.to_tuple()

    def _following(self, number: int, x: Tensor) -> nn.LayerNorm | None:
        """The LayerNorm after a layer, if one kernel may make it with the layer's last sum, which nobody looks at."""
        if not one_kernel_pays(x) or any(
            type(k) is not VivitLayer or hooked(k) for k in self.layers[number : number + 2]
        ):
            return None
        layers = cast(Sequence[VivitLayer], self.layers)
        return layers[number + 1].layernorm_before if number + 1 < len(layers) else self.layernorm

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """As every module's, of transformers' names too: PyTorch calls it on the way to the layers."""
        to_own_names(state_dict, prefix, {prefix + name for name in self.state_dict(keep_vars=True)})
        super()._load_from_state_dict(state_dict, prefix, *rest)


def cls_features(model: VivitModel, pixel_values: Tensor, interpolate_pos_encoding: bool) -> Tensor:
    """[CLS] after the final LayerNorm, (B, E)."""
    found = model(pixel_values, interpolate_pos_encoding, False, False, True, cls_only=True)
    return found.last_hidden_state[:, 0]


class VivitForVideoClassification(VivitPreTrainedModel):
    """The transformer with a linear head on its [CLS] token."""

    def __init__(self, config: VivitConfig, *, attn_implementation: str | None = "sdpa") -> None:
        super().__init__()
        self.config = config = config.settled()
        self.vivit = VivitModel(config, attn_implementation=attn_implementation, add_pooling_layer=False)
        self.attn_implementation = self.vivit.attn_implementation
        self.classifier = Linear(config.hidden_size, config.num_labels)
        self.executions = {}
        self.classifier.apply(self._init)

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
            features = found.last_hidden_state[:, 0]
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
        """What the head sees, `classifier(features)` being the logits: [CLS] after the final LayerNorm, (B, E)."""
        if self.execution == "plain":
            return cls_features(self.vivit, pixel_values, interpolate_pos_encoding)
        self.vivit.embeddings.grid(pixel_values, interpolate_pos_encoding)  # whose errors a compiler would swallow
        made = (self.vivit.attn_implementation, self.execution)
        run = self.executions.setdefault(made, Execution(self.execution, cls_features))
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
