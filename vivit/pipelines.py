"""A clip → [{"label", "score"}], in one call."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from vivit.checkpoint import Checkpoint, open_checkpoint
from vivit.device import default_device
from vivit.errors import UserError
from vivit.familiarity import Familiarity
from vivit.model import VivitForVideoClassification
from vivit.precision import one_precision
from vivit.preparing import prepare_clip
from vivit.processing import VivitImageProcessor
from vivit.video import SampledFrames

SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.softmax(-1),
    "sigmoid": torch.sigmoid,
    "none": lambda logits: logits,
}

UNFAMILIAR = "This clip is unlike those that this checkpoint was trained on, so the answer means little."


def top_predictions(logits: Tensor, id2label: Mapping[int, str], top_k: int, function: str = "softmax") -> list[dict]:
    """The best classes of one clip.

    Args:
        logits: (num_labels,).
        id2label: class index → name.
        top_k: how many; all there are if there are fewer.
        function: a key of `SCORES`, applied in float32.
    Returns:
        [{"label": str, "score": float}], best first.
    Raises:
        vivit.errors.UserError: if a logit is infinite or no number.
    """
    if not logits.isfinite().all():
        raise UserError(
            "The model's answer is not a number: its activations exceed what this precision can hold, or its weights are "
            "damaged. Choose float32 or bfloat16, or another checkpoint."
        )
    scores, indices = SCORES[function](logits.float()).topk(min(top_k, len(logits)))
    return [{"label": id2label[i], "score": s} for i, s in zip(indices.tolist(), scores.tolist(), strict=True)]


class Predictions(list):
    """[{"label", "score"}], best first, with `warnings`, `indices`, `seconds` and `timings_ms` of the clip beside them."""

    def __init__(self, predictions: list[dict], clip: SampledFrames, timings_ms: dict[str, float]) -> None:
        super().__init__(predictions)
        self.warnings = list(clip.warnings)
        self.indices = list(clip.indices)
        self.seconds = list(clip.seconds)
        self.timings_ms = timings_ms


class VideoClassificationPipeline:
    """Classifies video files; made by `pipeline`.

    Args:
        familiarity: the statistics of the model's training clips, by which others are told and warned of.
    """

    def __init__(
        self,
        model: VivitForVideoClassification,
        image_processor: VivitImageProcessor,
        familiarity: Familiarity | None = None,
        **defaults: Any,
    ) -> None:
        self.model = model
        self.image_processor = image_processor
        self.familiarity = familiarity
        self.defaults = defaults

    @overload
    def __call__(self, inputs: str | Path, **options: Any) -> Predictions: ...
    @overload
    def __call__(self, inputs: Sequence[str | Path], **options: Any) -> list[Predictions]: ...
    def __call__(self, inputs: str | Path | Sequence[str | Path], **options: Any) -> Predictions | list[Predictions]:
        """Classify one clip or several.

        Args:
            inputs: a path, or a list of paths.
            options: top_k (5); num_frames (the model's; another number interpolates its position embeddings);
                frame_sampling_rate (every n-th frame from the first, as transformers does; the whole clip, evenly, if None);
                function_to_apply ('softmax', 'sigmoid' or 'none'; by the config's problem_type if None).
        Returns:
            `Predictions` for a path, a list of them for a list.
        Raises:
            vivit.video.VideoError: if a file cannot be used.
            ValueError: for an impossible option.
        """
        options = self.defaults | options
        if isinstance(inputs, str | Path):
            return self._one(inputs, **options)
        return [self._one(path, **options) for path in inputs]

    def _one(
        self,
        path: str | Path,
        *,
        top_k: int | None = 5,
        num_frames: int | None = None,
        frame_sampling_rate: int | None = None,
        function_to_apply: str | None = None,
        **sampling: Any,
    ) -> Predictions:
        config = self.model.config
        top_k = 5 if top_k is None else top_k
        num_frames = config.num_frames if num_frames is None else num_frames
        usual = {"regression": "none", "multi_label_classification": "sigmoid"}
        function_to_apply = function_to_apply or usual.get(config.problem_type or "", "softmax")
        if function_to_apply not in SCORES:
            raise ValueError(f"function_to_apply={function_to_apply!r} is unknown; known are {', '.join(SCORES)}")
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, not {top_k}")
        if frame_sampling_rate is not None:
            sampling = {"sampling": "transformers", "stride": frame_sampling_rate} | sampling
        start = time.perf_counter()
        clip = prepare_clip(path, num_frames, self.image_processor, **sampling)
        begin = time.perf_counter()
        pixel_values = torch.from_numpy(self.image_processor.normalise(clip.pixels))[None].to(self.model.device)
        middle = time.perf_counter()
        with torch.inference_mode():
            resized = num_frames != config.num_frames  # other sizes than the trained one only where they were asked for
            output = self.model(pixel_values, interpolate_pos_encoding=resized)
            logits = output.logits[0].cpu()
        end = time.perf_counter()
        timings = clip.timings_ms | {"forward": (end - middle) * 1e3, "total": (end - start) * 1e3}
        timings["preprocess"] += (middle - begin) * 1e3
        predictions = top_predictions(logits, config.id2label, top_k, function_to_apply)
        result = Predictions(predictions, clip.sampled, timings)
        features = output.last_hidden_state[0, 0].float().cpu().numpy()
        if self.familiarity and not self.familiarity.is_familiar(features):
            result.warnings.append(UNFAMILIAR)
        return result


def pipeline(
    task: str,
    model: str | Path | Checkpoint | VivitForVideoClassification,
    *,
    image_processor: str | Path | VivitImageProcessor | None = None,
    device: int | str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    torch_dtype: str | torch.dtype | None = None,
    attn_implementation: str | None = None,
    revision: str | None = None,
    **defaults: Any,
) -> VideoClassificationPipeline:
    """Build a classifier of video files.

    Args:
        task: 'video-classification'.
        model: a model, an open checkpoint, or any name `VivitForVideoClassification.from_pretrained` takes.
        image_processor: a processor or the name of its checkpoint; the model's own if None.
        device: a torch device, a CUDA index, or -1 for the CPU; a CUDA GPU if there is one, if None.
        dtype, torch_dtype, attn_implementation, revision: as `from_pretrained` takes them; not for a model that is loaded, the
            last not for a checkpoint that is open.
        defaults: options of the call, which the call may replace.
    Raises:
        ValueError: for another task, or a model object without an image processor or with options of `from_pretrained`.
        and what `from_pretrained` raises.
    """
    if task != "video-classification":
        raise ValueError(f"task={task!r} is unknown; ViViT does 'video-classification'")
    if isinstance(device, int):
        device = f"cuda:{device}" if device >= 0 else "cpu"
    options: dict[str, object] = {"revision": revision}
    if not isinstance(model, Checkpoint):
        options |= {"dtype": dtype, "torch_dtype": torch_dtype, "attn_implementation": attn_implementation}
    given = [name for name, value in options.items() if value is not None]
    if given and not isinstance(model, str | Path):
        raise ValueError(
            f"{', '.join(given)} would not change what is loaded or open already; give its name instead of the object, or pass "
            "them to from_pretrained or open_checkpoint"
        )
    if not (image_processor is None or isinstance(image_processor, VivitImageProcessor)):
        image_processor = VivitImageProcessor.from_pretrained(image_processor, revision=revision)
    familiarity = None
    if isinstance(model, VivitForVideoClassification):
        if image_processor is None:
            raise ValueError("give image_processor beside a model object")
        model = model.to(device) if device is not None else model
    else:
        checkpoint = model if isinstance(model, Checkpoint) else open_checkpoint(model, revision)
        if not checkpoint.trained:
            raise UserError(
                f"'{checkpoint.name}' has random weights, which predict nothing. Choose a trained checkpoint."
            )
        image_processor = image_processor or checkpoint.processor
        familiarity = checkpoint.familiarity()
        model = checkpoint.load(
            VivitForVideoClassification,
            attn_implementation=attn_implementation or "sdpa",
            dtype=one_precision(dtype, torch_dtype),
            device=device or default_device(),
        )
    return VideoClassificationPipeline(model.eval(), image_processor, familiarity, **defaults)
