"""A module whose import fails, hangs or works, as the file that SWITCH names says."""

import os
import time
from pathlib import Path

match Path(os.environ["SWITCH"]).read_text():
    case "raise":
        raise ImportError("libmissing.so: cannot open shared object file")
    case "segfault":
        import ctypes

        ctypes.string_at(0)
    case "hang":
        time.sleep(600)

TASKS = {"echo": lambda arguments, blobs, progress: (arguments, blobs)}
