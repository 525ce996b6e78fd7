"""What visitors are told when a job fails for a reason that is not their clip's: what happened, and what to do next."""

import signal

TRY_AGAIN = "The app has recovered; try again, or choose another clip or setting."
OUT_OF_MEMORY = (
    "This needed more memory than the app may use. Try a smaller or shorter clip, a smaller batch or half precision."
)
KILLED = (
    "The system ended the process that worked on this, most likely for want of memory. The app has recovered; "
    "try a smaller batch, half precision, the sdpa attention or a shorter clip."
)
TOO_MUCH_WORK = (
    "This took more processor time than the app may spend on one clip and was stopped. Try a shorter or smaller clip."
)
LESSONS_PREFIX = "vivit-demo-lessons-"  # of the server's folder with what visitors teach
TAUGHT_IS_GONE = (
    "The checkpoint that was taught here is no longer there, since others were taught after it. Choose it again, and "
    "start anew."
)
NO_ROOM_FOR_CHECKPOINT = (
    "The server's disk has no room for the checkpoint now. Remove some clips, or teach again later."
)
CRASHES = {
    signal.SIGSEGV: "a bad memory access",
    signal.SIGBUS: "a bad memory access",
    signal.SIGABRT: "an internal check that failed",
    signal.SIGFPE: "an arithmetic fault",
    signal.SIGILL: "an instruction this processor does not have",
}


def without_folder(error: str) -> str:
    """A sentence for a visitor, without the name of a folder of this server's that has gone."""
    return TAUGHT_IS_GONE if error.startswith("There is no folder") and LESSONS_PREFIX in error else error


def unexpected(name: str) -> str:
    """For an exception nobody foresaw, by its class's name."""
    return (
        f"Something went wrong inside the app ({name}). "
        "It has been logged; try again, or choose another clip or setting."
    )


def overdue(seconds: float) -> str:
    """For a job that ran into its time limit."""
    return f"This took longer than {seconds:g} s and was stopped. Try a shorter clip or a faster setting."


def cannot_start(worker: str) -> str:
    """For jobs of a worker that fails to start again and again."""
    return (
        f"The part of the app that does this ('{worker}') could not start, so this was not run. "
        "The server's log has the reason. It keeps trying by itself: try again in half a minute."
    )


def process_ended(status: int | None, fault: str = "") -> tuple[str, str]:
    """For a job whose process ended under it.

    Args:
        status: the exit status (negative: a signal), or None if it had to be ended.
        fault: what was wrong with what it sent, or empty.

    Returns:
        the sentence for the visitor, and the details.
    """
    if fault or status is None:
        return f"The process that worked on this sent no usable answer. {TRY_AGAIN}", f"WorkerAnswer: {fault or 'none'}"
    if status >= 0:
        return f"The process that worked on this ended unexpectedly. {TRY_AGAIN}", f"WorkerExit: exit status {status}"
    number = -status
    details = f"WorkerSignal: {signal.Signals(number).name if number in set(signal.Signals) else number}"
    if number == signal.SIGKILL:
        return KILLED, details
    if number == signal.SIGXCPU:
        return TOO_MUCH_WORK, details
    if cause := {int(crash): words for crash, words in CRASHES.items()}.get(number):
        sentence = f"The process that worked on this crashed ({cause}). The app has recovered; this clip with this "
        return sentence + "setting would probably crash it again, so choose another.", details
    return f"The process that worked on this was ended from outside. {TRY_AGAIN}", details
