"""The files in which a checkpoint says what happens to frames: whose class they name, and what they state.

Every file counts, and what could change a pixel is never passed over: it is honoured, or refused by name. A file states only
what it must, so the defaults of the class that it names count too.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vivit.errors import UserError
from vivit.hub import PROCESSORS, called, read_json

IMAGE, VIDEO = "preprocessor_config.json", "video_preprocessor_config.json"
TYPES = ("image_processor_type", "video_processor_type", "feature_extractor_type")  # the keys that name a class
SECTIONS = ("image_processor", "video_processor", "feature_extractor")  # of `processor_config.json`
SWITCHES = ("do_resize", "do_center_crop", "do_rescale", "offset", "do_normalize")
# Frames are red, green and blue already, and the caller chooses which frames are taken.
HARMLESS = ("do_convert_rgb", "do_sample_frames")

MOST_LETTERS = 120  # of a stranger's value in a sentence


@dataclass(frozen=True)
class ProcessorClass:
    """A class of transformers whose pixels are made here.

    Args:
        backend: what it resizes with, a key of `vivit.resizing.RESIZE`.
        defaults: those that are not `VivitImageProcessor`'s.
        offset: whether 1 is subtracted wherever the class rescales; None where the file has a switch for that.
    """

    backend: str = "pil"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    offset: bool | None = None


_VIDEOMAE = {"size": {"shortest_edge": 224}, "rescale_factor": 1 / 255}

# 'VideoMAEImageProcessor' resizes with PIL up to transformers 4, with which the published models were trained. Version 5 has a
# class for torchvision too, and both classes write that name.
CLASSES: dict[str, ProcessorClass] = {
    **dict.fromkeys(("VivitImageProcessor", "VivitFeatureExtractor"), ProcessorClass()),
    "VivitVideoProcessor": ProcessorClass("torchvision", offset=True),
    **dict.fromkeys(
        ("VideoMAEImageProcessor", "VideoMAEImageProcessorPil", "VideoMAEFeatureExtractor"),
        ProcessorClass("pil", _VIDEOMAE, offset=False),
    ),
    **dict.fromkeys(
        ("VideoMAEVideoProcessor", "VideoMAEImageProcessorFast"),
        ProcessorClass("torchvision", _VIDEOMAE, offset=False),
    ),
}


@dataclass(frozen=True)
class Stated:
    """What one file, or one section of it, says.

    Args:
        where: what to call it in a sentence.
        options: the fields of `vivit.processing.VivitImageProcessor`, as far as they are not its defaults.
        extra: all other keys but those that name a class, which follows from the options.
    """

    where: str
    options: dict[str, Any]
    extra: dict[str, Any]


def read_stated(folder: Path, known: set[str]) -> list[Stated]:
    """What a folder's processor files say, each for itself; nothing where there is none.

    Args:
        folder: of a checkpoint.
        known: the fields of a processor.

    Raises:
        UserError: for a file that is damaged, or says what is not done here.
    """
    found = []
    for file in PROCESSORS:
        if not os.path.lexists(folder / file):  # a link to nothing is a damaged file, and no absent one
            continue
        values = read_json(folder / file)
        sections = {name: values[name] for name in SECTIONS if values.get(name) is not None}
        for name, section in sections.items():
            where = f"'{name}' in the {file} of '{called(folder)}'"
            if not isinstance(section, dict):
                raise UserError(f"{where} is no JSON object. Choose another checkpoint, or correct that file.")
            found.append(understand(section, where, known, "Video" if name == "video_processor" else "Image"))
        # A `processor_config.json` of transformers 4 says what joins a processor and a tokenizer, and nothing of pixels.
        of_pixels = known | set(TYPES) | {key for key in values if key.startswith("do_")}
        if not sections and (file in (IMAGE, VIDEO) or of_pixels & set(values)):
            where = f"the {file} of '{called(folder)}'"
            found.append(understand(values, where, known, "Video" if file == VIDEO else "Image"))
    return found


def understand(values: Mapping[str, Any], where: str, known: set[str], usual: str = "Image") -> Stated:
    """What the keys of a processor's file mean.

    Args:
        values: the file's, or a section's.
        where: what to call the file.
        known: the fields of a processor.
        usual: 'Image' or 'Video', the kind of class that the file stands for if it names none.

    Raises:
        UserError: if it names a class whose pixels are not made here, brings code, or switches on what is not done here.
    """
    names = [values[key] for key in TYPES if values.get(key) is not None] or [f"Vivit{usual}Processor"]
    for name in names:
        if not isinstance(name, str) or name not in CLASSES:
            raise _refusal(
                where, f"names the class {_short(name)}, whose pixels are not made here; those of {_listed()} are"
            )
        if CLASSES[name] != CLASSES[names[0]]:
            raise _refusal(where, f"names two classes whose pixels differ, {names[0]} and {name}")
    if values.get("auto_map"):
        raise _refusal(where, f"has 'auto_map', code of its own that makes the pixels ({_short(values['auto_map'])})")
    unknown = [k for k, v in values.items() if k.startswith("do_") and v and k not in (*SWITCHES, *HARMLESS)]
    if unknown:
        raise _refusal(where, f"switches on what is not done here: {_short(unknown)}")
    if values.get("default_to_square") and isinstance(values.get("size"), int):
        raise _refusal(where, "has 'default_to_square' beside a size of one number")
    of_class = CLASSES[names[0]]
    options = {k: _without_nulls(v) for k, v in values.items() if k in known and v is not None}
    options |= {k: False for k in SWITCHES if k in values and values[k] is None}  # null is off to each of these classes
    options = dict(of_class.defaults) | options | {"backend": of_class.backend}
    if of_class.offset is not None:
        options["offset"] = of_class.offset and options.get("do_rescale", True)
    return Stated(where, options, {k: v for k, v in values.items() if k not in known and k not in TYPES})


def _without_nulls(value: Any) -> Any:
    """{"height": 8, "width": 8, "longest_edge": null} says no more than without the last."""
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def _short(value: Any) -> str:
    """A stranger's value in a sentence: on one line, and not too long for it."""
    text = repr(value)
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}…"


def _listed() -> str:
    return ", ".join(CLASSES)


def _refusal(where: str, what: str) -> UserError:
    where = where[0].upper() + where[1:]
    return UserError(
        f"{where} {what}. Choose another checkpoint, or correct that file if the model was trained otherwise."
    )
