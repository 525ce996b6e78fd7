"""What becomes of freed memory: kept while there is work, given back in between. Imports nothing of ours.

glibc gives each large tensor back to the system as it is freed, and the system clears the pages of the next one anew.
docs/PERFORMANCE.md has what that costs, and what other allocators do.
"""

import ctypes
import os
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
# Who has settled one of these has their own: by GLIBC_TUNABLES, or by a variable such as MALLOC_MMAP_MAX_.
OWN_WORD = ("mmap_max", "mmap_threshold", "trim_threshold")


def keep() -> bool:
    """Have this process keep what it frees, for its next tensors, until `give_back`. At run time: no variable, no new process.

    To be called by a process that is there to compute, not by a library within another's program.

    Returns:
        Whether that is done now: not without glibc, nor where the user has settled it by a variable.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if any(f"glibc.malloc.{name}=" in tunables or f"MALLOC_{name.upper()}_" in os.environ for name in OWN_WORD):
        return False
    with suppress(AttributeError, OSError):
        glibc = ctypes.CDLL(None)
        glibc.gnu_get_libc_version  # noqa: B018 - others have a mallopt that takes other numbers
        return bool(glibc.mallopt(M_MMAP_MAX, 0) and glibc.mallopt(M_TRIM_THRESHOLD, -1))
    return False


def give_back() -> None:
    """Give what is free back to the system; what little each job leaves scattered would add up over thousands of them too."""
    with suppress(AttributeError, OSError):  # glibc's alone
        ctypes.CDLL(None).malloc_trim(0)
