"""Clips of any kind → [{"label", "score"}], in one call."""

import sys
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import numpy as np
import torch
from torch.utils.data import Dataset

from vivit.ahead import in_groups, kept_back, passes_ahead, read_ahead
from vivit.call_options import CallOptions
from vivit.checkpoint import Checkpoint, open_checkpoint
from vivit.checkpoint.stated import choose_precision
from vivit.clock import Mark, mark, milliseconds
from vivit.config import VivitConfig
from vivit.crossing import cross
from vivit.decoders import Reading, decode_ahead, fits, usual_processes
from vivit.device import default_device, one_device
from vivit.eight_bit import asked_for
from vivit.errors import UserError, refuse_unknown
from vivit.execution import get_execution
from vivit.familiarity import Familiarity
from vivit.hub import OPTION_NAMES
from vivit.inputs import is_clip, is_path, prepare
from vivit.model import VivitForVideoClassification
from vivit.precision import one_precision
from vivit.preparing import ReadyClip
from vivit.processing import VivitImageProcessor, VivitVideoProcessor
from vivit.scores import top_predictions, usual_function

UNFAMILIAR = "This clip is unlike those that this checkpoint was trained on, so the answer means little."

# Of `HubOptions` those that hold for any name; the others are about one checkpoint.
ANYWHERE = ("token", "cache_dir", "local_files_only")
EIGHT_BIT_OPTIONS = frozenset({"load_in_8bit", "load_in_4bit", "quantization_config"})
# Memory is always used sparingly: low_cpu_mem_usage is there for those who pass it.
OF_THE_MODEL = {"attn_implementation", "execution", "dtype", "torch_dtype", "device_map", "low_cpu_mem_usage"}
LOADING = OPTION_NAMES | EIGHT_BIT_OPTIONS | OF_THE_MODEL  # what model_kwargs may hold


class Predictions(list[dict[str, Any]]):
    """[{"label", "score"}], best first, with what there is to say of the clip beside them.

    Args:
        predictions: the list.
        warnings: sentences for the user.
        indices: which frames the model saw, those of one temporal view after the other.
        seconds: their times; empty for frames that were given as pictures.
        timings_ms: parts of the time that this clip took, and 'total'. 'forward' is the clip's share of its batch's pass, or
            passes if there are several views, copy and normalisation included; on an accelerator by the accelerator's clock,
            since the host reads other clips meanwhile.
    """

    def __init__(
        self,
        predictions: list[dict[str, Any]],
        warnings: list[str],
        indices: list[int],
        seconds: list[float],
        timings_ms: dict[str, float],
    ) -> None:
        super().__init__(predictions)
        self.warnings = warnings
        self.indices = indices
        self.seconds = seconds
        self.timings_ms = timings_ms


@dataclass(frozen=True)
class Pass:
    """A pass of the model that has begun, or the passes over several views.

    Args:
        clips: B clips, of V views each.
        found: logits (B·V, num_labels), and features (B·V, E) if they are wanted; on the CPU, and filled once `end` is reached.
        begin, end: when it begins and ends, on the model's device.
    """

    clips: list[ReadyClip]
    found: list[torch.Tensor]
    begin: Mark
    end: Mark


