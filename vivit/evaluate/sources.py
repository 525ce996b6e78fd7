"""Where labelled clips come from: a folder, a list, a dataset of the Hub, bundled clips, fresh renders. No torch is used."""

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path

from vivit.benchmark.results import results_folder
from vivit.benchmark.wording import count
from vivit.errors import UserError
from vivit.evaluate.records import LabelledClip, Record
from vivit.hub import ASSETS, KINETICS_MINI, HubError, download_clip, list_clips
from vivit.hub.clips import CLIP_SUFFIXES, ClipList
from vivit.progress import Progress

KINDS = (
    "a folder of class folders, a .csv file of paths and labels, a dataset of the Hub as owner/name or owner/name:SPLIT, "
    "'kinetics-mini:val', 'bundled', or 'renders:N:SEED'"
)
LISTS = (".csv", ".tsv", ".txt")
SEPARATORS = "\t;,"
# What a list may call its columns.
PATHS = ("path", "file", "filename", "file_name", "video", "video_path", "clip")
LABELS = ("label", "class", "target", "label_name", "class_name", "action")
A_PATH_AND_A_LABEL = re.compile(rf"(.+?(?:{'|'.join(map(re.escape, CLIP_SUFFIXES))}))\s+(\S.*)", re.IGNORECASE)
OF_THE_HUB = re.compile(r"(kinetics-mini|[\w.-]+/[\w.-]+)(?::([\w.-]+))?")
RENDERS, RENDERS_SEED = 200, 1  # unless others are asked for
CHECKOUT = Path(__file__).parents[2]
BUNDLED = "bundled"
CHOSEN = (
    "The bundled clips were chosen as ones that vivit-mannequin names right. They show whether cells agree, and not how often "
    "they are right."
)
LOOK_SECONDS = 0.2  # between two looks at how many clips have been rendered

Pair = tuple[str, str]


@dataclass(frozen=True)
class Found:
    """Labelled clips.

    Args:
        name: what the source is called.
        root: the folder that paths are relative to; those of files elsewhere are whole.
        clips: (path, label) of each, one of every class, then a second one of every class, and so on: so the first of them
            are a fair part of all.
        notices: sentences for whoever asked.
        dataset, commit: of the Hub, from which clips come as they are needed; '' where they are here.
    """

    name: str
    root: str
    clips: tuple[Pair, ...]
    notices: tuple[str, ...] = ()
    dataset: str = ""
    commit: str = ""

    def place(self, path: str) -> str:
        """The whole path of one of its clips."""
        return os.path.join(self.root, path)


def find_clips(source: str, limit: int | None = None, progress: Progress | None = None) -> Found:
    """The clips of a source, in an order that is always the same.

    Args:
        source: one of `KINDS`.
        limit: so many of them, as evenly over the classes as there are clips; all if None.
        progress: told how far listing or rendering is; what it raises cancels.

    Raises:
        UserError: if there are none, or what should say so cannot be used.
        HubError: if a dataset cannot be listed.
    """
    if limit is not None and limit < 1:
        raise UserError(f"A limit of {limit} clips leaves none. Give a whole number from 1.")
    kind, _, rest = source.partition(":")
    path = os.path.abspath(os.path.expanduser(source))
    if source == BUNDLED:
        found = _bundled()
    elif kind == "renders":
        found = _renders(rest, progress)
    elif os.path.isdir(path):
        found = _folder(path)
    elif source.lower().endswith(LISTS):
        found = _list(path)
    elif match := OF_THE_HUB.fullmatch(source):
        found = _dataset(source, match[1], match[2] or "", progress)
    else:
        raise UserError(f"'{source}' is no source of labelled clips that can be found. Give {KINDS}.")
    return replace(found, clips=in_turn(found.clips)[:limit])


def in_turn(clips: Iterable[Pair]) -> tuple[Pair, ...]:
    """(path, label) pairs reordered: the first of every class, then the second of every class, and so on."""
    classes: dict[str, list[Pair]] = defaultdict(list)
    for clip in clips:
        classes[clip[1]].append(clip)
    return tuple(clip for clip in chain.from_iterable(zip_longest(*classes.values())) if clip)


