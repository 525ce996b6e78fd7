"""Clips of any kind → [{"label", "score"}], in one call."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from inspect import signature
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from vivit.call_options import CallOptions
from vivit.checkpoint import Checkpoint, open_checkpoint
from vivit.config import VivitConfig
from vivit.device import default_device, one_device
from vivit.errors import UserError, refuse_unknown
from vivit.familiarity import Familiarity
from vivit.hub import OPTION_NAMES
from vivit.inputs import ReadyClip, is_clip, prepare
from vivit.model import VivitForVideoClassification
from vivit.precision import one_precision
from vivit.pretrained import stated_precision
from vivit.processing import VivitImageProcessor, VivitVideoProcessor
from vivit.scores import top_predictions

UNFAMILIAR = "This clip is unlike those that this checkpoint was trained on, so the answer means little."

# What model_kwargs may hold. Memory is always used sparingly; the last is there for those who pass it.
LOADING = OPTION_NAMES | {"attn_implementation", "dtype", "torch_dtype", "device_map", "low_cpu_mem_usage"}


class Predictions(list):
    """[{"label", "score"}], best first, with what there is to say of the clip beside them.

    Args:
        predictions: the list.
        warnings: sentences for the user.
        indices: which frames the model saw.
        seconds: their times; empty for frames that were given as pictures.
        timings_ms: parts of the time that this clip took, and 'total'. 'forward' is its share of the pass.
    """

    def __init__(
        self,
        predictions: list[dict],
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


class VideoClassificationPipeline:
    """Classifies clips; made by `pipeline`.

    Args:
        model: in evaluation mode.
        image_processor: what makes its input of frames.
        familiarity: the statistics of the model's training clips, by which others are told and warned of.
        defaults: options of the call, which the call may replace.
    """

    task = "video-classification"

    def __init__(
        self,
        model: VivitForVideoClassification,
        image_processor: VivitImageProcessor,
        familiarity: Familiarity | None = None,
        **defaults: Any,
    ) -> None:
        self.model = model
        self.image_processor = self.video_processor = image_processor
        self.familiarity = familiarity
        self.defaults = CallOptions().changed(defaults, signature(pipeline).parameters)

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
        """Classify one clip or several.

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
            ValueError: for what is no clip, or an unknown or impossible option.
        """
        chosen = self.defaults.changed(options)
        if is_clip(inputs) or not (hasattr(inputs, "__iter__") or isinstance(inputs, Dataset)):
            return next(self._several(iter([inputs]), replace(chosen, num_workers=0)))
        lazy = isinstance(inputs, Dataset) or not hasattr(inputs, "__len__")
        # Datasets have items and a length, and need not end an iteration by themselves.
        items = iter(inputs) if hasattr(inputs, "__iter__") else (inputs[k] for k in range(len(inputs)))
        answers = self._several(items, chosen)
        return answers if lazy else list(answers)

    def _several(self, clips: Iterator[Any], options: CallOptions) -> Iterator[Predictions]:
        """The answers in order. What is wrong with a clip is raised in its turn, after the answers before it."""
        ready = read_ahead(partial(self._prepare, options=options), clips, options.num_workers)
        fault = None
        while fault is None:
            batch = []
            try:
                for clip in islice(ready, options.batch_size):
                    batch.append(clip)
            except Exception as error:
                fault = error
            if not (batch or fault):
                return
            if batch:
                yield from self._classify(batch, options)
        raise fault

    def _prepare(self, clip: Any, options: CallOptions) -> ReadyClip:
        begin = perf_counter()
        config = self.model.config
        ready = prepare(clip, options.num_frames or config.num_frames, self.image_processor, **options.reading)
        if ready.pixel_values.shape[2:] != config.clip_size[1:]:  # only another number of frames can be asked for
            made, taken = ready.pixel_values.shape[2:], config.clip_size[1:]
            raise ValueError(
                f"the image processor makes frames of (height, width) = {made}, and the model takes {taken}"
            )
        ready.timings_ms["total"] = (perf_counter() - begin) * 1e3
        return ready

    def _classify(self, batch: list[ReadyClip], options: CallOptions) -> Iterator[Predictions]:
        """One pass of the model."""
        config = self.model.config
        usual = {"regression": "none", "multi_label_classification": "sigmoid"}
        function = options.function_to_apply or usual.get(config.problem_type or "", "softmax")
        begin = perf_counter()
        pixel_values = torch.from_numpy(np.stack([clip.pixel_values for clip in batch])).to(self.device)
        with torch.inference_mode():
            # Another number of frames was asked for, and no other size comes this far.
            if self.familiarity:
                features = self.model.features(pixel_values, interpolate_pos_encoding=True)  # (B, E)
                logits = self.model.classifier(features).cpu()
                familiar = [*map(self.familiarity.is_familiar, features.float().cpu().numpy())]
            else:  # the call itself, which may be compiled or have hooks
                output = self.model(pixel_values, interpolate_pos_encoding=True, return_dict=True)
                logits, familiar = output.logits.cpu(), [True] * len(batch)
        share = (perf_counter() - begin) * 1e3 / len(batch)
        for clip, row, known in zip(batch, logits, familiar, strict=True):
            timings = clip.timings_ms | {"forward": share}
            timings["total"] = timings.pop("total") + share  # the last of them
            predictions = top_predictions(row, config.id2label, options.top_k, function)
            warnings = clip.warnings if known else [*clip.warnings, UNFAMILIAR]
            yield Predictions(predictions, warnings, clip.indices, clip.seconds, timings)


def read_ahead(read: Callable[[Any], ReadyClip], clips: Iterator[Any], workers: int) -> Iterator[ReadyClip]:
    """`map(read, clips)`, with so many threads that work ahead; as many clips are read, or being read, at most."""
    if not workers:
        yield from map(read, clips)
        return
    ahead: deque[Future[ReadyClip]] = deque()
    with ThreadPoolExecutor(workers, "vivit-read") as threads:
        try:
            for clip in clips:
                ahead.append(threads.submit(read, clip))
                if len(ahead) > workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


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
        model: a model, an open checkpoint, or any name `VivitForVideoClassification.from_pretrained` takes.
        config: use this instead of the checkpoint's; a name is looked for as the model's is.
        image_processor: a processor or the name of its checkpoint; the model's own if None.
        video_processor: the same; by a name it is a `VivitVideoProcessor`, with torchvision's pixels.
        device, device_map: where the model goes, as `vivit.device.one_device` takes them; a CUDA GPU if there is one if both
            are None, and a model that is loaded stays where it is.
        dtype, torch_dtype, attn_implementation, revision, token: as `from_pretrained` takes them; not for a model that is
            loaded, the last two not for a checkpoint that is open.
        model_kwargs: these, and others of `LOADING`.
        trust_remote_code, use_fast: without effect; code that comes with a checkpoint is never run.
        defaults: options of the call, see `CallOptions`, which the call may replace.
    Raises:
        ValueError: for another task, an unknown or impossible option, or a model object without an image processor or with
            options of `from_pretrained`.
        and what `from_pretrained` raises; unlike there a checkpoint without a classification head is refused.
    """
    if task not in (None, VideoClassificationPipeline.task):
        raise ValueError(f"task={task!r} is unknown; ViViT does 'video-classification'")
    if not isinstance(model, str | Path | Checkpoint | VivitForVideoClassification):
        raise ValueError(f"model must be a name, a folder, an open checkpoint or a model, not {model!r}")
    CallOptions().changed(defaults, signature(pipeline).parameters)  # before what takes its time
    given = _given(
        model_kwargs,
        device_map=device_map,
        dtype=dtype,
        torch_dtype=torch_dtype,
        attn_implementation=attn_implementation,
        revision=revision,
        token=token,
    )
    place = None
    if device is not None or "device_map" in given:
        place = one_device(device, given.pop("device_map", None))
    where = {name: value for name, value in given.items() if name in OPTION_NAMES}
    useless = [*given, *(["config"] if config else [])] if isinstance(model, VivitForVideoClassification) else []
    useless = [*where] if isinstance(model, Checkpoint) else useless
    if useless:
        raise ValueError(
            f"{', '.join(useless)} would not change what is loaded or open already; give its name instead of the object, or "
            "pass them to from_pretrained or open_checkpoint"
        )
    if image_processor is not None and video_processor is not None:
        raise ValueError("image_processor and video_processor are two names of one thing; give one of them")
    kind = VivitImageProcessor if video_processor is None else VivitVideoProcessor
    processor = image_processor if video_processor is None else video_processor
    if isinstance(processor, str | Path):
        processor = kind.from_pretrained(processor, **where)
    if not isinstance(processor, VivitImageProcessor | None):
        raise ValueError(f"image_processor must be a VivitImageProcessor or the name of one, not {processor!r}")
    if isinstance(model, VivitForVideoClassification):
        if processor is None:
            raise ValueError("give image_processor beside a model object")
        model = model if place is None else model.to(place)
        return VideoClassificationPipeline(model.eval(), processor, **defaults)
    checkpoint = model if isinstance(model, Checkpoint) else open_checkpoint(model, **where)
    if config is not None:
        config = config if isinstance(config, VivitConfig) else VivitConfig.from_pretrained(config, **where)
        checkpoint = replace(checkpoint, config=config)
    if checkpoint.folder is None:
        raise UserError(f"'{checkpoint.name}' has random weights, which predict nothing. Choose a trained checkpoint.")
    named = given.get("dtype"), given.get("torch_dtype")
    as_stated = {*named} - {None} == {"auto"}
    precision = stated_precision(checkpoint.folder, checkpoint.options) if as_stated else one_precision(*named)
    processor = processor or checkpoint.processor  # read before the weights are: it may be unusable
    model = checkpoint.load(
        VivitForVideoClassification,
        attn_implementation=given.get("attn_implementation", "sdpa"),
        dtype=precision,
        device=place or default_device(),
    )
    return VideoClassificationPipeline(model, processor, checkpoint.familiarity(), **defaults)


def _given(model_kwargs: Mapping[str, Any] | None, **options: Any) -> dict[str, Any]:
    """The options of loading that are not None, from either place."""
    extra = {name: value for name, value in (model_kwargs or {}).items() if value is not None}
    refuse_unknown(extra, LOADING)
    extra.pop("low_cpu_mem_usage", None)
    given = {name: value for name, value in options.items() if value is not None}
    if twice := given.keys() & extra:
        raise ValueError(f"{', '.join(sorted(twice))} is given beside model_kwargs and in them; give it once")
    return given | extra
