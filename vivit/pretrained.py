"""What models share beside their layers: how they are read and written, and the calls that training and tools make."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import reduce
from inspect import signature
from pathlib import Path
from typing import Any, Literal, Self, cast, overload

import torch
from torch import Tensor, nn

from vivit.attention import get_attention
from vivit.checkpoint.files import dequantised, write_tensors
from vivit.checkpoint.layout import (
    SCALES,
    Misfit,
    published_tensors,
)
from vivit.checkpoint.stated import choose_precision
from vivit.compiling import missing_compiler
from vivit.config import VivitConfig
from vivit.device import one_device
from vivit.eight_bit import EightBit, asked_for, settings
from vivit.errors import UserError, nearest, refuse_unknown
from vivit.execution import Execution, ExecutionUnavailable, get_execution, why_not
from vivit.hub import OPTION_NAMES, USUAL, HubOptions, locate, split_options
from vivit.loading import load_tensors
from vivit.precision import (
    EIGHT_BIT,
    compute_dtype,
    get_precision,
    one_precision,
    quantiser,
    refuse,
    set_precision,
)
from vivit.tf32 import inside_products_of

# What transformers' `save_pretrained` takes → the value that asks for what is done here; None for what asks for nothing.
SAVED_ANYWAY = {
    "safe_serialization": True,
    "push_to_hub": False,
    "max_shard_size": None,  # a model is one file, whatever its size
    "save_function": None,
}
CONFIG_FIELDS = frozenset(f.name for f in fields(VivitConfig)) - {"extra"}


class VivitPreTrainedModel(nn.Module):
    """A model that is read from and written to the files of a checkpoint."""

    base_model_prefix = "vivit"
    main_input_name = "pixel_values"
    config_class = VivitConfig
    supports_gradient_checkpointing = True

    config: VivitConfig
    attn_implementation: str
    execution = "plain"
    # Of a classifier: (attention backend, name of the execution) → the execution and what it has made.
    executions: dict[tuple[str, str], Execution]
    pooler: nn.Module | None
    tf32 = False  # whether the model computes in 'tf32'; of a classifier that of its base model counts

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Models that were pickled whole before there was a choice have no executions.
        super().__setstate__({"executions": {}} | state)  # type: ignore[no-untyped-call]
        self.config.settle()  # a copied or unpickled config is free, and this one is a model's

    def set_attn_implementation(self, name: str | None) -> None:
        """Choose the attention backend of every layer, a key of `vivit.attention.ATTENTION`, 'sdpa' if None.

        Raises:
            ValueError: for an unknown name.
        """
        attend = get_attention(name)
        for module in self.modules():
            if isinstance(module, VivitPreTrainedModel):
                module.attn_implementation = name or "sdpa"
            elif hasattr(module, "attend"):
                module.attend = attend  # type: ignore[assignment]

    def set_execution(self, name: str) -> None:
        """Choose how passes run, a key of `vivit.names.EXECUTIONS`; what was compiled or recorded so before is made anew.

        Whoever exchanges layers of a model by hand, or puts hooks on them, calls this again: what is compiled or recorded goes
        on with the old layers and hooks. Where there is a [CLS], hooks on the last layer, `vivit` and `vivit.layernorm` see
        [CLS] alone in any execution, unless hidden states or attention maps are asked for.

        Raises:
            ValueError: for an unknown name, or a model that only runs 'plain'.
            vivit.execution.ExecutionUnavailable: if passes cannot run so on the device of the weights.
        """
        if get_execution(name) != "plain":
            raise ValueError(
                f"execution={name!r} is a classifier's; a {type(self).__name__} runs 'plain' (torch.compile can compile it)"
            )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype the model computes in; input of another dtype is converted to it."""
        return cast(nn.LayerNorm, self.base_model.layernorm).weight.dtype

    @property
    def base_model(self) -> Any:
        """The transformer without a head, a `VivitModel`."""
        return getattr(self, self.base_model_prefix, self)

    @property
    def num_labels(self) -> int:
        """Classes of the classification head."""
        return self.config.num_labels

    def get_input_embeddings(self) -> nn.Module:
        """The linear map of tubelets to tokens."""
        projection: nn.Module = self.base_model.embeddings.projection
        return projection

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """How many numbers the weights are.

        Args:
            only_trainable: without those that are frozen.
            exclude_embeddings: changes nothing: a ViViT has no table of embeddings, and its positions count.
        """
        return sum(p.numel() for p in self.parameters() if p.requires_grad or not only_trainable)

    def activation_checkpointing_enable(
        self,
        activation_checkpointing_kwargs: Mapping[str, Any] | None = None,
        every_n_layers: int = 1,
        offload: bool = False,
    ) -> None:
        """In training compute layers a second time in the backward pass, instead of keeping what they held.

        Args:
            activation_checkpointing_kwargs: of `torch.utils.checkpoint.checkpoint`; use_reentrant is False if it is not there.
            every_n_layers: the first layer and every n-th after it, >= 1.
            offload: only False: what is kept stays on the device.

        Raises:
            ValueError: for every_n_layers below 1, or offload=True.
        """
        if offload or every_n_layers < 1:
            raise ValueError(
                f"every_n_layers={every_n_layers} must be at least 1, and offload={offload} can only be False"
            )
        options = {"use_reentrant": False} | dict(activation_checkpointing_kwargs or {})
        self.base_model.checkpointing = (every_n_layers, options)

    def gradient_checkpointing_enable(
        self, gradient_checkpointing_kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        """The older name of `activation_checkpointing_enable`."""
        self.activation_checkpointing_enable(gradient_checkpointing_kwargs, **options)

    def activation_checkpointing_disable(self) -> None:
        """Keep what the layers hold in training, as at first."""
        self.base_model.checkpointing = None

    gradient_checkpointing_disable = activation_checkpointing_disable

    @property
    def is_activation_checkpointing(self) -> bool:
        """Whether layers are computed a second time in the backward pass."""
        return self.base_model.checkpointing is not None

    is_gradient_checkpointing = is_activation_checkpointing

    def compile(self, *args: Any, **options: Any) -> None:
        """From here on calls are compiled, as `torch.nn.Module.compile` does it, with the arguments of `torch.compile`.

        Raises:
            vivit.errors.UserError: if the backend 'inductor' is to compile for a CPU, and there is no C++ compiler.
        """
        on_cpu = self.device.type == "cpu" and options.get("backend", "inductor") == "inductor"
        if on_cpu and (compiler := missing_compiler()):
            raise UserError(
                f"torch.compile wants the C++ compiler '{compiler}', which is not on this machine. Install it, name another in "
                "CXX, or pass backend='aot_eager', which needs none and is no faster than no compiling."
            )
        super().compile(*args, **options)
        self._compiled_call_impl = inside_products_of(self, self._compiled_call_impl)

    def _apply(self, *args: Any, **options: Any) -> Self:
        getattr(self, "executions", {}).clear()  # graphs read the weights where they were
        super()._apply(*args, **options)  # type: ignore[no-untyped-call]
        return self

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **options: Any) -> Any:
        """As PyTorch's; tensors in 8 bit are made floating, and where this model is in 8 bit the same 8 bit again.

        Raises:
            vivit.errors.UserError: if a weight has no scales, or scales no weight.
        """
        if any(name.endswith(f".{SCALES}") for name in state_dict):
            state_dict = dict(dequantised(state_dict.items()))
        getattr(self, "executions", {}).clear()
        return super().load_state_dict(state_dict, *args, **options)

    def post_init(self) -> None:
        """What a derived class calls when all its layers are made."""
        self.init_weights()

    def init_weights(self) -> None:
        """Random weights: normal with `initializer_range`, biases 0, LayerNorms the identity."""
        self.apply(self.init_module)

    def init_module(self, module: Any) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()
        elif hasattr(module, "position_embeddings"):
            nn.init.normal_(module.position_embeddings, std=self.config.initializer_range)
            if hasattr(module, "cls_token"):
                nn.init.zeros_(module.cls_token)

    @overload
    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, *, output_loading_info: Literal[True], **options: Any
    ) -> tuple[Self, dict[str, Any]]: ...
    @overload
    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Self: ...
    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        config: VivitConfig | str | Path | None = None,
        attn_implementation: str | None = "sdpa",
        execution: str = "plain",
        dtype: str | torch.dtype | None = None,
        torch_dtype: str | torch.dtype | None = None,
        device: str | torch.device | None = None,
        device_map: Any = None,
        load_in_8bit: bool | None = None,
        load_in_4bit: bool | None = None,
        quantization_config: Any = None,
        ignore_mismatched_sizes: bool = False,
        output_loading_info: bool = False,
        low_cpu_mem_usage: bool = True,
        add_pooling_layer: bool = True,
        **options: Any,
    ) -> Self | tuple[Self, dict[str, Any]]:
        """Load a checkpoint in evaluation mode, tensor by tensor, so that no second copy of it is ever held.

        Args:
            pretrained_model_name_or_path: a folder, an embedded checkpoint, or a Hub repository (see
                `vivit.hub.find_checkpoint`).
            config: use this instead of the checkpoint's `config.json`; or the name of the checkpoint that has it.
            attn_implementation: a key of `vivit.attention.ATTENTION`; 'sdpa' if None.
            execution: a key of `vivit.names.EXECUTIONS`, see `set_execution`.
            dtype: a key of `vivit.names.PRECISIONS`, a torch dtype of the same name, or 'auto' for the one that the checkpoint
                is in; if None float32, and 8 bit for a checkpoint that is in 8 bit. Where 8 bit is asked for by another option,
                the dtype of all else: float16 on a GPU and float32 on a CPU if None.
            torch_dtype: the older spelling of `dtype`.
            device: where to put the weights; the CPU if None.
            device_map: the same as transformers names it: 'auto' for `default_device`, a device, an index, or a dict whose
                values are one of these.
            load_in_8bit: keep the encoder's matrices in 8 bit: 'int8-bitsandbytes'. It needs the package bitsandbytes.
            load_in_4bit: not done here; there for those who pass False.
            quantization_config: transformers' `BitsAndBytesConfig(load_in_8bit=True)`, or the same as a dict.
            ignore_mismatched_sizes: give a classification head of another size new random weights, and interpolate position
                embeddings of another number of frames or another image size; both with a warning.
            output_loading_info: return what did not fit too.
            low_cpu_mem_usage: without effect, since memory is always used sparingly; there for those who pass it.
            add_pooling_layer: False for a `VivitModel` without a pooler, whatever the checkpoint has.
            options: of `vivit.hub.HubOptions` (revision, token, cache_dir, local_files_only, subfolder, variant,
                use_safetensors), and fields of the config to replace, `num_labels` for instance.

        Returns:
            A model with every weight loaded; `VivitModel` has a pooler only if the checkpoint does. A classifier of a
            checkpoint without a head has a new one with random weights, and says so in a warning; so do layers that a
            derived class adds. With `output_loading_info` the model and {"missing_keys", "unexpected_keys",
            "mismatched_keys", "error_msgs"}.

        Raises:
            vivit.hub.HubError: if there is no such checkpoint.
            vivit.errors.UserError: if tensors are missing, left over or of another shape; they are listed.
            vivit.execution.ExecutionUnavailable, vivit.eight_bit.EightBitUnavailable, and other kinds of UserError: if the
                execution, the precision or the device cannot be had here.
            ValueError: for an unknown option, an impossible config, an unknown backend or precision, or options that contradict
                each other.
        """
        where, changes = split_options(options)
        named = signature(cls.from_pretrained).parameters.keys() - {"options"}
        if "use_flash_attention_2" in changes:
            raise ValueError("use_flash_attention_2 is attn_implementation='flash_attention_2' today; pass that")
        refuse_unknown(changes, CONFIG_FIELDS, OPTION_NAMES | named)
        if config and changes:
            names = ", ".join(changes)
            raise ValueError(f"config is given, so {names} would be ignored; leave config out, or change it there")
        attention = attn_implementation or "sdpa"
        get_attention(attention)
        get_execution(execution)
        place = one_device(device, device_map)
        if reason := why_not(execution, place.type):
            raise ExecutionUnavailable(reason)
        of_dtype = one_precision(dtype, torch_dtype)
        asked = asked_for(load_in_8bit, load_in_4bit, quantization_config)
        if isinstance(config, str | Path):  # in another place, to which revision and subfolder say nothing
            here = {"token": where.token, "cache_dir": where.cache_dir, "local_files_only": where.local_files_only}
            config = VivitConfig.from_pretrained(config, **here)
        folder = locate(pretrained_model_name_or_path, where)[1]
        config = config or VivitConfig.from_folder(folder, **changes)
        precision = choose_precision(folder, where, of_dtype, asked)
        model = cls.without_weights(config, attn_implementation=attention, dtype=precision, device=place)
        found = load_tensors(model, folder, where, ignore_mismatched_sizes=ignore_mismatched_sizes, new_head=True)
        if not add_pooling_layer:
            model.base_model.pooler = None
        model.set_execution(execution)
        return (model.eval(), model._loading_info(found)) if output_loading_info else model.eval()

    @classmethod
    def without_weights(
        cls,
        config: VivitConfig,
        *,
        attn_implementation: str,
        dtype: str | torch.dtype | EightBit,
        device: str | torch.device,
    ) -> Self:
        """A model whose weights are yet to be loaded, and are arbitrary until then. Arguments as `from_pretrained`'s."""
        config = replace(config, extra={k: v for k, v in config.extra.items() if k != "quantization_config"})
        refuse(get_precision(dtype), torch.device(device))  # a model on 'meta' does not tell its device
        if get_precision(dtype) == EIGHT_BIT:  # nor what that device computes in
            asked = dtype if isinstance(dtype, EightBit) else EightBit()
            dtype = replace(asked, compute=asked.compute or compute_dtype(EIGHT_BIT, device))
        if cls.published_class() is not cls:  # a derived class may make weights of its own that no file has
            with torch.device(device):
                model = set_precision(cls(config), dtype)
        else:
            with torch.device("meta"):
                model = cls(config)
            model = set_precision(model, dtype).to_empty(device=device)
        model.set_attn_implementation(attn_implementation)
        return model

    @classmethod
    def published_class(cls) -> "type[VivitPreTrainedModel]":
        """The class of `vivit.model` that this one is or is derived from."""
        return next(kind for kind in cls.__mro__ if kind.__module__ == "vivit.model")

    def load_tensors(self, folder: Path, options: HubOptions = USUAL) -> None:
        """Copy a checkpoint's tensors into this model: `vivit.loading.load_tensors` without options, so all must fit."""
        load_tensors(self, folder, options)

    def _extra_linears(self) -> set[str]:
        """The names of linear layers that a derived class adds, which stay what they are."""
        own = {id(m) for part in (self.base_model, getattr(self, "classifier", None)) if part for m in part.modules()}
        return {
            name for name, module in self.named_modules() if isinstance(module, nn.Linear) and id(module) not in own
        }

    def _loading_info(self, found: Sequence[Misfit]) -> dict[str, Any]:
        """What did not fit, by transformers' names for it."""
        shapes = {name: tuple(tensor.shape) for name, tensor in published_tensors(self).items()}

        return {
            "missing_keys": {self._on_disk(m.name) for m in found if m.kind == "missing"},
            "unexpected_keys": {m.text for m in found if m.kind == "unexpected"},
            "mismatched_keys": {
                (self._on_disk(m.name), m.shape, shapes[m.name]) for m in found if m.kind == "of another shape"
            },
            "error_msgs": [],
        }

    def _on_disk(self, name: str) -> str:
        """The name that a file of this model has for a tensor, from its published name."""
        here = self.base_model is self or name in self.state_dict()
        return name if here else f"{self.base_model_prefix}.{name}"

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        is_main_process: bool = True,
        state_dict: Mapping[str, Tensor] | None = None,
        **options: Any,
    ) -> None:
        """Write `config.json` and `model.safetensors`, in the names that transformers 4 and 5 read.

        The config says the dtype that holds every tensor without loss: float32 for 'float16-weights'. Matrices in
        'int8-dynamic' are written in float32, with the values that they stand for: loaded in that precision they are the
        same 8 bit again.

        Args:
            save_directory: a folder, which is made.
            is_main_process: False where another process writes.
            state_dict: what to write in place of the model's own, by its names, as accelerate gathers it.
            options: of transformers', where they ask for what is done anyway: safetensors, one file, nothing sent to the Hub.

        Raises:
            ValueError: for an option that asks for anything else, a state dict that lacks a name, or a config that JSON cannot
                hold.
        """
        for name, value in options.items():
            if name not in SAVED_ANYWAY:
                raise ValueError(f"there is no option {nearest(name, SAVED_ANYWAY)}")
            if SAVED_ANYWAY[name] is not None and value not in (None, SAVED_ANYWAY[name]):
                raise ValueError(f"{name}={value!r} is not done here, only {name}={SAVED_ANYWAY[name]!r}")
        if not is_main_process:
            return
        names = {id(tensor): name for name, tensor in self.state_dict(keep_vars=True).items()}
        if state_dict is not None and (lacking := {*names.values()} - {*state_dict}):
            raise ValueError(f"state_dict lacks {', '.join(sorted(lacking)[:3])}, and {len(lacking)} names in all")
        tensors = published_tensors(
            self, (lambda p: p.data) if state_dict is None else lambda p: state_dict[names[id(p)]]
        )
        dtype = reduce(torch.promote_types, (p.dtype for p in self.parameters()))
        # A config that was read may say the dtype in its older spelling, 'torch_dtype'.
        extra = {k: v for k, v in self.config.extra.items() if k not in ("torch_dtype", "quantization_config")}
        extra |= {"architectures": [type(self).__name__], "dtype": str(dtype).removeprefix("torch.")}
        # All parts that are never in 8 bit are named: whoever reads the file may have one that this model has not.
        if eight_bit := settings(self, ["classifier", "pooler", *sorted(self._extra_linears())]):
            extra["quantization_config"] = eight_bit
            stems = [name.removesuffix(SCALES) for name in tensors if name.endswith(f".{SCALES}")]
            tensors |= {f"{stem}weight_format": torch.tensor(0, dtype=torch.uint8) for stem in stems}  # 0: by rows
        elif quantiser(self):  # 'int8-dynamic', which no file has a word for: floating tensors can be read by anyone
            tensors = dict(dequantised(tensors.items()))
        replace(self.config, extra=extra).save_pretrained(save_directory)
        write_tensors(save_directory, {self._on_disk(name): tensor for name, tensor in tensors.items()})