def bring(
    found: Found, clips: Iterable[LabelledClip], progress: Progress | None = None
) -> Generator[LabelledClip | Record, None, None]:
    """Clips, each once it is on this machine; in its place a record with the sentence if it cannot be downloaded.

    Args:
        found: where they are from.
        clips: some of its clips.
        progress: as `vivit.hub.download_clip` takes it.
    """
    for clip in clips:
        if found.dataset:
            try:
                file = Path(clip.path).relative_to(found.root).as_posix()
                download_clip(found.dataset, file, found.commit, progress)
            except HubError as error:
                yield Record(clip.index, clip.path, clip.label, clip.target, error=str(error))
                continue
        yield clip


def _bundled() -> Found:
    folder = ASSETS / "clips"
    listed = json.loads((folder / "clips.json").read_text(encoding="utf-8"))
    return Found(BUNDLED, str(folder), tuple((clip["file"], clip["label"]) for clip in listed), (CHOSEN,))


def _folder(root: str) -> Found:
    """Clips in folders that are named as their classes, at any depth."""
    clips: list[Pair] = []
    loose, seen, closed = 0, set(), list[OSError]()
    for here, folders, files in os.walk(root, onerror=closed.append, followlinks=True):
        if (real := os.path.realpath(here)) in seen:  # a link back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        of_clips = sorted(f for f in files if f.lower().endswith(CLIP_SUFFIXES) and not f.startswith("."))
        if here == root:
            loose = len(of_clips)
        else:
            clips += [(os.path.relpath(os.path.join(here, file), root), os.path.basename(here)) for file in of_clips]
    name = os.path.basename(root) or root
    if not clips:
        if loose:
            raise UserError(
                f"The {count(loose, 'clip')} of '{root}' lie in no class folder, so nobody knows what they show. Put each into "
                "a folder that is named as its class, or give a .csv file of paths and labels."
            )
        reason = f" ({closed[0].strerror}: {closed[0].filename})" if closed else ""
        raise UserError(f"There are no clips in '{root}' or the folders in it{reason}. Give another folder.")
    notices = [f"{count(loose, 'clip')} in no class folder {_are(loose)} left out."] if loose else []
    notices += [f"The folder '{error.filename}' cannot be read ({error.strerror}) and is left out." for error in closed]
    return Found(name, root, tuple(clips), tuple(notices))


def _list(path: str) -> Found:
    """The clips of a file with a path and a label in each line."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or "it is no text in UTF-8"
        raise UserError(f"The list '{path}' cannot be read ({reason}). Give {KINDS}.") from error
    rows = _rows(text, path)
    root = os.path.dirname(path)
    labels: dict[str, str] = {}
    twice = 0
    for file_name, label in rows:
        whole = os.path.normpath(os.path.join(root, os.path.expanduser(file_name)))
        if labels.setdefault(whole, label) != label:
            raise UserError(
                f"'{path}' says twice what '{file_name}' shows: '{labels[whole]}' and '{label}'. Keep the one that is true."
            )
    twice = len(rows) - len(labels)
    several = "line names a clip" if twice == 1 else "lines name clips"
    notices = [f"{twice} {several} that '{os.path.basename(path)}' has named before; each clip counts once."]
    clips = tuple((_inside(whole, root), label) for whole, label in labels.items())
    return Found(os.path.basename(path), root, clips, tuple(notices if twice else []))


def _rows(text: str, path: str) -> list[Pair]:
    """(path, label) of every line, whatever separates them."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"The list '{path}' is empty. Give a path and a label in each line.")
    # The last line is a clip's, whatever the first one is; names of files and labels may hold other marks.
    marks = [mark for mark in SEPARATORS if mark in lines[0] and mark in lines[-1]]
    of_a_clip = [m for m in marks if any(part.strip().lower().endswith(CLIP_SUFFIXES) for part in lines[-1].split(m))]
    separator = next(iter(of_a_clip or marks), None)
    if separator and not of_a_clip and A_PATH_AND_A_LABEL.fullmatch(lines[-1].strip()):
        separator = None
    if separator is None:
        found = [match.groups() for line in lines if (match := A_PATH_AND_A_LABEL.fullmatch(line.strip()))]
        header = 0
    else:
        try:
            table = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator, strict=True)]
        except csv.Error as error:
            raise UserError(
                f"The list '{path}' is no CSV that can be read ({error}). Mend it, and try again."
            ) from error
        names = [cell.casefold() for cell in table[0]]
        columns = [next((k for k, name in enumerate(names) if name in known), None) for known in (PATHS, LABELS)]
        header = int(any(column is not None for column in columns))
        if (header and None in columns) or (not header and len(names) != 2):
            said = ", ".join(table[0])
            raise UserError(
                f"The list '{path}' needs a column of paths ({PATHS[0]}) and one of labels ({LABELS[0]}), and begins with "
                f"'{said:.80}'. Name its columns so, or give a path and a label in each line."
            )
        first, second = (columns[0] or 0, columns[1] or 0) if header else (0, 1)
        found = [(row[first], row[second]) for row in table[header:] if len(row) == len(names)]
    rows = [(str(file), str(label)) for file, label in found if file and label]
    if not rows or len(rows) < len(lines) - header:
        bad = len(lines) - header - len(rows)
        raise UserError(
            f"{bad} of {len(lines) - header} lines of the list '{path}' {_are(bad)} not a path and a label. Mend them, and try "
            "again."
        )
    return rows


