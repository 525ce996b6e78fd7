"""What compiling takes on this machine."""

import os
import shutil
import sys


def missing_compiler() -> str:
    """The C++ compiler that PyTorch's compiler would call for a CPU, if it is not on this machine; '' if it is."""
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")  # as Inductor chooses
    return "" if shutil.which(compiler) else compiler