class VideoClassificationPipeline:
    """Classifies clips; made by `pipeline`.

    Args:
        model: in evaluation mode; `torch.compile` may have compiled it.
        image_processor: makes the model's input of frames.
        familiarity: the statistics of the model's training clips; clips that are unlike these get a warning.
        device: where the model goes, as `vivit.device.one_device` takes it; if None the model stays where it is.
        defaults: options of the call, which the call may replace.
    """

    task = "video-classification"

    def __init__(
        self,
        model: VivitForVideoClassification,
        image_processor: VivitImageProcessor,
        familiarity: Familiarity | None = None,
        *,
        device: int | str | torch.device | None = None,
        **defaults: Any,
    ) -> None:
        self.model = model if device is None else model.to(one_device(device))
        self.image_processor = self.video_processor = image_processor
        self.familiarity = familiarity
        self.defaults = CallOptions().changed(defaults, signature(type(self)).parameters)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """What the model computes in."""
        return self.model.dtype

    torch_dtype = dtype  # its older spelling

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Classify one clip or several. Ctrl-C breaks transfers off, and waits for files that are being decoded.

        Args:
            inputs: a clip, one of `vivit.inputs.KINDS`; or several: a list, a tuple, an array or a tensor of 5 dimensions, or
                anything else that can be iterated over.
            options: of `CallOptions`.

        Returns:
            `Predictions` for a clip; a list of them for several; for a generator or a dataset of PyTorch's, and all else that
            has no length, an iterator, which takes a clip when one is asked for.

        Raises:
            vivit.video.VideoError: if a file cannot be used.
            vivit.fetching.FetchError: if an address cannot be fetched.
            ValueError: for what is no clip, a dataset that neither has a length nor can be iterated over, or an unknown or
                impossible option.
        """
        chosen = self.defaults.changed(options)
        if is_clip(inputs) or not (hasattr(inputs, "__iter__") or isinstance(inputs, Dataset)):
            return next(self._several([inputs], replace(chosen, num_workers=0)))
        if not (hasattr(inputs, "__iter__") or hasattr(inputs, "__len__")):
            raise ValueError(
                f"a {type(inputs).__name__} without __len__ and __iter__ has no end; give it one of them, or give its clips"
            )
        lazy = isinstance(inputs, Dataset) or not hasattr(inputs, "__len__")
        # A dataset need have no more than items and a length, and its items need not raise IndexError behind the last.
        items = inputs if hasattr(inputs, "__iter__") else (inputs[k] for k in range(len(inputs)))
        answers = self._several(items, chosen)
        return answers if lazy else list(answers)

    def _several(self, clips: Iterable[Any], options: CallOptions) -> Iterator[Predictions]:
        """The answers in order. What is wrong with a clip is raised in its turn, after the answers before it."""
        source: Generator[ReadyClip, None, None]
        if self._in_processes(clips, options):
            workers = options.num_workers or usual_processes()
            source = self._decoded(clips, options, workers)
        else:
            workers = options.num_workers or 0
            source = read_ahead(partial(self._prepare, options), iter(clips), workers)
        ahead = passes_ahead(self.device.type, workers)
        # The source is closed here and not when it is collected, which an exception that someone keeps would put off.
        with closing(source) as ready:
            batches = in_groups(ready, lambda batch: len(batch) == options.batch_size)
            passes = (self._begin(batch, options.batch_size) for batch in batches)
            for begun in kept_back(passes, ahead):
                yield from self._answers(begun, options)
                del begun  # with its pictures

    def _in_processes(self, clips: Iterable[Any], options: CallOptions) -> bool:
        """Whether processes read these clips: files that are known from the start, for more than one pass of several clips."""
        return (
            isinstance(clips, list | tuple)
            and len(clips) > options.batch_size > 1
            and options.num_workers != 0
            and options.progress is None  # it would be called in those processes
            and type(self.image_processor) in (VivitImageProcessor, VivitVideoProcessor)  # others may have code
            and all(map(is_path, clips))
            and not getattr(sys, "frozen", False)  # such a program's interpreter is the program
        )

    def _decoded(self, paths: Iterable[Any], options: CallOptions, processes: int) -> Generator[ReadyClip, None, None]:
        """Files, read by processes that are ahead by the clips of one pass and one more for each process."""
        chosen = options.reading
        del chosen["progress"]
        reading = Reading(self._num_frames(options), self.image_processor, picture=self._picture, **chosen)
        with closing(decode_ahead(paths, reading, processes, options.batch_size + processes)) as clips:
            for clip in clips:
                if isinstance(clip, Exception):
                    raise clip
                del clip.timings_ms["cpu"]
                clip.timings_ms["total"] = sum(clip.timings_ms.values())
                yield clip

    def _num_frames(self, options: CallOptions) -> int:
        return options.num_frames or self.model.config.num_frames

    @property
    def _picture(self) -> tuple[int, int, int]:
        """(H, W, C) of what the model takes; only another number of frames can be asked for."""
        config = self.model.config
        return *config.clip_size[1:], config.num_channels

    def _prepare(self, options: CallOptions, clip: Any, given_up: Future[None] | None = None) -> ReadyClip:
        begin = perf_counter()
        num_frames = self._num_frames(options)
        ready = prepare(clip, num_frames, self.image_processor, given_up=given_up, **options.reading)
        fits(ready.pixels.shape[2:], self._picture)
        ready.timings_ms["total"] = (perf_counter() - begin) * 1e3
        return ready

    def _begin(self, batch: list[ReadyClip], batch_size: int) -> Pass:
        """Begin the passes of a batch, as many as a clip has views; an accelerator does them while the host goes on."""
        begin = mark(self.device)
        views = [view for clip in batch for view in clip.pixels]
        with torch.inference_mode():
            parts = [self._look(views[k : k + batch_size]) for k in range(0, len(views), batch_size)]
            found = [torch.cat(of_all) for of_all in zip(*parts, strict=True)]
            # Copied here and not when they are read: then the copy would wait for the next pass.
            found = [tensor.to("cpu", non_blocking=True) for tensor in found]
        return Pass(batch, found, begin, mark(self.device))

    def _look(self, views: list[np.ndarray]) -> list[torch.Tensor]:
        """One pass: logits (n, num_labels) of n views, and features (n, E) if they are wanted."""
        pixel_values = cross(views, self.image_processor, self.device, self.dtype)
        # Interpolated because another number of frames may be asked for; no other height or width comes this far.
        if self.familiarity:
            features = self.model.features(pixel_values, interpolate_pos_encoding=True)
            return [self.model.classifier(features), features]
        # The model itself is called, since its call may be compiled or have hooks.
        return [self.model(pixel_values, interpolate_pos_encoding=True, return_dict=True).logits]

    def _answers(self, begun: Pass, options: CallOptions) -> Iterator[Predictions]:
        """The answers for the clips of a pass, once the pass is done."""
        config = self.model.config
        function = options.function_to_apply or usual_function(config.problem_type)
        share = milliseconds(begun.begin, begun.end) / len(begun.clips)
        # The mean over a clip's views.
        logits, *features = (
            tensor.float().view(len(begun.clips), -1, tensor.shape[-1]).mean(1) for tensor in begun.found
        )
        familiar = [True] * len(begun.clips)
        if self.familiarity and features:
            familiar = [*map(self.familiarity.is_familiar, features[0].numpy())]
        for clip, row, known in zip(begun.clips, logits, familiar, strict=True):
            timings = clip.timings_ms | {"forward": share}
            timings["total"] = timings.pop("total") + share  # 'total' stays the last key
            predictions = top_predictions(row, config.id2label, options.top_k, function)
            warnings = clip.warnings if known else [*clip.warnings, UNFAMILIAR]
            yield Predictions(predictions, warnings, clip.indices, clip.seconds, timings)


def pipeline(
    task: str | None = None,
    model: str | Path | Checkpoint | VivitForVideoClassification | None = None,
    config: str | Path | VivitConfig | None = None,
    *,
    image_processor: str | Path | VivitImageProcessor | None = None,
    video_processor: str | Path | VivitImageProcessor | None = None,
    device: int | str | torch.device | None = None,
    device_map: Any = None,
    dtype: str | torch.dtype | None = None,
    torch_dtype: str | torch.dtype | None = None,
    attn_implementation: str | None = None,
    execution: str | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    trust_remote_code: bool | None = None,
    use_fast: bool | None = None,
    **defaults: Any,
) -> VideoClassificationPipeline:
    """Build a classifier of clips.

    Args:
        task: 'video-classification', the only one there is.
        model: a model, which `torch.compile` may have compiled, an open checkpoint, or any name
            `VivitForVideoClassification.from_pretrained` takes.
        config: use this instead of the checkpoint's. A name is looked for with the model's token, cache_dir and
            local_files_only, and with its other options only if it is the model's name, or the model is open.
        image_processor: a processor or the name of its checkpoint; the model's own if None.
        video_processor: the same; by a name it is a `VivitVideoProcessor`, with torchvision's pixels.
        device, device_map: where the model goes, as `vivit.device.one_device` takes them; `default_device` if both are
            None, and a model that is loaded stays where it is.
        dtype, torch_dtype, attn_implementation, execution: as `from_pretrained` takes them; not for a model that is loaded.
        revision, token: as `from_pretrained` takes them, for what is given by its name.
        model_kwargs: any of `LOADING`: those above, and where else `vivit.hub.HubOptions` may have a name looked for.
        trust_remote_code, use_fast: without effect; code that comes with a checkpoint is never run.
        defaults: options of the call, see `CallOptions`, which the call may replace.

    Raises:
        ValueError: for another task, an unknown or impossible option, one that would change nothing of what is loaded or
            open already, or a model object without an image processor.
        vivit.errors.UserError: for a checkpoint of random weights, or one without a classification head.
        and what else `from_pretrained` raises.
    """
    if task not in (None, VideoClassificationPipeline.task):
        raise ValueError(f"task={task!r} is unknown; ViViT does 'video-classification'")
    bare = getattr(model, "_orig_mod", model)  # torch.compile wraps it in a module of another class
    if not isinstance(bare, str | Path | Checkpoint | VivitForVideoClassification):
        raise ValueError(f"model must be a name, a folder, an open checkpoint or a model, not {type(bare).__name__}")
    CallOptions().changed(defaults, signature(pipeline).parameters)  # before what takes its time
    given = _given(
        model_kwargs,
        device_map=device_map,
        dtype=dtype,
        torch_dtype=torch_dtype,
        attn_implementation=attn_implementation,
        execution=execution,
        revision=revision,
        token=token,
    )
    place = None
    if device is not None or "device_map" in given:
        place = one_device(device, given.pop("device_map", None))
    where = {name: value for name, value in given.items() if name in OPTION_NAMES}
    if image_processor is not None and video_processor is not None:
        raise ValueError("image_processor and video_processor are two names of one thing; give one of them")
    is_loaded = isinstance(bare, VivitForVideoClassification)
    looked_for = any(isinstance(thing, str | Path) for thing in (bare, config, image_processor, video_processor))
    # Options of loading come too late for a loaded model, and where to look is of use to names alone.
    named = [*given, *([] if config is None else ["config"])]
    if idle := [name for name in named if (not looked_for if name in where else is_loaded)]:
        raise ValueError(
            f"{', '.join(idle)} would not change what is loaded or open already; give its name instead of the object, or "
            "pass them to from_pretrained or open_checkpoint"
        )
    if video_processor is None:
        processor = _processor(image_processor, VivitImageProcessor, where)
    else:
        processor = _processor(video_processor, VivitVideoProcessor, where)
    if isinstance(bare, VivitForVideoClassification):
        if processor is None:
            raise ValueError("give image_processor beside a model object")
        model = cast(VivitForVideoClassification, model).eval()
        return VideoClassificationPipeline(model, processor, device=place, **defaults)
    get_execution(given.get("execution", "plain"))
    checkpoint = _open(bare, config, where)
    # The processor is read before the weights, since it may be unusable. A copy, because the user may change it.
    processor = processor or replace(checkpoint.processor)
    model = _load(checkpoint, given, place or default_device())
    return VideoClassificationPipeline(model, processor, checkpoint.familiarity(), **defaults)


def _given(model_kwargs: Mapping[str, Any] | None, **options: Any) -> dict[str, Any]:
    """The options of loading that are not None, of `model_kwargs` and of the call. Raises ValueError for one in both."""
    extra = {name: value for name, value in (model_kwargs or {}).items() if value is not None}
    refuse_unknown(extra, LOADING)
    extra.pop("low_cpu_mem_usage", None)
    extra = {name: value for name, value in extra.items() if name not in EIGHT_BIT_OPTIONS or value is not False}
    given = {name: value for name, value in options.items() if value is not None}
    if twice := given.keys() & extra:
        raise ValueError(f"{', '.join(sorted(twice))} is given beside model_kwargs and in them; give it once")
    return given | extra


def _processor(
    given: str | Path | VivitImageProcessor | None, kind: type[VivitImageProcessor], where: dict[str, Any]
) -> VivitImageProcessor | None:
    """The processor that was given, read if it was given by its name. Args: where: options of looking for it."""
    if isinstance(given, str | Path):
        return kind.from_pretrained(given, **where)
    if not isinstance(given, VivitImageProcessor | None):
        raise ValueError(
            f"image_processor must be a VivitImageProcessor or the name of one, not {type(given).__name__}"
        )
    return given


def _open(model: str | Path | Checkpoint, config: str | Path | VivitConfig | None, where: dict[str, Any]) -> Checkpoint:
    """The trained checkpoint of a pipeline, with the config that was given if one was. Args: where: as `_processor`'s."""
    checkpoint = model if isinstance(model, Checkpoint) else open_checkpoint(model, **where)
    if config is not None:
        if not isinstance(config, VivitConfig):
            shared = isinstance(model, Checkpoint) or str(config) == str(model)
            options = where if shared else {name: where[name] for name in ANYWHERE if name in where}
            config = VivitConfig.from_pretrained(config, **options)
        checkpoint = replace(checkpoint, config=config)
    if checkpoint.folder is None:
        raise UserError(f"'{checkpoint.name}' has random weights, which predict nothing. Choose a trained checkpoint.")
    return checkpoint


def _load(checkpoint: Checkpoint, given: dict[str, Any], device: torch.device) -> VivitForVideoClassification:
    """The model of a checkpoint that `_open` returned. Args: given: options of loading, by name."""
    assert checkpoint.folder
    of_dtype = one_precision(given.get("dtype"), given.get("torch_dtype"))
    asked = asked_for(**{name: given[name] for name in EIGHT_BIT_OPTIONS if name in given})
    model = checkpoint.load(
        VivitForVideoClassification,
        attn_implementation=given.get("attn_implementation", "sdpa"),
        dtype=choose_precision(checkpoint.folder, checkpoint.options, of_dtype, asked),
        device=device,
    )
    model.set_execution(given.get("execution", "plain"))
    return model
