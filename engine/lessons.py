"""What visitors teach: their classes with clips of each, and the checkpoints that come of it. No torch is used.

All of it is a visitor's own: it lies in a private folder of this server, is bounded, and goes when they do.
"""

import errno
import shutil
import threading
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from engine.class_names import new_name, one_line
from engine.engine import Engine
from engine.failures import LESSONS_PREFIX, NO_ROOM_FOR_CHECKPOINT
from engine.lesson import FEATURES, Lesson, copy_clip
from engine.private_folder import PrivateFolder
from engine.running import Failed, Stopped
from engine.teachings import Example, Fitted, RunningTeaching, Taught, TaughtClass, TeachAsked, fit_to
from vivit.errors import UserError

MOST_CLASSES = 20
MOST_CLIPS = 200  # of a visitor, all classes together
MOST_CLIP_SECONDS = 60.0  # of a clip
MOST_BYTES = 500_000_000  # of a visitor's clips
MOST_BYTES_OF_ALL = 4 * 2**30  # of all visitors together, checkpoints included
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_CLASS = "This class is no longer there. Make one, or choose another."
NO_ROOM = "The server's disk has no room for this clip now. Choose a smaller one, or try again later."
NO_ROOM_FOR_ZIP = "The server's disk has no room for the packed checkpoint now. Remove some clips, or try again later."
NO_CHECKPOINT = "There is no checkpoint yet. Teach two classes first."
NOT_WORKING = "Teaching ended early. Your clips are kept; teach again."


