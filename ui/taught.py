"""The checkpoint that a visitor has taught here: what it is called, and where it is."""

from ui.server import get_server
from ui.visit import visitor

TAUGHT = "taught here"  # in lists and in the address


def taught_folder() -> str:
    """Its folder; '' while there is none."""
    taught = get_server().lessons.taught(visitor())
    return taught.folder if taught else ""
