"""A package that is not installed, for what imports it and is not used."""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


def stand_in(package: str) -> bool:
    """Let a package be imported though it is not there; whatever is asked of it is an exception's class.

    Returns:
        Whether it is not there.
    """
    if find_spec(package) is not None:
        return False
    sys.meta_path.append(_Finder(package))
    return True


class _Finder(MetaPathFinder, Loader):
    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        ours = fullname.partition(".")[0] == self.package
        return ModuleSpec(fullname, self, is_package=True) if ours else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Kind(type):
    def __getattr__(cls, name: str) -> "_Kind":
        return _made(name)


class _Absent(ModuleType):
    def __getattr__(self, name: str) -> _Kind:
        return _made(name)


def _made(name: str) -> _Kind:
    if name.startswith("__"):
        raise AttributeError(name)
    return _Kind(name, (Exception,), {})