class Lessons:
    """What every visitor of this server teaches.

    Args:
        engine: has the workers 'media' and 'model'.
        max_bytes: of all visitors' files together.
    """

    def __init__(self, engine: Engine, max_bytes: int = MOST_BYTES_OF_ALL) -> None:
        self._engine = engine
        self._max_bytes = max_bytes
        self._folder = PrivateFolder(LESSONS_PREFIX)
        self._lessons: dict[str, Lesson] = {}
        self._lock = threading.Lock()

    def classes(self, visitor: str) -> tuple[TaughtClass, ...]:
        """A visitor's classes, in the order in which they were made."""
        with self._lock:
            lesson = self._lessons.get(visitor)
            return tuple(lesson.classes.values()) if lesson else ()

    def add_class(self, visitor: str, name: str) -> TaughtClass:
        """Make a class, without clips.

        Raises:
            UserError: for a name that is empty, too long, or there already (whatever its case), or too many classes.
        """
        with self._lock:
            lesson = self._lessons.get(visitor)
            there = lesson.classes if lesson else {}
            name = new_name(name, there.values())
            if len(there) >= MOST_CLASSES:
                raise UserError(f"There are {MOST_CLASSES} classes already, the most. Remove one first.")
            if lesson is None:
                lesson = self._lessons[visitor] = Lesson(self._folder.path / uuid.uuid4().hex)
            one = TaughtClass(uuid.uuid4().hex, name)
            lesson.classes[one.id] = one
            return one

    def rename_class(self, visitor: str, id: str, name: str) -> None:
        """Give a class another name; its clips stay. Raises UserError as `add_class`; does nothing if the class is gone."""
        with self._lock:
            lesson = self._lessons.get(visitor)
            if lesson and (one := lesson.classes.get(id)):
                others = [other for other in lesson.classes.values() if other is not one]
                lesson.classes[id] = replace(one, name=new_name(name, others))

    def remove_class(self, visitor: str, id: str) -> None:
        """Delete a class with its clips."""
        with self._lock:
            lesson = self._lessons.get(visitor)
            if lesson and (one := lesson.classes.pop(id, None)):
                for clip in one.examples:
                    lesson.delete(clip)

    def add(self, visitor: str, class_id: str, name: str, content: bytes | memoryview | Path) -> Example:
        """Keep a clip as an example of a class.

        Args:
            name: what to call it.
            content: of its file; or a file, which is copied.

        Raises:
            UserError: if the class or the file is gone, the clip is there already (the sentence says in which class), there are
                too many clips or bytes, or the disk is full; then nothing of the clip is kept.
        """
        try:
            size = content.stat().st_size if isinstance(content, Path) else memoryview(content).nbytes
        except OSError as error:
            raise UserError("This clip is no longer there. Choose it again.") from error
        with self._lock:
            lesson = self._lessons.get(visitor)
            if lesson is None or class_id not in lesson.classes:
                raise UserError(NO_CLASS)
            self._check_room(lesson, size)
            lesson.coming_bytes.append(size)
        part = lesson.folder / f"{uuid.uuid4().hex}.part"
        try:
            lesson.folder.mkdir(exist_ok=True)
            id = copy_clip(content, part)  # others go on meanwhile
            with self._lock:
                return self._take_up(
                    lesson, class_id, Example(id, str(lesson.folder / f"{id}.clip"), one_line(name)), part
                )
        except OSError as error:
            raise UserError(NO_ROOM) from error
        finally:
            with self._lock:
                lesson.coming_bytes.remove(size)
            part.unlink(missing_ok=True)
            lesson.tidy()

    def _check_room(self, lesson: Lesson, size: int) -> None:
        if len(lesson.sizes) + len(lesson.coming_bytes) >= MOST_CLIPS:
            raise UserError(
                f"There are {MOST_CLIPS} clips already, the most of all classes together. Remove one first."
            )
        if lesson.clip_bytes + size > MOST_BYTES:
            raise UserError(
                f"This clip has {size / 1e6:.0f} MB, and all of yours together may have {MOST_BYTES / 1e6:.0f} MB. "
                "Choose a shorter or smaller one, or remove others first."
            )
        if self._bytes() + size > self._max_bytes:
            raise UserError(NO_ROOM)

    def _bytes(self) -> int:
        return sum(lesson.clip_bytes + lesson.made_bytes + lesson.former_bytes for lesson in self._lessons.values())

    def _take_up(self, lesson: Lesson, class_id: str, clip: Example, part: Path) -> Example:
        if lesson.gone or not (one := lesson.classes.get(class_id)):
            raise UserError(NO_CLASS)
        if there := lesson.class_of(clip.id):
            raise UserError(
                f"This clip is there already, in the class '{there.name}'. Choose another one, or move that one."
            )
        part.replace(clip.path)
        lesson.sizes[clip.id] = Path(clip.path).stat().st_size
        lesson.keep(one, [*one.examples, clip])
        return clip

    def remove(self, visitor: str, example_id: str) -> None:
        """Delete a clip."""
        with self._lock:
            lesson = self._lessons.get(visitor)
            if lesson and (one := lesson.class_of(example_id)):
                for clip in one.examples:
                    if clip.id == example_id:
                        lesson.delete(clip)
                lesson.keep(one, [clip for clip in one.examples if clip.id != example_id])

    def move(self, visitor: str, example_id: str, class_id: str) -> None:
        """Make a clip an example of another class; does nothing if the clip or the class is gone."""
        with self._lock:
            lesson = self._lessons.get(visitor)
            if lesson and (there := lesson.class_of(example_id)) and class_id in lesson.classes:
                moved = [clip for clip in there.examples if clip.id == example_id]
                lesson.keep(there, [clip for clip in there.examples if clip.id != example_id])
                here = lesson.classes[class_id]
                lesson.keep(here, [*here.examples, *moved])

    def teach(self, visitor: str, asked: TeachAsked) -> RunningTeaching:
        """Fit a head to all of a visitor's clips in the background; what they have running is cancelled.

        Features of clips that are kept for this model are not taken again. A clip that cannot be read is left out. Where
        `asked` names the visitor's taught checkpoint, the model that this was made of is taken: taught ones are replaced.

        Raises:
            UserError: if there are fewer than two classes with clips.
        """
        with self._lock:
            lesson = self._lessons.get(visitor)
            classes = tuple(lesson.classes.values()) if lesson else ()
            if lesson is None or sum(bool(one.examples) for one in classes) < 2:
                raise UserError("Teaching takes at least two classes that have a clip each. Add what is missing.")
            if lesson.running:
                lesson.running.cancel()
            if lesson.taught and Path(asked.checkpoint).is_relative_to(lesson.folder):
                asked = _of_the_same_model(asked, lesson.taught.asked)
            running = lesson.running = RunningTeaching(asked, classes, of=sum(len(one.examples) for one in classes))
        running.begin(lambda: self._run(lesson, running), f"teaching-{visitor[:8]}", NOT_WORKING)
        return running

    def running(self, visitor: str) -> RunningTeaching | None:
        """What the visitor began last, ended or not; None before."""
        with self._lock:
            lesson = self._lessons.get(visitor)
            return lesson.running if lesson else None

    def taught(self, visitor: str) -> Taught | None:
        """The last checkpoint that came of teaching. The former one stays until the next: pages may be at work with it."""
        with self._lock:
            lesson = self._lessons.get(visitor)
            return lesson.taught if lesson else None

    def archive(self, visitor: str) -> Path:
        """Make one zip of the visitor's checkpoint, in their folder, or return the one that was made.

        Raises:
            UserError: if there is no checkpoint, or no room for its zip.
        """
        with self._lock:
            lesson = self._lessons.get(visitor)
        if lesson is None:
            raise UserError(NO_CHECKPOINT)
        with lesson.packing:
            with self._lock:
                taught, made = lesson.taught, lesson.made_bytes
                if taught is None or lesson.gone:
                    raise UserError(NO_CHECKPOINT)
                folder = Path(taught.folder)
                packed = folder.with_name(f"{folder.name}.zip")
                if packed.exists():
                    return packed
                if self._bytes() + made > self._max_bytes:
                    raise UserError(NO_ROOM_FOR_ZIP)
                lesson.made_bytes = 2 * made
            part = packed.with_suffix(".part")
            try:
                # Stored as they are: weights are not made smaller by packing, which would only take time.
                with zipfile.ZipFile(part, "w") as file:
                    for one in sorted(folder.iterdir()):
                        file.write(one, f"{folder.name}/{one.name}")
                part.replace(packed)
            except OSError as error:
                with self._lock:
                    lesson.made_bytes = made
                part.unlink(missing_ok=True)
                raise UserError(NO_ROOM_FOR_ZIP) from error
            finally:
                lesson.tidy()
            return packed

    def drop(self, visitor: str) -> Path | None:
        """Cancel and delete all of a visitor's. Returns the folder where it lay; None if they had none."""
        with self._lock:
            lesson = self._lessons.pop(visitor, None)
            if lesson is None:
                return None
            lesson.gone = True
            if lesson.running:
                lesson.running.cancel()
        lesson.tidy()
        return lesson.folder

    def clear(self) -> None:
        """Delete everything; for the end of the server."""
        for visitor in list(self._lessons):
            self.drop(visitor)
        self._folder.clear()

    def _run(self, lesson: Lesson, running: RunningTeaching) -> None:
        place = lesson.folder / f"taught-{next(lesson.places)}"
        try:
            keep = partial(self._keep, lesson)
            folders = (lesson.folder / FEATURES, place)
            fitted = fit_to(self._engine, running, *folders, keep, lesson.seconds, MOST_CLIP_SECONDS)
            self._take_over(lesson, running, fitted)
        except UserError as error:  # of a checkpoint that cannot be opened
            raise Failed(str(error)) from error
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise Failed(NO_ROOM_FOR_CHECKPOINT) from error
        finally:
            if running.taught is None:
                shutil.rmtree(place, ignore_errors=True)
            lesson.tidy()

    def _keep(self, lesson: Lesson, example_id: str, write: Callable[[], None]) -> None:
        """Write something about a clip that its visitor has not removed meanwhile."""
        with self._lock:
            if example_id in lesson.sizes:
                write()

    def _take_over(self, lesson: Lesson, running: RunningTeaching, fitted: Fitted) -> None:
        """Put a checkpoint in the place of the visitor's former one.

        Raises:
            OSError, Failed: if there is no room for it.
            Stopped: if the visitor has left, or asked for another checkpoint meanwhile.
        """
        made = sum(file.stat().st_size for file in fitted.folder.iterdir())
        with lesson.packing, self._lock:  # what is being packed is not taken away
            if lesson.gone or running._cancel.is_set():
                raise Stopped
            if self._bytes() - lesson.former_bytes + made > self._max_bytes:
                raise Failed(NO_ROOM_FOR_CHECKPOINT)
            former, older = lesson.taught, lesson.former
            if former:
                folder = Path(former.folder)
                folder.with_name(f"{folder.name}.zip").unlink(missing_ok=True)  # which nobody can ask for any longer
                lesson.former = folder.parent
                lesson.former_bytes = sum(file.stat().st_size for file in folder.iterdir())
            lesson.made_bytes = made
            number = former.number + 1 if former else 1
            taught = Taught(str(fitted.folder), fitted.report, fitted.examples, running.asked, number)
            lesson.taught = running.taught = taught
        if older:
            shutil.rmtree(older, ignore_errors=True)


def _of_the_same_model(asked: TeachAsked, before: TeachAsked) -> TeachAsked:
    """What is asked, by the model that a checkpoint was made of; its own pixel values are those that it was taught with."""
    own = asked.normalisation == "checkpoint"
    normalisation = before.normalisation if own else asked.normalisation
    return replace(asked, checkpoint=before.checkpoint, normalisation=normalisation)
