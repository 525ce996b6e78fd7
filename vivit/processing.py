"""Frames → `pixel_values`, in two halves: resize and crop on uint8 (no torch needed), then the arithmetic.

Letters: T frames, C channels, H × W pixels.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from vivit.batch_feature import BatchFeature
from vivit.config import VivitConfig, refuse_push
from vivit.errors import UserError, nearest, refuse_unknown
from vivit.hub import OPTION_NAMES, PROCESSORS, as_path, locate, split_options
from vivit.pictures import as_clips, channels_last
from vivit.processor_files import IMAGE, SWITCHES, VIDEO, Stated, read_stated, understand
from vivit.resizing import BICUBIC, RESIZE

PROPORTION = 256 / 224  # of the published models' shortest edge to their crop
_BILINEAR = 2
MOST_SIDE, MOST_NUMBER = 100_000, 1e30  # a larger value is a slip, and arithmetic on it would overflow
_MOST_PIXELS = 4 * 1024**2  # a larger resized picture is computed only where it is kept

# The original model (Scenic) was trained on [-1, 1]; transformers normalises once more, to [-3, 1], and published its
# reference logits so. Both are offered by name.
NORMALISATIONS: dict[str, dict[str, Any]] = {
    "transformers": {"do_normalize": True},
    "original": {"do_normalize": False},
}


@dataclass
class VivitImageProcessor:
    """What happens to frames before the model sees them, in the order of the fields. Each can be set, and is checked then.

    Args:
        do_resize: resize each frame.
        size: {"shortest_edge": pixels}, or one number, keeps the aspect ratio; {"height": …, "width": …}, or two, does not.
        resample: PIL's filter, 0 to 5; 2 is bilinear.
        do_center_crop: cut `crop_size` from the middle, padding with black where the frame is smaller.
        crop_size: {"height": …, "width": …} in pixels; or two numbers, or one for a square.
        do_rescale: multiply by `rescale_factor`.
        rescale_factor: 1/127.5 takes [0, 255] to [0, 2].
        offset: subtract 1 after rescaling.
        do_normalize: subtract `image_mean` and divide by `image_std`.
        image_mean, image_std: one number, or one a channel.
        extra: keys of its file that this class has no use for; written back unchanged.
        backend: a key of `vivit.resizing.RESIZE`: 'pil', or 'torchvision' for transformers' video processors, which round
            in another way when they resize and pad.

    Raises:
        ValueError: for impossible values, naming them.
        AttributeError: where something is set that is no field.

    Source: transformers' `VivitImageProcessor`, since 4.32. With these defaults pixels lie in [-3, 1]. The pixels of other
        classes are made by other values of the fields, see `vivit.processor_files.CLASSES`.
    """

    do_resize: bool = True
    size: Mapping[str, int] = field(default_factory=lambda: {"shortest_edge": 256})
    resample: int = 2
    do_center_crop: bool = True
    crop_size: Mapping[str, int] = field(default_factory=lambda: {"height": 224, "width": 224})
    do_rescale: bool = True
    rescale_factor: float = 1 / 127.5
    offset: bool = True
    do_normalize: bool = True
    image_mean: float | Sequence[float] = (0.5, 0.5, 0.5)
    image_std: float | Sequence[float] = (0.5, 0.5, 0.5)
    extra: Mapping[str, Any] | None = None
    backend: str = "pil"

    model_input_names: ClassVar[list[str]] = ["pixel_values"]

    def __setattr__(self, name: str, value: Any) -> None:
        if not self.__dict__.get("_made"):
            object.__setattr__(self, name, value)
            return
        known = {f.name for f in fields(self)}
        if name not in known:
            raise AttributeError(f"a {type(self).__name__} has no field {nearest(name, known)}")
        changed = replace(self, **{name: value})
        self.__dict__.update({f: getattr(changed, f) for f in known})

    def __post_init__(self) -> None:
        for name in SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, not {getattr(self, name)!r}")
        # Old files give one number for size or crop_size.
        size: Any = {"shortest_edge": self.size} if _is_whole(self.size) else _of_pair(self.size)
        crop: Any = _of_pair((self.crop_size,) * 2 if _is_whole(self.crop_size) else self.crop_size)
        if not isinstance(size, Mapping) or set(size) not in ({"shortest_edge"}, {"height", "width"}):
            raise ValueError(f"size must have 'shortest_edge', or 'height' and 'width', not {size!r}")
        if not isinstance(crop, Mapping) or set(crop) != {"height", "width"}:
            raise ValueError(f"crop_size must have 'height' and 'width', not {crop!r}")
        if not all(_is_whole(v) and 0 < v <= MOST_SIDE for v in (*size.values(), *crop.values())):
            raise ValueError(f"size={size} and crop_size={crop} must be whole numbers from 1 to {MOST_SIDE:,}")
        self.size, self.crop_size = dict(size), dict(crop)
        if self.offset and not self.do_rescale:
            raise ValueError("offset=True needs do_rescale=True")
        if not (_is_whole(self.resample) and 0 <= self.resample <= 5):
            raise ValueError(f"resample must be one of PIL's filters 0 to 5, not {self.resample!r}")
        self.resample = int(self.resample)  # PIL's own enumeration is an int too
        if self.backend not in RESIZE:
            raise ValueError(f"backend={self.backend!r} is unknown; known are {', '.join(RESIZE)}")
        if self.backend == "torchvision" and self.resample not in (_BILINEAR, BICUBIC):
            raise ValueError(f"resample must be 2, bilinear, or 3, bicubic, with torchvision, not {self.resample}")
        for name in ("rescale_factor", "image_mean", "image_std"):
            value = getattr(self, name)
            several = isinstance(value, Sequence) and not isinstance(value, str) and name != "rescale_factor"
            numbers = value if several else [value]
            if not numbers or not all(isinstance(v, int | float) and abs(v) <= MOST_NUMBER for v in numbers):
                raise ValueError(f"{name} must be a number, or one a channel, not {str(value)[:80]!r}")
            if isinstance(value, Sequence):
                setattr(self, name, list(value))  # a list, as JSON has it: what is read equals what was written
            if name == "image_std" and any(abs(v) < 1 / MOST_NUMBER for v in numbers):
                raise ValueError(f"image_std must not be 0, since pixels are divided by it: {value!r}")
        self.__dict__["_made"] = True

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], **changes: Any) -> Self:
        """Build a processor from the keys of a `preprocessor_config.json`; those that no pixel depends on are kept in `extra`.

        Args:
            values: the keys.
            changes: fields to replace.

        Raises:
            vivit.errors.UserError: for a class or a switch whose pixels are not made here.
            ValueError: for what is no field, or an impossible value.
        """
        return cls._of(understand(values, "the image processor", cls._known())).changed(**changes)

    def changed(self, **changes: Any) -> Self:
        """A processor with some fields replaced.

        Raises:
            ValueError: for what is no field, or an impossible value.
        """
        refuse_unknown(changes, {f.name for f in fields(self)}, OPTION_NAMES)
        return replace(self, **changes)

    @classmethod
    def _of(cls, stated: Stated) -> Self:
        return cls(**stated.options, extra=stated.extra or None)

    @classmethod
    def _known(cls) -> set[str]:
        return {f.name for f in fields(cls)} - {"extra", "backend"}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Self:
        """Read the processor of a checkpoint; see `from_folder`.

        Args:
            pretrained_model_name_or_path: a folder, which needs no more than a processor's file, or any name
                `vivit.hub.find_checkpoint` knows.
            options: of `vivit.hub.HubOptions` (revision, token, cache_dir and others), and fields to replace after reading.

        Raises:
            vivit.hub.HubError: if there is no such checkpoint.
            vivit.errors.UserError: as `from_folder`.
            ValueError: for an unknown option, or an impossible value.
        """
        where, changes = split_options(options)
        refuse_unknown(changes, {f.name for f in fields(cls)}, OPTION_NAMES)
        folder = as_path(pretrained_model_name_or_path) / where.subfolder
        if not any(os.path.lexists(folder / file) for file in PROCESSORS):
            folder = locate(pretrained_model_name_or_path, where, weights=False)[1]
        return cls.from_folder(folder, **changes)

    @classmethod
    def from_folder(cls, folder: Path, **changes: Any) -> Self:
        """Read a folder's processor files, `vivit.hub.PROCESSORS`; without one the crop is what its `config.json` takes.

        Args:
            folder: of a checkpoint.
            changes: as `from_pretrained`'s.

        Raises:
            vivit.errors.UserError: if a file names a class or a switch whose pixels are not made here, states something
                impossible, or makes other pixels than another file beside it.
        """
        found = []
        for stated in read_stated(folder, cls._known()):
            try:
                processor = cls._of(stated)
                made = processor._pixels()
            except ValueError as error:
                where = stated.where[0].upper() + stated.where[1:]
                raise UserError(
                    f"{where} cannot be used: {error}. Choose another checkpoint, or correct it."
                ) from error
            found.append((processor, made, stated.where))
        for _, made, where in found:
            if made != found[0][1]:
                first = found[0][2][0].upper() + found[0][2][1:]
                raise UserError(
                    f"{first} and {where} make different pixels. Take the one that the model was not trained with away."
                )
        processor = found[0][0] if found else cls._usual(folder)
        return processor.changed(**changes)

    @classmethod
    def _usual(cls, folder: Path) -> Self:
        """For a checkpoint without a processor's file: the crop is what its model takes, in the usual proportion."""
        if not (folder / "config.json").is_file():
            return cls()
        _, height, width = VivitConfig.from_folder(folder).clip_size
        return cls.cropping(height, width)

    @classmethod
    def cropping(cls, height: int, width: int, **settings: Any) -> Self:
        """Frames are resized and cropped in the published models' proportion.

        Args:
            height, width: of the crop, in pixels.
            settings: the others of a processor.
        """
        edge = round(max(height, width) * PROPORTION)
        return cls(size={"shortest_edge": edge}, crop_size={"height": height, "width": width}, **settings)

    def _pixels(self) -> dict[str, Any]:
        """Everything that the pixels of a frame of three channels depend on: equal where two processors make equal pixels."""
        made: dict[str, Any] = {"backend": self.backend}
        if self.do_resize:
            made |= {"size": self.size, "resample": self.resample}
        if self.do_center_crop:
            made |= {"crop_size": self.crop_size}
        scale, shift = self.line(3)
        return made | {"scale": scale.astype(np.float32).tolist(), "shift": shift.astype(np.float32).tolist()}

    def save_pretrained(self, save_directory: str | Path, push_to_hub: bool = False) -> list[str]:
        """Write the processor's file, which transformers reads too, into a folder, which is made if it is missing.

        The file is `preprocessor_config.json`, or `video_preprocessor_config.json` for torchvision's pixels; it takes the place
        of whichever processor files are there.

        Returns:
            The file that was written.

        Raises:
            ValueError: for `push_to_hub`.
        """
        refuse_push(push_to_hub)
        folder, text = Path(save_directory), self.to_json_string()
        folder.mkdir(parents=True, exist_ok=True)
        for other in PROCESSORS:  # each that stayed would be read too
            (folder / other).unlink(missing_ok=True)
        file = folder / (IMAGE if self.backend == "pil" else VIDEO)
        file.write_text(text, encoding="utf-8")
        return [str(file)]

    def to_dict(self) -> dict[str, Any]:
        """The keys of its file: `preprocessor_config.json`, or `video_preprocessor_config.json` for torchvision's pixels."""
        values = asdict(self)
        extra = values.pop("extra") or {}
        if values.pop("backend") == "pil":
            return extra | values | {"image_processor_type": "VivitImageProcessor"}
        # Transformers' video classes have no switch for subtracting 1: one always does, the other never.
        vivit = values.pop("offset") or not self.do_rescale
        return extra | values | {"video_processor_type": "VivitVideoProcessor" if vivit else "VideoMAEVideoProcessor"}

    def to_json_string(self) -> str:
        """What stands in its file."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"

    @property
    def output_size(self) -> tuple[int, int] | None:
        """(height, width) of what a model is given; None where that depends on the clip."""
        if self.do_center_crop:
            return self.crop_size["height"], self.crop_size["width"]
        fixed = self.do_resize and "shortest_edge" not in self.size
        return (self.size["height"], self.size["width"]) if fixed else None

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) in pixels after the resize step alone."""
        if not self.do_resize:
            return height, width
        if "shortest_edge" not in self.size:
            return self.size["height"], self.size["width"]
        edge = self.size["shortest_edge"]
        return (edge, int(edge * width / height)) if height < width else (int(edge * height / width), edge)

    def crop_box(self, height: int, width: int, crop: int = 0, count: int = 1) -> tuple[float, float, float, float]:
        """The part of a frame of that size that the model sees: (left, top, right, bottom) in its pixels.

        Args:
            height, width: the frame's, in pixels.
            crop: which of `count` crops, see `crops`.

        Raises:
            vivit.errors.UserError: as `crops`.
        """
        new_height, new_width = self.resized(height, width)
        (crop_height, crop_width), places = self._places(new_height, new_width, count)
        if not self.do_center_crop:
            return 0.0, 0.0, float(width), float(height)
        (top, left), across, down = places[crop], width / new_width, height / new_height
        return left * across, top * down, (left + crop_width) * across, (top + crop_height) * down

    def _places(self, height: int, width: int, count: int) -> tuple[tuple[int, int], list[tuple[int, int]]]:
        """(height, width) that every crop of a resized picture keeps of it, and (top, left) of each; see `crops`."""
        if not self.do_center_crop:
            if count > 1:
                raise UserError(
                    f"{count} crops of a picture cannot be had, since this checkpoint's processor takes the whole of it. "
                    "Choose views with one, such as 4x1."
                )
            return (height, width), [(0, 0)]
        top, kept_height = _crop(height, self.crop_size["height"])
        left, kept_width = _crop(width, self.crop_size["width"])
        if count == 1:
            places = [(top, left)]
        elif height > width:
            places = [(k * (height - kept_height) // (count - 1), left) for k in range(count)]
        else:
            places = [(top, k * (width - kept_width) // (count - 1)) for k in range(count)]
        return (kept_height, kept_width), places

    def resize_and_crop(self, frame: np.ndarray) -> np.ndarray:
        """The first half, for one frame: the centre crop, (crop height, crop width, C). Args: frame: as `crops` takes it."""
        crop: np.ndarray = self.crops(frame)[0]
        return crop

    def crops(self, frame: np.ndarray, count: int = 1) -> np.ndarray:
        """The first half, for one frame, which is resized once.

        One crop is cut from the middle. Several lie evenly along the longer side of the resized picture, its width if both
        are equal, from one end to the other, rounded down: crop k of n begins at ⌊k · (side - crop) / (n - 1)⌋. Along the other
        side they are in the middle.

        Of a frame whose resized picture would be huge (8192 × 16 becomes 131072 × 256) only what the crop keeps is computed;
        PIL then rounds some pixels differently by one level, so ordinary frames are resized whole, as transformers does.

        Args:
            frame: (H, W, C) uint8; of any dtype if it is not resized, or resized by the backend 'torchvision'.
            count: how many crops.

        Returns:
            (count, crop height, crop width, C), or (1, resized height, resized width, C) without a crop; dtype of `frame`.

        Raises:
            vivit.errors.UserError: for several crops without a crop.
        """
        height, width = frame.shape[:2]
        size = new_height, new_width = self.resized(height, width)
        target = (self.crop_size["height"], self.crop_size["width"]) if self.do_center_crop else size
        (kept_height, kept_width), places = self._places(new_height, new_width, count)
        if size == (height, width) or new_height * new_width <= _MOST_PIXELS:
            whole = frame if size == (height, width) else RESIZE[self.backend](frame, size, self.resample, None)
            cuts = [whole[top : top + kept_height, left : left + kept_width] for top, left in places]
        else:
            across, down = width / new_width, height / new_height
            cuts = []
            for top, left in places:
                right, bottom = min(width, (left + kept_width) * across), min(height, (top + kept_height) * down)
                box = (left * across, top * down, right, bottom)
                cuts.append(RESIZE[self.backend](frame, (kept_height, kept_width), self.resample, box))
        kept = np.stack(cuts).reshape(count, kept_height, kept_width, frame.shape[2])
        if kept.shape[1:3] == target:
            return kept
        padded = np.zeros((count, *target, frame.shape[2]), frame.dtype)
        # transformers rounds the padding on top and left up with PIL, and down with torchvision.
        up = int(self.backend == "pil")
        y, x = (target[0] - kept_height + up) // 2, (target[1] - kept_width + up) // 2
        padded[:, y : y + kept_height, x : x + kept_width] = kept
        return padded

    def normalise(self, frames: np.ndarray) -> np.ndarray:
        """The second half: uint8 → float32, channels first. `vivit.crossing.normalise` does it on a device.

        Args:
            frames: (…, H, W, C), [0, 255].

        Returns:
            (…, C, H, W) float32; [-3, 1] with the defaults.
        """
        scale, shift = self.line(frames.shape[-1])
        pixels = np.moveaxis(frames, -1, -3).astype(np.float32, order="C")
        pixels *= scale.astype(np.float32)[:, None, None]
        pixels += shift.astype(np.float32)[:, None, None]
        return pixels

    def line(self, channels: int) -> tuple[np.ndarray, np.ndarray]:
        """Rescaling, offset and normalisation in one: (scale, shift), float64, one number a channel each.

        Raises:
            ValueError: if `image_mean` or `image_std` is of another number of channels.
        """
        scale, shift = np.ones(channels), np.zeros(channels)
        if self.do_rescale:
            scale, shift = scale * self.rescale_factor, shift - bool(self.offset)
        if self.do_normalize:
            mean, std = (_per_channel(v, channels) for v in (self.image_mean, self.image_std))
            scale, shift = scale / std, (shift - mean) / std
        return scale, shift

    def preprocess(
        self,
        videos: Any = None,
        *,
        images: Any = None,
        return_tensors: str | None = None,
        data_format: str = "channels_first",
        input_data_format: str | None = None,
        **changes: Any,
    ) -> BatchFeature:
        """Both halves, for one clip or a batch.

        Args:
            videos: one picture, a list of pictures (one clip), a list of clips, or an array or tensor of 3, 4 or 5
                dimensions; pictures are PIL images, or (H, W, C) or (C, H, W) arrays or tensors in [0, 255].
            images: the other name of `videos`.
            return_tensors: 'pt', 'np', or None for lists of arrays.
            data_format: 'channels_first' or 'channels_last' for the result.
            input_data_format: the same of the input; found from its shape if None.
            changes: any field, for this call only.

        Returns:
            {"pixel_values": (clips, T, C, H, W) float32}; without `return_tensors` a list of clips, each a list of (C, H, W).

        Raises:
            ValueError: for something that is no picture, frames of several sizes, or an impossible option.
        """
        refuse_unknown(changes, {f.name for f in fields(self)})
        if videos is not None and images is not None:
            raise ValueError("videos and images are two names of one thing; give one of them")
        videos = images if videos is None else videos
        for name, value in (("return_tensors", return_tensors), ("data_format", data_format)):
            known = (None, "pt", "np") if name == "return_tensors" else ("channels_first", "channels_last")
            if value not in known:
                raise ValueError(f"{name}={value!r} is unknown; known are {known}")
        now = replace(self, **{k: v for k, v in changes.items() if v is not None})
        clips = [[now.normalise(now.small(frame, input_data_format)[0]) for frame in clip] for clip in as_clips(videos)]
        if data_format == "channels_last":
            clips = [[np.moveaxis(frame, 0, -1) for frame in clip] for clip in clips]
        if return_tensors is None:
            return BatchFeature(pixel_values=clips)
        shapes = {(len(clip), *frame.shape) for clip in clips for frame in clip}
        if len(shapes) > 1:
            raise ValueError(f"clips of different sizes cannot share a tensor: {sorted(shapes)}")
        pixel_values = np.stack([np.stack(clip) for clip in clips])
        if return_tensors == "np":
            return BatchFeature(pixel_values=pixel_values)
        import torch  # only here: a process that prepares frames has no need of it

        return BatchFeature(pixel_values=torch.from_numpy(pixel_values))

    __call__ = preprocess

    def small(self, picture: Any, input_data_format: str | None = None, crops: int = 1) -> np.ndarray:
        """The first half, for one picture of any kind.

        Args:
            picture, input_data_format: as `preprocess` takes them.
            crops: how many, as the `count` of `crops`.

        Returns:
            (crops, crop height, crop width, C), for `normalise`: uint8 if `picture` is, or if PIL resizes its whole numbers;
            else of another dtype, in the range of `picture`.

        Raises:
            ValueError: for something that is no picture, or whose numbers PIL cannot resize.
            vivit.errors.UserError: as `crops`.
        """
        frame = channels_last(picture, input_data_format)
        if 0 in frame.shape:
            raise ValueError(f"a picture of shape {frame.shape} has no pixels")
        if frame.dtype == np.uint8 or not self.do_resize or self.backend == "torchvision":
            return self.crops(frame, crops)
        # PIL resizes whole numbers only, so pictures in [0, 1] take the way over [0, 255] and back.
        if np.isfinite(frame).all() and np.allclose(frame, whole := frame.astype(int)):
            if whole.min() >= 0 and whole.max() <= 255:
                return self.crops(frame.astype(np.uint8), crops)
        elif frame.min() >= 0 and frame.max() <= 1:
            levels = (frame.astype(np.float64) * 255).astype(np.float32).astype(np.uint8)
            return (self.crops(levels, crops) * np.float64(1 / 255)).astype(np.float32)
        raise ValueError(
            f"a picture to resize must hold whole numbers in [0, 255] or numbers in [0, 1], not [{frame.min()}, {frame.max()}]"
        )


@dataclass
class VivitVideoProcessor(VivitImageProcessor):
    """A `VivitImageProcessor` with torchvision's pixels, whatever class a checkpoint's files name.

    Source: `VivitVideoProcessor` of transformers 5.
    """

    backend: str = "torchvision"

    @classmethod
    def _of(cls, stated: Stated) -> Self:
        options = stated.options | {"backend": "torchvision"}
        return cls(**options, extra=stated.extra or None)


def _of_pair(value: Any) -> Any:
    """(height, width) by their names; whatever else as it is."""
    pair = isinstance(value, list | tuple) and len(value) == 2
    return dict(zip(("height", "width"), value, strict=True)) if pair else value


def _crop(size: int, kept: int) -> tuple[int, int]:
    """(start, length) of a centred crop along one axis; all of it where it is shorter."""
    return ((size - kept) // 2, kept) if size >= kept else (0, size)


def _per_channel(value: float | Sequence[float], channels: int) -> np.ndarray:
    values = np.atleast_1d(np.asarray(value, np.float64))
    if len(values) not in (1, channels):
        raise ValueError(f"image_mean and image_std need 1 or {channels} numbers, not {len(values)}")
    return values


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
