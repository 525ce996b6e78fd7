"""The library's abilities without a browser: `python -m vivit --help`."""

import argparse
import json
import os
import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from shutil import rmtree
from typing import Any

# Whatever takes its time to import is imported by the functions, where a Ctrl-C is met.

OUT_OF_MEMORY = (
    "This does not fit into the memory of this machine. Choose the sdpa attention, a half precision, a smaller batch or a "
    "smaller checkpoint."
)


def _parser() -> argparse.ArgumentParser:
    from vivit import convert_command
    from vivit.benchmark import compare_command
    from vivit.benchmark.command import add_arguments
    from vivit.evaluate import command as evaluate_command
    from vivit.explain import command as explain_command
    from vivit.names import BACKENDS, EXECUTIONS, GEOMETRY, NORMALISATION, PRECISIONS, SAMPLING
    from vivit.teach import command as teach_command
    from vivit.timeline import command as timeline_command

    def add_device(command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "--device",
            metavar="NAME",
            help="cpu, cuda:1, mps, xpu; a GPU if there is one, and $VIVIT_DEVICE, if left out",
        )

    def add_model(command: argparse.ArgumentParser) -> None:
        """By which model pictures are looked at, and how they are read."""
        command.add_argument(
            "--model", default="vivit-mannequin", metavar="NAME|DIR", help="embedded, a folder, or a Hub name"
        )
        command.add_argument("--revision", help="of a Hub repository: a branch, a tag or a commit")
        command.add_argument("--attention", default="sdpa", metavar="NAME", help=f"backend: {', '.join(BACKENDS)}")
        command.add_argument("--precision", default="float32", metavar="NAME", help=", ".join(PRECISIONS))
        command.add_argument("--geometry", default="upright", choices=list(GEOMETRY), help="how pictures are read")
        command.add_argument(
            "--normalisation", default="checkpoint", choices=list(NORMALISATION), help="whose pixel values"
        )
        add_device(command)

    def add_execution(command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "--execution", default="plain", metavar="NAME", help=f"how passes run: {', '.join(EXECUTIONS)}"
        )

    def add_sampling(command: argparse.ArgumentParser) -> None:
        command.add_argument("--sampling", default="uniform", choices=list(SAMPLING), help="how frames are chosen")
        command.add_argument(
            "--stride", type=int, metavar="N", help="every n-th frame, where the sampling has a stride"
        )

    def add_clips(command: argparse.ArgumentParser) -> None:
        """Which clips, which of their frames, and how they are looked at."""
        command.add_argument(
            "clips", nargs="+", metavar="CLIP", help="a video file, or its address (https:// or http://)"
        )
        add_sampling(command)
        add_model(command)
        command.add_argument("--json", action="store_true", help="one JSON object a clip and line")

    prog = "vivit" if Path(sys.argv[0]).stem == "vivit" else "python -m vivit"  # as it was started
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    classify = commands.add_parser("classify", help="name the action in video files")
    add_clips(classify)
    add_execution(classify)
    classify.add_argument(
        "--views",
        default="1x1",
        metavar="SxC",
        help="times × crops that a clip is looked at, logits averaged; 4x3 as published. Several times have a stride, of 2 if "
        "left out",
    )
    classify.add_argument("--top-k", type=int, default=5, metavar="N", help="how many classes to report")
    explain = commands.add_parser("explain", help="what a model looked at in video files, and whether it used time")
    add_clips(explain)
    explain_command.add_arguments(explain)
    timeline = commands.add_parser("timeline", help="what happens when in a film of any length")
    timeline.add_argument("film", metavar="FILE", help="a video file, or its address (https:// or http://)")
    timeline_command.add_arguments(timeline)
    add_model(timeline)
    add_execution(timeline)
    evaluate = commands.add_parser("evaluate", help="how often a model is right about many labelled clips")
    evaluate_command.add_arguments(evaluate)
    add_sampling(evaluate)
    add_model(evaluate)
    add_execution(evaluate)
    teach = commands.add_parser("teach", help="a checkpoint for classes of your own, from a few clips of each")
    teach_command.add_arguments(teach)
    add_sampling(teach)
    add_model(teach)
    add_execution(teach)
    convert = commands.add_parser("convert", help="write a checkpoint as safetensors, with its config and labels")
    convert_command.add_arguments(convert)
    bench = commands.add_parser("bench", help="measure attention backends: latency, memory, agreement")
    add_arguments(bench)
    add_device(bench)
    side_by_side = commands.add_parser("compare", help="time attention backends and precisions in turn on a clip")
    compare_command.add_arguments(side_by_side)
    add_device(side_by_side)
    return parser


