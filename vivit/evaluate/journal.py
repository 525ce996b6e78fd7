"""An evaluation in a folder: what was asked in one file, and a line for each clip in another. No torch is used.

A kill at any moment leaves both readable, and whoever asks for the same once more goes on where it ended.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vivit.errors import UserError
from vivit.evaluate.labels import Matching
from vivit.evaluate.records import Asked, LabelledClip, Record, Source
from vivit.evaluate.sources import Found
from vivit.machine import Machine
from vivit.records import from_json

ASKED, CLIPS = "evaluation.json", "clips.jsonl"
FORMAT = 1


@dataclass(frozen=True)
class Evaluation:
    """What was asked, of which clips, where, and what was found.

    Args:
        asked, source: by which model, and of which clips.
        labels: class index → name.
        machine: what it ran on.
        revision: of this project's code.
        created: when it was begun, ISO 8601, UTC.
        records: one a clip that is done, their paths relative to `source.root`.
    """

    asked: Asked
    source: Source
    labels: dict[str, str]
    machine: Machine
    revision: str
    created: str
    records: tuple[Record, ...] = ()

    @property
    def id2label(self) -> dict[int, str]:
        """Class index → name, with whole numbers, which JSON has not for keys."""
        return {int(index): name for index, name in self.labels.items()}


def source_of(found: Found, clips: Sequence[LabelledClip], matching: Matching) -> Source:
    """What is kept of a source.

    Args:
        found: all its clips.
        clips: those that are evaluated.
        matching: what their labels mean to the checkpoint.
    """
    told = json.dumps([[relative(clip.path, found.root), clip.label] for clip in clips])
    return Source(found.name, found.root, len(clips), hashlib.sha256(told.encode()).hexdigest(), dict(matching.unknown))


def relative(path: str, root: str) -> str:
    """A path as records are kept with it: relative to the source's folder if it lies in that."""
    return path.removeprefix(os.path.join(root, ""))


class Journal:
    """The folder of an evaluation while it is written, by one process at a time.

    Args:
        folder: made if there is none.
        evaluation: what is asked; one that is there already must be by the same model in the same way, of the same clips and
            classes.

    Raises:
        UserError: if the folder cannot be used, holds another evaluation or a damaged one, or another process writes it.
    """

    def __init__(self, folder: str | Path, evaluation: Evaluation) -> None:
        self.folder = Path(folder)
        self._file = -1
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.folder / CLIPS, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.evaluation = self._begin(evaluation)
            content = (self.folder / CLIPS).read_bytes()
            records, self._length = _read(content, self.evaluation.source.clips, self.folder)
            os.ftruncate(self._file, self._length)  # a line that a kill cut
        except BlockingIOError as error:
            self.close()
            raise UserError(
                f"Another process is writing the evaluation in '{folder}'. Wait for its end, or give another folder."
            ) from error
        except OSError as error:
            self.close()
            raise UserError(
                f"'{folder}' is no folder that an evaluation can be kept in ({error.strerror or error}). Give another."
            ) from error
        except BaseException:
            self.close()
            raise
        self.records = {record.index: record for record in records}

    def _begin(self, asked: Evaluation) -> Evaluation:
        """The evaluation that is there, or this one written down."""
        file = self.folder / ASKED
        if file.exists() and os.fstat(self._file).st_size:  # what could not begin stands in nobody's way
            there = _read_asked(self.folder)
            if differs := _differences(there, asked):
                raise UserError(
                    f"'{self.folder}' holds another evaluation, with {differs}. Give another folder, or ask for the same."
                )
            return there
        if os.fstat(self._file).st_size:
            raise UserError(f"'{self.folder}' holds {CLIPS} without {ASKED}, which says what of. Give another folder.")
        values = {f.name: getattr(asked, f.name) for f in fields(asked) if f.name != "records"}
        values |= {name: asdict(values[name]) for name in ("asked", "source", "machine")}
        part = file.with_suffix(".part")
        with part.open("w", encoding="utf-8") as opened:
            opened.write(json.dumps({"format": FORMAT, **values}, allow_nan=False, indent=1) + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(file)
        for named in (self.folder, self.folder.absolute().parent):  # the names of both files, and of the folder
            folder = os.open(named, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        return asked

    def add(self, records: Iterable[Record]) -> None:
        """Keep records of clips that are not done yet; once this returns, no kill and no power cut takes them.

        Raises:
            UserError: if they cannot be written; none of them is kept then, and all that were before are.
        """
        new = {r.index: r for r in records if r.index not in self.records}
        left = memoryview("".join(json.dumps(asdict(r), allow_nan=False) + "\n" for r in new.values()).encode())
        length = self._length + len(left)
        try:
            while left:  # a disk that is nearly full takes a part
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, self._length)
            raise UserError(
                f"Nothing more can be kept in '{self.folder}' ({error.strerror or error}). The {len(self.records)} clips "
                "before are whole: make room, and ask for the same to go on."
            ) from error
        self._length = length
        self.records |= new

    def close(self) -> None:
        """Let another process write it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def load_evaluation(folder: str | Path) -> Evaluation:
    """Read an evaluation, one that is still being written too.

    Raises:
        UserError: if there is none, or it is damaged or of another format.
    """
    there = _read_asked(Path(folder))
    try:
        content = (Path(folder) / CLIPS).read_bytes()
    except OSError as error:
        raise _damaged(folder, error.strerror or error) from error
    records, _ = _read(content, there.source.clips, folder)
    return replace(there, records=tuple(records))


def _read_asked(folder: Path) -> Evaluation:
    """What stands in a folder, without its records."""
    if not (folder / ASKED).is_file():
        raise UserError(
            f"There is no evaluation in '{folder}', which would have {ASKED}. Give a folder that --out made."
        )
    try:
        values = json.loads((folder / ASKED).read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT:
            raise ValueError("its format is newer than this code")
        return from_json(Evaluation, values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(folder, error) from error


def _damaged(folder: str | Path, reason: object) -> UserError:
    return UserError(f"The evaluation in '{folder}' cannot be read ({reason}). Give another folder.")


def _read(content: bytes, clips: int, folder: str | Path) -> tuple[list[Record], int]:
    """Records of lines, each clip once, and how many bytes are whole. Args: clips: how many there may be."""
    *lines, _ = content.split(b"\n")  # what follows the last end of a line was cut
    records: dict[int, Record] = {}
    length = 0
    for number, line in enumerate(lines, 1):
        try:
            record = from_json(Record, json.loads(line))
            if not 0 <= record.index < clips:
                raise ValueError(f"it has {clips} clips, and none of number {record.index}")
        except (ValueError, RecursionError) as error:
            if number == len(lines):  # a power cut may leave the length of a line without its content
                break
            raise _damaged(folder, f"line {number} of {CLIPS}: {error}") from error
        records.setdefault(record.index, record)
        length += len(line) + 1
    return list(records.values()), length


def _differences(there: Evaluation, asked: Evaluation) -> str:
    """What of an evaluation is not what is asked; '' if it goes on."""
    told = [
        f"{f.name.replace('_', ' ')} {_short(old)} where {_short(new)} is asked for"
        for f in fields(Asked)
        if (old := getattr(there.asked, f.name)) != (new := getattr(asked.asked, f.name))
    ]
    ours, theirs = asked.source, there.source
    if theirs.sha256 != ours.sha256:
        told.append(
            f"other clips ({theirs.clips} of '{theirs.name}' where {ours.clips} of '{ours.name}' are asked for)"
        )
    if there.labels != asked.labels:
        told.append("other classes")
    return ", ".join(told)


def _short(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)