def _inside(path: str, root: str) -> str:
    """A path relative to a folder if it lies in it, as it is if not."""
    return os.path.relpath(path, root) if os.path.commonpath([path, root]) == root else path


def _dataset(source: str, dataset: str, split: str, progress: Progress | None) -> Found:
    """The clips of a dataset of the Hub, which are not downloaded yet."""
    listed = list_clips(KINETICS_MINI if dataset == "kinetics-mini" else dataset, progress=progress)
    return replace(found_in(listed, split), name=source)


def found_in(listed: ClipList, split: str = "") -> Found:
    """The clips of a dataset of the Hub that has been listed. Args: split: one of its splits; '' for all.

    Raises:
        UserError: if there is no such split, or its clips lie in no folders.
    """
    splits = sorted({clip.split for clip in listed.clips if clip.split})
    if split and split not in splits:
        there = f"there are {', '.join(splits)}" if splits else "it has none"
        raise UserError(f"'{listed.dataset}' has no split '{split}': {there}. Choose one, or leave it out.")
    wanted = [clip for clip in listed.clips if split in ("", clip.split)]
    clips = tuple((clip.file, clip.label) for clip in wanted if clip.label)
    if not clips:
        raise UserError(f"The clips of '{listed.dataset}' lie in no class folder, so nobody knows what they show.")
    loose = len(wanted) - len(clips)
    notices = [
        *listed.notices,
        *([f"{count(loose, 'clip')} in no class folder {_are(loose)} left out."] if loose else []),
    ]
    name = f"{listed.dataset}:{split}" if split else listed.dataset
    return Found(name, listed.folder, in_turn(clips), tuple(notices), listed.dataset, listed.commit)


def _renders(numbers: str, progress: Progress | None) -> Found:
    """Freshly rendered clips, which are kept for the next time."""
    count, _, seed = numbers.partition(":")
    if not (count or str(RENDERS)).isdecimal() or not (seed or str(RENDERS_SEED)).isdecimal() or count == "0":
        raise UserError(f"'renders:{numbers}' cannot be rendered. Give renders:N:SEED, such as renders:200:1.")
    clips, seed = int(count or RENDERS), seed or str(RENDERS_SEED)
    folder = results_folder() / "renders" / seed
    program = [sys.executable, "-m", "mannequin.renders", str(folder), "--clips", str(clips), "--seed", seed]
    program += ["--parent", str(os.getpid())]
    if not (CHECKOUT / "mannequin" / "renders.py").is_file():
        raise UserError(
            "Clips are rendered by 'mannequin', which is not beside this library. Use a checkout of the project."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"Clips cannot be rendered in '{folder}' ({error.strerror}). Name another by VIVIT_RESULTS."
        ) from error
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        running = subprocess.Popen(program, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=said)
        try:
            while running.poll() is None:
                if progress:
                    here = min(clips, sum(1 for _ in folder.glob("*/*.mp4")))
                    progress(here / clips, f"{here} of {clips} clips rendered")
                with suppress(subprocess.TimeoutExpired):
                    running.wait(LOOK_SECONDS)
        finally:
            running.terminate()
            running.wait()
        said.seek(0)
        lines = said.read().splitlines() or [""]
    if running.returncode:
        raise UserError(f"Clips could not be rendered in '{folder}' ({lines[-1]:.200}). Try again.", lines[-1])
    listed = json.loads((folder / "clips.json").read_text(encoding="utf-8"))[:clips]
    if len(listed) < clips:
        raise UserError(f"Others render in '{folder}' too. Try again once they are done.")
    return Found(f"renders:{clips}:{seed}", str(folder), tuple((clip["file"], clip["label"]) for clip in listed))


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
