"""What can go wrong that is no fault of ours. Imports nothing of ours."""

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches


class UserError(ValueError):
    """Something that cannot be done, in one sentence for the user; the app and the command line show it as it is.

    Modules whose callers tell their errors from others have a class of their own, derived from this one.

    Args:
        sentence: what failed, why, and what to do next; it is `str(error)`.
        details: the words of whoever noticed (FFmpeg, PyTorch, the Hub's client); may be empty.
    """

    def __init__(self, sentence: str, details: str = "") -> None:
        super().__init__(sentence)
        self.details = details


class AttentionUnavailable(UserError, RuntimeError):
    """An attention backend was asked for that cannot run here; `details` has PyTorch's or its package's words."""


NO_DROPOUT = "attention_probs_dropout_prob 0 (it has no dropout)"


def what_it_needs(attention: str, needs: Sequence[str]) -> str:
    """The sentence for a backend that cannot run, with everything that it needs and has not; '' if that is nothing."""
    *others, last = needs or [""]
    return f"'{attention}' needs {', '.join(others)}{' and ' * bool(others)}{last}. Choose 'sdpa'." if needs else ""


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out: PyTorch has its own for GPUs, and a plain RuntimeError for CPUs."""
    named = type(error).__name__ == "OutOfMemoryError"  # by its name, so that nobody need import torch to ask
    return isinstance(error, MemoryError) or named or "can't allocate memory" in str(error)


def nearest(name: str, known: Iterable[str]) -> str:
    """An unknown name and the known one that may have been meant: "'num_frame', the nearest being 'num_frames'"."""
    likely = get_close_matches(name, [*known], n=1, cutoff=0.0)
    return f"{name!r}, the nearest being {likely[0]!r}" if likely else repr(name)


def refuse_unknown(given: Iterable[str], known: Collection[str], say: Collection[str] = ()) -> None:
    """Raise ValueError for the first option that is not known.

    Args:
        given: names of options.
        known: the names that there are.
        say: more names, one of which may have been meant.
    """
    for name in given:
        if name not in known:
            raise ValueError(f"there is no option {nearest(name, {*known, *say})}")
