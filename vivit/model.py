"""ViViT, model 1 of Arnab et al. 2021 (arXiv:2103.15691): spatio-temporal attention over tubelets.

Letters: B clips, T frames, C channels, H × W pixels, N tokens, E hidden size, A heads, D width of one head.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from vivit.attention import attention_probabilities, get_attention
from vivit.checkpoint.files import write_tensors
from vivit.checkpoint.layout import HEAD, POOLER, published_tensors, read_into, to_own_names
from vivit.config import VivitConfig
from vivit.errors import UserError
from vivit.hub import HEADLESS, called, find_checkpoint
from vivit.linear import linear
from vivit.outputs import VideoClassifierOutput, VivitOutput
from vivit.precision import one_precision, set_precision

ACTIVATION = {
    "gelu": nn.GELU(),
    "gelu_fast": nn.GELU(approximate="tanh"),
    "gelu_new": nn.GELU(approximate="tanh"),
    "gelu_pytorch_tanh": nn.GELU(approximate="tanh"),
    "relu": nn.ReLU(),
    "silu": nn.SiLU(),
    "tanh": nn.Tanh(),
}


class Linear(nn.Linear):
    """A linear layer that computes in its input's dtype, whatever its weights are kept in ('float16-weights')."""

    product: Callable[..., Tensor] = staticmethod(linear)

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return self.product(x, self.weight.to(x.dtype), bias)


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

    def forward(self, pixel_values: Tensor, interpolate_pos_encoding: bool) -> Tensor:
        grid = self._grid(pixel_values, interpolate_pos_encoding)
        # B T C H W → B (grid) (C and one tubelet's time, height, width), the order of a convolution's weights
        tubelets = pixel_values.unflatten(1, (grid[0], -1)).unflatten(4, (grid[1], -1)).unflatten(6, (grid[2], -1))
        tubelets = tubelets.permute(0, 1, 4, 6, 3, 2, 5, 7).flatten(4).flatten(1, 3)
        tokens = self.projection(tubelets)  # (B, N - 1, E)
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)  # (B, N, E)
        return self.dropout(tokens + self._positions(grid))

    def _grid(self, pixel_values: Tensor, any_size: bool) -> tuple[int, int, int]:
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
        stored = self.position_embeddings[:, 1:].unflatten(1, self.config.grid_size).movedim(-1, 1)  # (1, E, t, h, w)
        resized = F.interpolate(stored.float(), size=grid, mode="trilinear", align_corners=False).to(stored.dtype)
        return torch.cat([self.position_embeddings[:, :1], resized.flatten(2).mT], dim=1)


