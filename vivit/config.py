"""The shape of a ViViT, as `config.json` spells it."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar

from vivit.errors import UserError, nearest, refuse_unknown
from vivit.names import FACTORIZATIONS

ACTIVATIONS = ("gelu", "gelu_fast", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "tanh")
TANH_GELUS = ("gelu_fast", "gelu_new", "gelu_pytorch_tanh")  # the approximation; 'gelu' is the exact one
MOST, MOST_LAYERS = 1_000_000, 10_000  # a larger number is a slip, and would fill the memory before any error
CALL = ("output_attentions", "output_hidden_states", "return_dict")
CHANGEABLE = ("id2label", "label2id", "problem_type", "extra", *CALL)  # fields that can be set in a model's config
# Fields that a model is built with and that do not follow from the shapes of its weights.
BUILT_WITH = (
    *("hidden_act", "pooler_act", "hidden_dropout_prob", "attention_probs_dropout_prob"),
    *("initializer_range", "layer_norm_eps", "qkv_bias"),
)
ATTENTION_ORDERS = ("time_space", "space_time")
PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")


@dataclass
class VivitConfig:
    """What is decided about a model before it has weights. Device, dtype and attention backend are not part of it.

    A field can be set, and its value is checked then: `num_labels` drops names of another number, `id2label` sets what
    follows from the names; values that only fit each other are set together, by `update`. In the config of a model only
    `CHANGEABLE` can be set; a copy of that config is free again. A name that is no field can be set too: its value is kept in
    `extra`, with a warning that nothing here reads it.

    Args:
        image_size: height and width of a frame in pixels; one number means a square.
        num_frames: frames in a clip.
        tubelet_size: (time, height, width) of one tubelet, in frames and pixels; each divides the clip's size.
        num_channels: colour channels of a frame.
        hidden_size: width of a token; a multiple of `num_attention_heads`.
        num_hidden_layers: transformer layers.
        num_attention_heads: heads per layer.
        intermediate_size: width inside each layer's MLP.
        hidden_act: name of the MLP's activation, one of `ACTIVATIONS`.
        hidden_dropout_prob: dropout after embeddings, attention and MLP in training, in [0, 1).
        attention_probs_dropout_prob: dropout on attention probabilities in training, in [0, 1).
        initializer_range: standard deviation of random weights.
        layer_norm_eps: the epsilon of every LayerNorm.
        qkv_bias: whether the query, key and value projections have a bias.
        factorization: which tokens a token attends to, a key of `vivit.names.FACTORIZATIONS`; models 1 to 4 of the paper.
        num_temporal_layers: layers over the time steps, after the others, where the factorization is 'encoder'.
        attention_order: where the factorization is 'self_attention', what comes first in a layer, one of `ATTENTION_ORDERS`.
        pooler_output_size: width of `VivitModel`'s pooler; `hidden_size` if None.
        pooler_act: the pooler's activation, one of `ACTIVATIONS`.
        num_labels: classes of the classification head; as many as `id2label` has if None, and 2 if both are None.
        id2label: class index → name; 'LABEL_k' if None.
        label2id: name → class index; the inverse of `id2label` if None.
        problem_type: what the labels are, one of `PROBLEM_TYPES`; found from the labels of a call if None.
        output_attentions, output_hidden_states, return_dict: what a model's call does where the call does not say.
        extra: keys of a `config.json` that this class has no use for; written back unchanged.

    Raises:
        ValueError: if a value is impossible, naming it, or can no longer be set.
        AttributeError: where a property or a method is set.

    Source: `VivitConfig` of transformers 4 and 5; Arnab et al. 2021, arXiv:2103.15691, section 3.3 and table 1.
    """

    image_size: int | tuple[int, int] = 224
    num_frames: int = 32
    tubelet_size: tuple[int, int, int] = (2, 16, 16)
    num_channels: int = 3
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu_fast"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-6
    qkv_bias: bool = True
    # Where the type does not allow it, None stands for a value that follows from others and replaces it in `__post_init__`.
    pooler_output_size: int = None  # type: ignore[assignment]
    pooler_act: str = "tanh"
    num_labels: int = None  # type: ignore[assignment]
    id2label: Mapping[int, str] = None  # type: ignore[assignment]
    label2id: Mapping[str, int] = None  # type: ignore[assignment]
    problem_type: str | None = None
    output_attentions: bool = False
    output_hidden_states: bool = False
    return_dict: bool = True
    factorization: str = "none"
    num_temporal_layers: int = 4
    attention_order: str = "time_space"
    extra: Mapping[str, Any] = field(default_factory=dict)

    model_type: ClassVar[str] = "vivit"

    def __setattr__(self, name: str, value: Any) -> None:
        if not self.__dict__.get("_made"):
            object.__setattr__(self, name, value)
            return
        self._set({name: value})

    def update(self, config_dict: Mapping[str, Any]) -> None:
        """Set what a dict says, all at once: one value alone might not fit the old ones. Raises as setting a field does."""
        self._set(config_dict)

    def _set(self, values: Mapping[str, Any]) -> None:
        known = {f.name for f in fields(self)}
        changed = self.changed(**{name: value for name, value in values.items() if name in known})
        if self.__dict__.get("_in_a_model"):
            self._check_settled(changed, values)
        extra = dict(changed.extra)
        for name, value in values.items():
            if name in known:
                continue
            if name.startswith("__") or hasattr(type(self), name):
                if getattr(self, name, None) == value:  # the model_type of a whole `to_dict()`
                    continue
                raise AttributeError(f"{name!r} of a VivitConfig is no field, and cannot be set")
            # transformers' Trainer sets use_cache, whatever it trains; what else begins with '_' is somebody's own business.
            if name not in (*self.extra, "use_cache") and (not name.startswith("_") or name == "_attn_implementation"):
                warnings.warn(
                    f"a VivitConfig has no field {nearest(name, known)}: it is kept and written back, and changes nothing here",
                    stacklevel=3,
                )
            # As files spell a dtype.
            extra[name] = str(value).removeprefix("torch.") if value and name in ("dtype", "torch_dtype") else value
        self.__dict__.update({f: getattr(changed, f) for f in known} | {"extra": extra})

    def _check_settled(self, changed: "VivitConfig", values: Mapping[str, Any]) -> None:
        """Raise ValueError for a field that cannot be set in the config of a model, unless its value stays the same."""
        for name in (f.name for f in fields(self) if f.name in values and f.name not in CHANGEABLE):
            if (old := getattr(self, name)) != (new := getattr(changed, name)):
                why = "the model was built with" if name in BUILT_WITH else "its weights were made for"
                raise ValueError(
                    f"{name} of a model's config cannot be set: {why} {old!r}. Load or make another model with {name}={new!r}"
                )
        if changed.num_labels != self.num_labels:
            raise ValueError(
                f"id2label must name the {self.num_labels} classes of the model that this config is of, not "
                f"{changed.num_labels}; load or make another with num_labels={changed.num_labels}"
            )

    def __getattr__(self, name: str) -> Any:
        # Keys of its file that mean nothing here can be read all the same; what Python itself asks for is none.
        extra = self.__dict__.get("extra")
        if isinstance(extra, Mapping) and name in extra and not name.startswith("__"):
            return extra[name]
        raise AttributeError(f"a VivitConfig has no field {name!r}")

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _made=True)  # configs that 0.1 pickled have no `_made`

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_in_a_model"}

    def settle(self) -> None:
        """Make this the config of a model, in which only `CHANGEABLE` can be set."""
        self.__dict__["_in_a_model"] = True

    def settled(self) -> "VivitConfig":
        """The config for a model made of this one: a copy, which leaves this one free, or this one if it is a model's."""
        if self.__dict__.get("_in_a_model"):
            return self
        copied = replace(self)
        copied.settle()
        return copied

    def __post_init__(self) -> None:
        settle = self.__dict__.__setitem__
        for name in ("image_size", "tubelet_size"):
            if isinstance(value := getattr(self, name), Sequence):
                settle(name, tuple(value))
        if not isinstance(self.extra, Mapping):
            raise ValueError(f"extra must map names to values, not {self.extra!r}")
        settle("extra", dict(self.extra))
        if self.pooler_output_size is None:
            settle("pooler_output_size", self.hidden_size)
        self._check_shape()
        if not (self.num_labels is None or _is_count(self.num_labels) or self.num_labels == 0):
            raise ValueError(f"num_labels must be a whole number from 0 to {MOST:,}, not {self.num_labels!r}")
        labels = self.id2label
        if labels is None:
            labels = {k: f"LABEL_{k}" for k in range(2 if self.num_labels is None else self.num_labels)}
        try:
            settle("id2label", {int(k): str(v) for k, v in sorted(labels.items(), key=lambda item: int(item[0]))})
            inverse = {v: k for k, v in self.id2label.items()} if self.label2id is None else self.label2id
            settle("label2id", {str(k): int(v) for k, v in inverse.items()})
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(
                f"id2label and label2id must map class indices to names and back, not {labels!r}"
            ) from error
        if self.num_labels is None:
            settle("num_labels", len(self.id2label))
        if set(self.id2label) != set(range(self.num_labels)):
            raise ValueError(
                f"id2label must name the classes 0 to {self.num_labels - 1} (num_labels={self.num_labels}); "
                f"it has {len(self.id2label)} names"
            )
        settle("_made", True)

    def _check_shape(self) -> None:
        sizes = ("hidden_size", "intermediate_size", "pooler_output_size")
        for name in ("num_frames", "num_channels", "num_attention_heads", *sizes):
            if not _is_count(getattr(self, name)):
                raise ValueError(f"{name} must be a whole number from 1 to {MOST:,}, not {getattr(self, name)!r}")
        layers = self.num_hidden_layers
        if not ((_is_count(layers) and layers <= MOST_LAYERS) or layers == 0):
            raise ValueError(f"num_hidden_layers must be a whole number from 0 to {MOST_LAYERS:,}, not {layers!r}")
        for name, known in (("factorization", FACTORIZATIONS), ("attention_order", ATTENTION_ORDERS)):
            if not isinstance(value := getattr(self, name), str) or value not in known:
                raise ValueError(f"{name}={value!r} is unknown; known are {', '.join(known)}")
        if not (_is_count(self.num_temporal_layers) and self.num_temporal_layers <= MOST_LAYERS):
            raise ValueError(
                f"num_temporal_layers must be a whole number from 1 to {MOST_LAYERS:,}, not {self.num_temporal_layers!r}"
            )
        if self.factorization == "dot_product" and self.num_attention_heads % 2:
            raise ValueError(
                f"factorization='dot_product' lets half of the heads attend over time and half over space, so "
                f"num_attention_heads={self.num_attention_heads} must be even"
            )
        sides = self.image_size if isinstance(self.image_size, tuple) else (self.image_size,)
        if len(sides) not in (1, 2) or not all(map(_is_count, sides)):
            raise ValueError(f"image_size must be one or two whole numbers from 1 to {MOST:,}, not {self.image_size!r}")
        steps = self.tubelet_size
        if not isinstance(steps, tuple) or len(steps) != 3 or not all(map(_is_count, steps)):
            raise ValueError(f"tubelet_size must be three whole numbers from 1 to {MOST:,}, not {self.tubelet_size!r}")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"num_attention_heads={self.num_attention_heads} does not divide hidden_size={self.hidden_size}"
            )
        for name, size, step in zip(("num_frames", "height", "width"), self.clip_size, self.tubelet_size, strict=True):
            if size % step:
                raise ValueError(f"tubelet_size={self.tubelet_size}: {step} does not divide {name}={size}")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            if not (_is_number(getattr(self, name)) and 0 <= getattr(self, name) < 1):
                raise ValueError(f"{name} must lie in [0, 1), not {getattr(self, name)!r}")
        for name in ("initializer_range", "layer_norm_eps"):
            if not (_is_number(getattr(self, name)) and 0 < getattr(self, name) < float("inf")):
                raise ValueError(f"{name} must be a finite number above 0, not {getattr(self, name)!r}")
        for name in ("qkv_bias", *CALL):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, not {getattr(self, name)!r}")
        if self.problem_type not in (None, *PROBLEM_TYPES):
            raise ValueError(f"problem_type={self.problem_type!r} is unknown; known are {', '.join(PROBLEM_TYPES)}")
        for name in ("hidden_act", "pooler_act"):
            if getattr(self, name) not in ACTIVATIONS:
                raise ValueError(f"{name}={getattr(self, name)!r} is unknown; known are {', '.join(ACTIVATIONS)}")

    @property
    def use_return_dict(self) -> bool:
        """The older name of `return_dict`."""
        return self.return_dict

    @property
    def clip_size(self) -> tuple[int, int, int]:
        """(frames, height, width) of one clip."""
        size = self.image_size
        return (self.num_frames, size, size) if isinstance(size, int) else (self.num_frames, size[0], size[-1])

    @property
    def grid_size(self) -> tuple[int, int, int]:
        """Tubelets along (time, height, width)."""
        frames, height, width = (a // b for a, b in zip(self.clip_size, self.tubelet_size, strict=True))
        return frames, height, width

    @property
    def position_grids(self) -> tuple[tuple[int, int, int], ...]:
        """The grids of tubelets that have positions, one for each encoder: of 'encoder' first over space, then over time."""
        time, height, width = self.grid_size
        return ((1, height, width), (time, 1, 1)) if self.factorization == "encoder" else (self.grid_size,)

    @property
    def num_tokens(self) -> int:
        """Tokens of one clip in the (first) encoder: its tubelets, and for 'none' one [CLS], for 'encoder' one a time step."""
        time, height, width = self.grid_size
        return time * height * width + {"none": 1, "encoder": time}.get(self.factorization, 0)

    @property
    def has_cls(self) -> bool:
        """Whether a [CLS] token is classified; else the mean of all tokens is."""
        return self.factorization in ("none", "encoder")

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], **changes: Any) -> "VivitConfig":
        """Build a config from the keys of a `config.json`; unknown keys are kept in `extra`, labels counted from 0.

        Args:
            values: the keys.
            changes: fields to replace. A new `num_labels` drops names of another number.

        Raises:
            ValueError: for another model type, an impossible value, or a change of what is no field.
        """
        values = dict(values)
        if (kind := values.pop("model_type", "vivit")) != "vivit":
            raise ValueError(f"its model_type is {kind!r}, not 'vivit'")
        known = {f.name for f in fields(cls)} - {"extra"}
        ours = _from_zero({k: v for k, v in values.items() if k in known})
        return cls(**ours, extra={k: v for k, v in values.items() if k not in known}).changed(**changes)

    def changed(self, **changes: Any) -> "VivitConfig":
        """A config with some fields replaced. A new `num_labels` drops names of another number; None for it changes nothing.

        Raises:
            ValueError: for what is no field, or an impossible value.
        """
        refuse_unknown(changes, {f.name for f in fields(self)})
        if "num_labels" in changes and changes["num_labels"] is None:
            del changes["num_labels"]
        if changes.get("num_labels", self.num_labels) != self.num_labels or "id2label" in changes:
            number = self.num_labels if changes.get("id2label") is None else None  # else the names say how many
            changes = {"num_labels": number, "id2label": None, "label2id": None} | changes
        return replace(self, **changes)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> "VivitConfig":
        """Read the config of a checkpoint.

        Args:
            pretrained_model_name_or_path: a folder with `config.json`, or any name `vivit.hub.find_checkpoint` knows.
            options: of `vivit.hub.HubOptions` (revision, token, cache_dir and others), and fields to replace after reading.

        Raises:
            vivit.hub.HubError: if there is no such checkpoint.
            vivit.errors.UserError: as `from_folder`.
            ValueError: for an unknown option, or an impossible value.
        """
        from vivit.hub import OPTION_NAMES, locate, split_options

        where, changes = split_options(options)
        refuse_unknown(changes, {f.name for f in fields(cls)}, OPTION_NAMES)
        return cls.from_folder(locate(pretrained_model_name_or_path, where, weights=False)[1], **changes)

    @classmethod
    def from_folder(cls, folder: Path, **changes: Any) -> "VivitConfig":
        """Read the `config.json` of a folder that has one.

        Args:
            folder: of a checkpoint.
            changes: fields to replace after reading.

        Raises:
            vivit.errors.UserError: if the file is damaged, or describes a model that cannot be, naming the checkpoint.
            ValueError: for an impossible change.
        """
        from vivit.hub import called, kinetics400_labels, read_json

        values = read_json(folder / "config.json")
        try:
            config = cls.from_dict(values)
        except ValueError as error:
            raise UserError(
                f"The config.json of '{called(folder)}' describes no model that can be made here: {error}. Choose another "
                "checkpoint, or correct that file."
            ) from error
        if config.id2label == {k: f"LABEL_{k}" for k in range(400)}:  # 400 nameless classes are those of Kinetics-400
            names = dict(enumerate(kinetics400_labels()))
            config = replace(config, id2label=names, label2id={name: k for k, name in names.items()})
        return config.changed(**changes)

    @classmethod
    def from_json_file(cls, json_file: str | Path) -> "VivitConfig":
        """Read a file that is written as a `config.json`.

        Raises:
            FileNotFoundError: if there is none.
            vivit.errors.UserError: if it is damaged.
            ValueError: as `from_dict`.
        """
        from vivit.hub import read_json

        if not Path(json_file).exists():
            raise FileNotFoundError(f"there is no file {str(json_file)!r}")
        return cls.from_dict(read_json(Path(json_file)))

    def to_dict(self) -> dict[str, Any]:
        """The keys of a `config.json` that transformers 4 and 5 both read."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("extra", "num_labels")}
        values |= {
            "model_type": "vivit",
            "tubelet_size": list(self.tubelet_size),
            "image_size": self.image_size if isinstance(self.image_size, int) else list(self.image_size),
            "id2label": dict(self.id2label),
            "label2id": dict(self.label2id),
        }
        usual = {f.name: f.default for f in fields(self)}
        for name in ("problem_type", "factorization", *CALL):  # as transformers writes them: only where not the default
            if values[name] == usual[name]:
                del values[name]
        for name, where in (("num_temporal_layers", "encoder"), ("attention_order", "self_attention")):
            if self.factorization != where and values[name] == usual[name]:
                del values[name]
        return dict(self.extra) | values

    def to_diff_dict(self) -> dict[str, Any]:
        """The part of `to_dict` that makes this config from the defaults, and its model_type."""
        values, usual = self.to_dict(), VivitConfig().to_dict() | {"model_type": None}
        found = {k: v for k, v in values.items() if k not in usual or v != usual[k]}
        usual = VivitConfig.from_dict(found).to_dict()  # what follows from these may differ from the defaults
        return {k: v for k, v in values.items() if k in found or v != usual[k]}

    def to_json_string(self, use_diff: bool = False) -> str:
        """What stands in a `config.json`.

        Args:
            use_diff: write `to_diff_dict` instead of `to_dict`.

        Raises:
            ValueError: for something in `extra` that JSON has no word for.
        """
        for name, value in self.extra.items():
            try:
                json.dumps(value, sort_keys=True)
            except (TypeError, ValueError, RecursionError) as error:
                raise ValueError(
                    f"{name}={str(value)[:80]} of this config cannot be written as JSON; numbers, text, lists and dicts can"
                ) from error
        values = self.to_diff_dict() if use_diff else self.to_dict()
        return json.dumps(values, indent=2, ensure_ascii=False, sort_keys=True) + "\n"

    def to_json_file(self, json_file_path: str | Path, use_diff: bool = False) -> None:
        """Write `to_json_string` to a file. Raises ValueError as that does."""
        text = self.to_json_string(use_diff)  # first: if this raises, an older file stays whole
        Path(json_file_path).write_text(text, encoding="utf-8")

    def save_pretrained(self, save_directory: str | Path, push_to_hub: bool = False) -> list[str]:
        """Write `config.json` into a folder, which is made if it is missing.

        Returns:
            The file that was written.

        Raises:
            ValueError: for `push_to_hub`, and as `to_json_string`.
        """
        refuse_push(push_to_hub)
        text = self.to_json_string()
        file = Path(save_directory) / "config.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return [str(file)]


def refuse_push(push_to_hub: bool) -> None:
    """Raise ValueError where a saved file is to be uploaded too."""
    if push_to_hub:
        raise ValueError(
            "push_to_hub=True: nothing is uploaded from here. Save into a folder, and upload that with `hf upload`"
        )


def _from_zero(values: dict[str, Any]) -> dict[str, Any]:
    """The values, with labels that are numbered from 1 to their count numbered from 0 instead; all others as they are."""
    labels = values.get("id2label")
    try:
        numbers = sorted(int(k) for k in labels)  # type: ignore[union-attr]
    except (TypeError, ValueError):  # no labels, or keys that are no numbers: `__post_init__` raises
        return values
    count = values.get("num_labels")
    if not isinstance(labels, Mapping) or numbers != [*range(1, len(numbers) + 1)] or count not in (None, len(numbers)):
        return values
    return values | {"id2label": {int(k) - 1: v for k, v in labels.items()}, "label2id": None}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST
