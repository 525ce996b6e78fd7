"""What users can meet and do something about. Imports nothing of ours."""


class UserError(ValueError):
    """Something that cannot be done, in one sentence for the user; the app and the command line show it as it is.

    Rooms whose callers tell it from other kinds have a class of their own, derived from this one.

    Args:
        sentence: what failed, why, and what to do next; it is `str(error)`.
        details: the words of whoever noticed (FFmpeg, PyTorch, the Hub's client); may be empty.
    """

    def __init__(self, sentence: str, details: str = "") -> None:
        super().__init__(sentence)
        self.details = details