class VivitAttention(nn.Module):
    """Multi-head self-attention with query, key and value in one product."""

    def __init__(self, config: VivitConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.dropout_p = config.attention_probs_dropout_prob
        self.qkv = Linear(config.hidden_size, 3 * config.hidden_size, bias=config.qkv_bias)
        self.output = Linear(config.hidden_size, config.hidden_size)
        self.attend = get_attention("sdpa")

    def forward(self, x: Tensor, output_attentions: bool) -> tuple[Tensor, Tensor | None]:
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # 3 × (B, A, N, D)
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

    def forward(self, x: Tensor, output_attentions: bool = False) -> tuple[Tensor, Tensor | None]:
        attended, probabilities = self.attention(self.layernorm_before(x), output_attentions)
        x = x + self.dropout(attended)
        x = x + self.dropout(self.output(self.activation(self.intermediate(self.layernorm_after(x)))))
        return x, probabilities


class VivitPooler(nn.Module):
    """A linear map and an activation of the [CLS] token."""

    def __init__(self, config: VivitConfig) -> None:
        super().__init__()
        self.dense = Linear(config.hidden_size, config.pooler_output_size)
        self.activation = ACTIVATION[config.pooler_act]

    def forward(self, last_hidden_state: Tensor) -> Tensor:
        return self.activation(self.dense(last_hidden_state[:, 0]))


class PreTrainedVivit(nn.Module):
    """What both models share: their attention backend, and how they are read and written."""

    base_model_prefix = "vivit"
    main_input_name = "pixel_values"
    config_class = VivitConfig
    supports_gradient_checkpointing = True

    config: VivitConfig
    attn_implementation: str
    pooler: "VivitPooler | None"

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.config.settle()  # a copy of a model has a copy of its config

    @property
    def base_model(self) -> "VivitModel":
        """The transformer without a head."""
        return getattr(self, self.base_model_prefix, self)  # type: ignore[arg-type]

    @property
    def num_labels(self) -> int:
        """Classes of the classification head."""
        return self.config.num_labels

    def get_input_embeddings(self) -> nn.Module:
        """The linear map of tubelets to tokens."""
        return self.base_model.embeddings.projection

    def num_parameters(self, only_trainable: bool = False) -> int:
        """How many numbers the weights are; only_trainable: without those that are frozen."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad or not only_trainable)

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: dict[str, Any] | None = None) -> None:
        """In training compute every layer a second time on the way back, instead of keeping what it held.

        Args:
            gradient_checkpointing_kwargs: of `torch.utils.checkpoint.checkpoint`, use_reentrant=False if None.
        """
        self.base_model.gradient_checkpointing = True
        self.base_model.checkpointing_options = {"use_reentrant": False} | (gradient_checkpointing_kwargs or {})

    def gradient_checkpointing_disable(self) -> None:
        """Keep what the layers hold in training, as at first."""
        self.base_model.gradient_checkpointing = False

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Whether layers are computed a second time on the way back."""
        return self.base_model.gradient_checkpointing

    def set_attn_implementation(self, name: str) -> None:
        """Choose the attention backend of every layer, a key of `vivit.attention.ATTENTION`.

        Raises:
            ValueError: for an unknown name.
        """
        attend = get_attention(name)
        self.attn_implementation = name
        for module in self.modules():
            if isinstance(module, VivitAttention):
                module.attend = attend
            elif isinstance(module, VivitModel):
                module.attn_implementation = name

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype the model computes in; input of another dtype is converted to it."""
        return next(m.weight.dtype for m in self.modules() if isinstance(m, nn.LayerNorm))

    def init_weights(self) -> None:
        """Random weights: normal with `initializer_range`, biases 0, LayerNorms the identity."""
        self.apply(self._init)

    def _init(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()
        elif isinstance(module, VivitEmbeddings):
            nn.init.normal_(module.position_embeddings, std=self.config.initializer_range)
            nn.init.zeros_(module.cls_token)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        config: VivitConfig | None = None,
        attn_implementation: str = "sdpa",
        dtype: str | torch.dtype | None = None,
        torch_dtype: str | torch.dtype | None = None,
        device: str | torch.device = "cpu",
        revision: str | None = None,
        ignore_mismatched_sizes: bool = False,
        **config_changes: Any,
    ) -> Self:
        """Load a checkpoint in evaluation mode, tensor by tensor, so that no second copy of it is ever held.

        Args:
            name: a folder, an embedded checkpoint, or a Hub repository (see `vivit.hub.find_checkpoint`).
            config: use this instead of the checkpoint's `config.json`.
            attn_implementation: a key of `vivit.attention.ATTENTION`.
            dtype: a key of `vivit.names.PRECISIONS`, or a torch dtype of the same name; float32 if None.
            torch_dtype: the older spelling of `dtype`.
            device: where to put the weights.
            revision: for a Hub repository: a branch, a tag or a commit.
            ignore_mismatched_sizes: give a classification head that is missing or of another size new random weights.
            config_changes: fields of the config to replace, `num_labels` for instance.
        Returns:
            A model with every weight loaded. `VivitModel` has a pooler only if the checkpoint does.
        Raises:
            vivit.hub.HubError: if there is no such checkpoint.
            vivit.errors.UserError: if tensors are missing, left over or of another shape; they are listed.
            ValueError: for an impossible config, an unknown backend or precision, or options that contradict each other.
        """
        if config and config_changes:
            names = ", ".join(config_changes)
            raise ValueError(f"config is given, so {names} would be ignored; leave config out, or change it there")
        precision = one_precision(dtype, torch_dtype)
        folder = find_checkpoint(name, revision=revision)
        config = config or VivitConfig.from_folder(folder, **config_changes)
        with torch.device("meta"):
            model = cls(config, attn_implementation=attn_implementation)
        set_precision(model, precision).to_empty(device=device)
        model.load_tensors(folder, ignore_mismatched_sizes=ignore_mismatched_sizes)
        return model.eval()

    @torch.no_grad()
    def load_tensors(self, folder: Path, *, ignore_mismatched_sizes: bool = False) -> None:
        """Copy a checkpoint's tensors into this model, on its device and in its precision.

        A whole pooler is dropped where only one side has it, a whole head where the model has none. Arguments and errors as
        `from_pretrained`'s.
        """
        found = read_into(published_tensors(self), folder)

        def of_kind(*kinds: str) -> set[str]:
            return {misfit.name for misfit in found if misfit.kind in kinds}

        settled = set().union(*(part for part in (POOLER, HEAD) if part <= of_kind("unexpected")))
        if of_kind("missing") >= POOLER:
            self.pooler = None
            settled |= POOLER
        head = HEAD & of_kind("missing", "of another shape")
        if head and ignore_mismatched_sizes:
            self.get_submodule("classifier").apply(self._init)
            settled |= head
        found = [misfit for misfit in found if misfit.kind == "there twice" or misfit.name not in settled]
        if not found:
            return
        firsts = {misfit.kind: misfit.text for misfit in reversed(found)}
        counts = ", ".join(
            f"{n} {kind} ({firsts[kind]}{', …' if n > 1 else ''})"
            for kind, n in Counter(misfit.kind for misfit in found).items()
        )
        sentence = (
            f"The checkpoint '{called(folder)}' does not fit the model of its config.json: tensors {counts}. Choose one that "
            "holds every tensor once, as that file describes them."
        )
        advice = ""
        if all(misfit.name in head and misfit.kind != "there twice" for misfit in found):
            if of_kind("missing") == HEAD:
                sentence = f"The checkpoint {HEADLESS}"
            # Not in the first line, which is all that someone without Python is shown.
            advice = "\nPass ignore_mismatched_sizes=True to give the classification head new random weights."
        details = "\n".join(f"{misfit.kind}: {misfit.text}" for misfit in found)
        raise UserError(f"{sentence}\n{details}{advice}", details)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json` and `model.safetensors`, in the names that transformers 4 and 5 read.

        The config says the dtype that holds every tensor without loss: float32 for 'float16-weights'.
        """
        dtype = reduce(torch.promote_types, (p.dtype for p in self.parameters()))
        # What was read may say the dtype in its older spelling.
        extra = {k: v for k, v in self.config.extra.items() if k != "torch_dtype"}
        extra |= {"architectures": [type(self).__name__], "dtype": str(dtype).removeprefix("torch.")}
        replace(self.config, extra=extra).save_pretrained(folder)
        tensors = published_tensors(self)
        prefix = "vivit." if HEAD & tensors.keys() else ""
        write_tensors(folder, {name if name in HEAD else prefix + name: t for name, t in tensors.items()})


class VivitModel(PreTrainedVivit):
    """The bare transformer.

    Args:
        config: its shape.
        attn_implementation: a key of `vivit.attention.ATTENTION`.
        add_pooling_layer: whether there is a pooler on the [CLS] token.
    """

    def __init__(
        self, config: VivitConfig, *, attn_implementation: str = "sdpa", add_pooling_layer: bool = True
    ) -> None:
        super().__init__()
        self.config = config
        self.embeddings = VivitEmbeddings(config)
        self.layers = nn.ModuleList(VivitLayer(config) for _ in range(config.num_hidden_layers))
        self.layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.pooler = VivitPooler(config) if add_pooling_layer else None
        self.gradient_checkpointing = False
        self.checkpointing_options: dict[str, Any] = {}
        self.set_attn_implementation(attn_implementation)
        self.init_weights()
        config.settle()

    def forward(
        self,
        pixel_values: Tensor,
        *,
        interpolate_pos_encoding: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
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
        x = self.embeddings(pixel_values.to(self.dtype), interpolate_pos_encoding)
        hidden_states = [x] if output_hidden_states else []  # else nothing is held for longer than it is needed
        attentions = []
        again = self.gradient_checkpointing and self.training and torch.is_grad_enabled()
        for layer in self.layers:
            if again:
                x, probabilities = checkpoint(layer, x, output_attentions, **self.checkpointing_options)
            else:
                x, probabilities = layer(x, output_attentions)
            if output_hidden_states:
                hidden_states.append(x)
            if output_attentions:
                attentions.append(probabilities)
        last = self.layernorm(x)
        output = VivitOutput(
            last_hidden_state=last,
            pooler_output=None if self.pooler is None else self.pooler(last),
            hidden_states=tuple(hidden_states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )
        return output if return_dict else output.to_tuple()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """As every module's, of transformers' names too: PyTorch calls it on the way to the layers."""
        to_own_names(state_dict, prefix, {prefix + name for name in self.state_dict()})
        super()._load_from_state_dict(state_dict, prefix, *rest)


class VivitForVideoClassification(PreTrainedVivit):
    """The transformer with a linear head on its [CLS] token."""

    def __init__(self, config: VivitConfig, *, attn_implementation: str = "sdpa") -> None:
        super().__init__()
        self.config = config
        self.vivit = VivitModel(config, attn_implementation=attn_implementation, add_pooling_layer=False)
        self.attn_implementation = attn_implementation
        self.classifier = Linear(config.hidden_size, config.num_labels)
        self.classifier.apply(self._init)

    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        *,
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
        found = self.vivit(
            pixel_values,
            interpolate_pos_encoding=interpolate_pos_encoding,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        logits = self.classifier(found.last_hidden_state[:, 0])
        output = VideoClassifierOutput(
            loss=None if labels is None else self._loss(logits, labels),
            logits=logits,
            hidden_states=found.hidden_states,
            attentions=found.attentions,
        )
        return output if (self.config.return_dict if return_dict is None else return_dict) else output.to_tuple()

    def features(self, pixel_values: Tensor, *, interpolate_pos_encoding: bool = False) -> Tensor:
        """What the head sees, `classifier(features)` being the logits: [CLS] after the final LayerNorm, (B, E)."""
        found = self.vivit(pixel_values, interpolate_pos_encoding=interpolate_pos_encoding, return_dict=True)
        return found.last_hidden_state[:, 0]

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        several = "multi_label" if labels.is_floating_point() else "single_label"
        kind = self.config.problem_type or ("regression" if self.config.num_labels == 1 else several)
        if kind == "regression":
            return F.mse_loss(logits.view(labels.shape), labels.to(logits.dtype))
        if kind.startswith("multi_label"):
            return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        return F.cross_entropy(logits, labels.view(-1))
