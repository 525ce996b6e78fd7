"""`python -m vivit convert`: a checkpoint as safetensors, with its config and its processor."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vivit.writing import new_folder, refuse_full, write_whole

if TYPE_CHECKING:
    from vivit.pretrained import VivitPreTrainedModel
    from vivit.processing import VivitImageProcessor

# For a checkpoint of the original release that is fetched: the largest has 600 million parameters, and one moment of each.
MOST_BYTES, MOST_SECONDS = 8 * 2**30, 3600.0
SCENIC_ONLY = ("num_frames", "image_size", "attention_order")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything `convert` understands."""
    from vivit.config import ATTENTION_ORDERS

    parser.add_argument(
        "checkpoint",
        metavar="NAME|DIR",
        help="embedded, a folder, or a Hub name; with --from scenic a file, its folder, or its address (https:// or http://)",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="a folder that is empty or does not exist")
    parser.add_argument("--revision", help="of a Hub repository: a branch, a tag or a commit")
    parser.add_argument(
        "--from",
        dest="source",
        choices=["scenic"],
        help="the checkpoint is one of the original release (google-research/scenic, projects/vivit)",
    )
    scenic = parser.add_argument_group("with --from scenic, whose files do not say it")
    scenic.add_argument("--num-frames", type=int, metavar="N", help="frames of the clips that it was trained on, 32")
    scenic.add_argument(
        "--image-size",
        type=int,
        nargs="+",
        metavar="N",
        help="their height and width in pixels, or one number for squares, 224; stands after OUT",
    )
    scenic.add_argument(
        "--attention-order", choices=ATTENTION_ORDERS, help="of model 3: what comes first in a layer, time_space"
    )


def convert(options: argparse.Namespace) -> int:
    """Write the checkpoint that the options name into a folder.

    Returns:
        The exit status, 0.

    Raises:
        ValueError, OSError: for what cannot be converted or written; the message is for the user, and nothing is written.
    """
    given = [f"--{name.replace('_', '-')}" for name in SCENIC_ONLY if getattr(options, name) is not None]
    if given and options.source != "scenic":
        raise ValueError(
            f"{' and '.join(given)} can only be given of a checkpoint of the original release. Add --from scenic, or leave "
            f"{'them' if len(given) > 1 else 'it'} out."
        )
    if options.source and options.revision is not None:
        raise ValueError("--revision is of a Hub repository, and --from scenic takes a file. Leave one of them out.")
    refuse_full(options.out)
    if not options.source:
        _refuse_unpublished(options.checkpoint)
    with new_folder(options.out):
        print((_from_scenic if options.source == "scenic" else _from_published)(options))
    return 0


def _refuse_unpublished(checkpoint: str) -> None:
    """Raise ValueError for what is no name of a published checkpoint and could be meant otherwise."""
    from vivit.checkpoint import RANDOM_CONFIGS
    from vivit.fetching import is_address
    from vivit.hub import as_path

    if checkpoint in RANDOM_CONFIGS:
        raise ValueError(f"'{checkpoint}' has random weights, which nobody needs converted. Give a trained checkpoint.")
    file = as_path(checkpoint)
    if is_address(checkpoint) or (file.is_file() and file.suffix not in (".safetensors", ".bin", ".json")):
        what = "an address" if is_address(checkpoint) else "a file"
        raise ValueError(
            f"'{checkpoint}' is {what}, and a checkpoint is a folder or a Hub repository. Add --from scenic if it is one of "
            "the original release."
        )


def _show(fraction: float, note: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{note:60}", end="" if fraction < 1 else "\n", file=sys.stderr, flush=True)


def _from_published(options: argparse.Namespace) -> str:
    """Convert what `open_checkpoint` opens. Returns what to say of it."""
    from vivit.checkpoint import open_checkpoint
    from vivit.hub import download

    found = download(options.checkpoint, options.revision, _show)
    for notice in found.notices:
        print(f"vivit: {notice}", file=sys.stderr)
    checkpoint = open_checkpoint(found.folder)
    processor = checkpoint.processor
    from vivit.model import VivitForVideoClassification  # torch is slow to import: first what can fail without

    _write(checkpoint.load(VivitForVideoClassification), processor, options.out)
    made = " in 8 bit, made float32," if checkpoint.config.extra.get("quantization_config") else ""
    return f"{options.out}: {found.num_labels} classes, from {found.format}{made} of '{found.name}' {found.commit}".rstrip()


def _from_scenic(options: argparse.Namespace) -> str:
    """Convert a checkpoint of the original release. Returns what to say of it."""
    from vivit.names import FACTORIZATIONS
    from vivit.processing import NORMALISATIONS, VivitImageProcessor

    with _file(options.checkpoint) as file:
        from vivit.checkpoint import scenic
        from vivit.checkpoint.layout import published_tensors, read_into
        from vivit.hub import named_classes
        from vivit.model import VivitForVideoClassification

        config, tensors = scenic.read(file, **_clip(options))
        _, height, width = config.clip_size
        processor = VivitImageProcessor.cropping(height, width, **NORMALISATIONS["original"])
        model = VivitForVideoClassification.without_weights(
            config, attn_implementation="sdpa", dtype="float32", device="cpu"
        )
        if faults := read_into(published_tensors(model), tensors):  # `scenic.read` has compared names and shapes
            raise RuntimeError(f"a tensor that nobody foresaw: {faults[0].text}")
        _write(model.eval(), processor, options.out)
    if options.attention_order and config.factorization != "self_attention":
        print("vivit: --attention-order says nothing here: this is no model 3.", file=sys.stderr)
    kind = FACTORIZATIONS[config.factorization].partition(":")[0]
    labels = "" if named_classes(config.num_labels) else ", which it does not name (id2label in config.json can),"
    return f"{options.out}: {config.num_labels} classes{labels} from Flax's msgpack of '{file.name}', {kind}"


def _clip(options: argparse.Namespace) -> dict[str, Any]:
    """What was said of the clips, by the names of `vivit.checkpoint.scenic.read`."""
    given = {name: getattr(options, name) for name in SCENIC_ONLY if getattr(options, name) is not None}
    if size := given.get("image_size"):
        if len(size) > 2:
            raise ValueError(f"--image-size wants a height and a width, or one number, not {len(size)} numbers.")
        given["image_size"] = size[0] if len(size) == 1 else tuple(size)
    return given


@contextmanager
def _file(checkpoint: str) -> Iterator[Path]:
    """The file or folder that was named, or a temporary file of what lies at an address."""
    from vivit.fetching import fetched, is_address
    from vivit.hub import as_path

    if not is_address(checkpoint):
        yield as_path(checkpoint)
        return
    limits: dict[str, Any] = {"most_bytes": MOST_BYTES, "most_seconds": MOST_SECONDS}
    with fetched(checkpoint, **limits, what="checkpoint", progress=_show) as file:
        yield file


def _write(model: "VivitPreTrainedModel", processor: "VivitImageProcessor", out: Path) -> None:
    """Write both into a folder, or nothing."""

    def write(folder: Path) -> None:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)

    write_whole(out, write)