def _tell(error: Exception) -> int:
    """Tell the user of what they asked for that is wrong or too much; a fault of ours is raised again. Returns 2."""
    from vivit.errors import out_of_memory

    if not (out_of_memory(error) or isinstance(error, ValueError | OSError)):
        raise error
    said = OUT_OF_MEMORY if out_of_memory(error) else str(error) or type(error).__name__
    print(f"vivit: {said.splitlines()[0]}", file=sys.stderr)
    return 2


def _classify(options: argparse.Namespace) -> int:
    from vivit.checkpoint import open_checkpoint
    from vivit.device import default_device
    from vivit.options import load_pipeline

    device = default_device()  # whose error comes before a download
    classifier = load_pipeline(
        options,
        open_checkpoint(options.model, options.revision),
        device,
        top_k=options.top_k,
        sampling=options.sampling,
        stride=options.stride,
        geometry=options.geometry,
        views=options.views,
    )
    status = 0
    for clip in options.clips:
        try:
            result = classifier(clip)
        except Exception as error:
            status = _tell(error)
            continue
        report: dict[str, Any] = {
            "clip": clip,
            "model": options.model,
            "attention": options.attention,
            "precision": options.precision,
            "execution": options.execution,
            "views": options.views,
            "device": classifier.model.device.type,
            "frames": [{"index": i, "seconds": s} for i, s in zip(result.indices, result.seconds, strict=True)],
            "predictions": list(result),
            "timings_ms": result.timings_ms,
            "warnings": result.warnings,
        }
        print(json.dumps(report, allow_nan=False) if options.json else _as_text(report), flush=True)
    return status


def _as_text(report: dict[str, Any]) -> str:
    rows = [f"  {p['score']:7.2%}  {p['label']}" for p in report["predictions"]]
    first, last, times = report["frames"][0], report["frames"][-1], report["timings_ms"]
    views = f" in {report['views']} views" * (report["views"] != "1x1")
    return "\n".join(
        [
            report["clip"],
            *rows,
            f"  {len(report['frames'])} frames{views}, {first['seconds']:.2f} s to {last['seconds']:.2f} s; "
            f"{report['attention']}, {report['precision']}, {report['device']}; "
            + ", ".join(f"{name} {ms:.0f} ms" for name, ms in times.items()),
            *(f"  warning: {text}" for text in report["warnings"]),
        ]
    )


def _convert(options: argparse.Namespace) -> int:
    from vivit.convert_command import convert

    return convert(options)


def _bench(options: argparse.Namespace) -> int:
    from vivit.benchmark.command import bench

    return bench(options)


def _explain(options: argparse.Namespace) -> int:
    from vivit.explain.command import explain

    return explain(options, _tell)


def _timeline(options: argparse.Namespace) -> int:
    from vivit.timeline.command import timeline

    return timeline(options)


def _evaluate(options: argparse.Namespace) -> int:
    from vivit.evaluate.command import evaluate

    return evaluate(options)


def _teach(options: argparse.Namespace) -> int:
    from vivit.teach.command import teach

    return teach(options)


def _compare(options: argparse.Namespace) -> int:
    from vivit.benchmark.compare_command import compare

    return compare(options)


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0; 2 if anything asked for could not be done; 130 after Ctrl-C; 141 if whoever reads stdout left.
    """
    from vivit import heap
    from vivit.threads import waiting

    heap.keep()
    os.environ.update(waiting())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a file's name may hold what cannot be printed, and is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    try:
        options = _parser().parse_args(arguments)
        if getattr(options, "device", None) is not None:
            os.environ["VIVIT_DEVICE"] = options.device  # which the processes that measure inherit
        if (stride := getattr(options, "stride", None)) is not None and stride < 1:
            raise ValueError(f"--stride wants a whole number from 1, not {stride}.")
        run = {
            "classify": _classify,
            "explain": _explain,
            "timeline": _timeline,
            "evaluate": _evaluate,
            "teach": _teach,
            "convert": _convert,
            "bench": _bench,
            "compare": _compare,
        }
        status = run[options.command](options)
        sys.stdout.flush()  # here, where a closed pipe is met
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # What is still unwritten goes nowhere: Python would complain of it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        return _tell(error)


def _leave(*_: object) -> None:
    """End at once, for torch aborts where a KeyboardInterrupt meets its import. Every line printed has left by then."""
    try:
        # Nothing is imported here, where an import may be what was interrupted.
        for folder in tuple(getattr(sys.modules.get("vivit.temporary"), "OPEN_FOLDERS", ())):
            rmtree(folder, ignore_errors=True)
    finally:
        os._exit(130)


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where the shell wants Ctrl-C ignored
        signal.signal(signal.SIGINT, _leave)
    sys.exit(main())
