"""The walls between the rooms: who imports whom, and what an import brings in."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("app", "pages", "ui", "engine", "vivit", "mannequin")


def name_of(file: Path) -> str:
    """The module that a file of the project is."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    name_of(file): file
    for room in ROOMS
    for file in [ROOT / f"{room}.py", *sorted((ROOT / room).rglob("*.py"))]
    if file.is_file()
}


def imported(nodes: list[ast.stmt], module: str, *, everywhere: bool) -> Iterator[str]:
    """Full names that these statements import, relative ones resolved.

    Args:
        nodes: statements of a module.
        module: its name.
        everywhere: imports inside functions too, and those for type checkers; else only what importing it runs.
    """
    package = module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)
        elif everywhere or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            if not everywhere and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                yield from imported(node.orelse, module, everywhere=everywhere)
            else:
                yield from imported([*ast.iter_child_nodes(node)], module, everywhere=everywhere)  # type: ignore[list-item]


def imports(module: str, *, everywhere: bool = True) -> set[str]:
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    return set(imported(tree.body, module, everywhere=everywhere))


def reaches(module: str) -> set[str]:
    """Every module that importing this one runs: the project's all the way, others by name."""
    seen: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        parents = {name.rpartition(".")[0]} - {""}
        todo += parents | (imports(name, everywhere=False) if name in FILES else set())
    return seen


VIDEO_ROOMS = ["vivit.container", "vivit.picture", "vivit.probing", "vivit.sampling", "vivit.decoding"]


def modules_in(*rooms: str) -> list[str]:
    found = [m for m in FILES if m in rooms or m.split(".")[0] in rooms]
    assert found
    return found


def test_every_room_is_here() -> None:
    assert {m.split(".")[0] for m in FILES} >= {"app", "pages", "ui", "engine", "vivit"}


def test_this_reader_of_imports_sees_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests below are worth what `imports` finds."""
    file = tmp_path / "room.py"
    file.write_text(
        "import a.b\nfrom c import d\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import e\n"
        "try:\n    import f\nexcept ImportError:\n    pass\ndef g():\n    import h\nclass I:\n    import j\n"
        "from . import k\nfrom .l import m\n"
    )
    monkeypatch.setitem(FILES, "pack.room", file)
    run = {"a.b", "c", "c.d", "typing", "typing.TYPE_CHECKING", "f", "j", "pack", "pack.k", "pack.l", "pack.l.m"}
    assert imports("pack.room", everywhere=False) == run
    assert imports("pack.room") == run | {"e", "h"}


@pytest.mark.parametrize(
    ("rooms", "forbidden"),
    [
        (["vivit"], ["engine", "ui", "pages", "app", "streamlit", "mannequin"]),
        (["engine"], ["ui", "pages", "app", "streamlit", "mannequin"]),
        (["mannequin"], ["engine", "ui", "pages", "app", "streamlit"]),
        (["ui"], ["pages", "app"]),
        (["vivit.weights", "vivit.hub", "vivit.attention"], ["vivit.config", "vivit.model", "vivit.processing"]),
        (["vivit.weights", "vivit.hub", "vivit.attention"], ["vivit.checkpoint", "vivit.pipelines", "vivit.precision"]),
        (["vivit.config", "vivit.processing"], ["vivit.model", "vivit.pipelines"]),
        (["vivit.model"], ["vivit.pipelines", "vivit.video", "vivit.benchmark"]),
        (
            ["vivit.video", *VIDEO_ROOMS, "vivit.benchmark.measure"],
            ["vivit.config", "vivit.model", "vivit.checkpoint", "vivit.pipelines"],
        ),
        (["app", "pages", "ui"], ["torch", "av", "transformers"]),
        (["vivit", "engine", "ui", "pages", "app", "mannequin"], ["transformers", "torchvision", "tests"]),
    ],
    ids=lambda names: ",".join(names),
)
def test_who_never_imports_whom(rooms: list[str], forbidden: list[str]) -> None:
    chosen = [room for room in rooms if room in FILES or any(m.startswith(f"{room}.") for m in FILES)]
    assert chosen, "no such room"
    for module in modules_in(*chosen) if all("." not in r for r in chosen) else chosen:
        crossed = {n for n in imports(module) for wall in forbidden if n == wall or n.startswith(f"{wall}.")}
        assert not crossed, f"{module} imports {', '.join(sorted(crossed))}"


@pytest.mark.parametrize("module", modules_in("app", "pages", "ui"))
def test_what_draws_reaches_neither_torch_nor_av(module: str) -> None:
    assert not reaches(module) & {"torch", "av", "safetensors.torch"}


def loaded_by(code: str) -> set[str]:
    """The top-level packages loaded in a fresh process after running `code`."""
    script = f"{code}\nimport sys\nprint(chr(10).join(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_app_and_ui_loads_neither_torch_nor_av() -> None:
    """What Streamlit's process imports: app.py, everything in ui/, and whatever the pages import."""
    names = ["app", *modules_in("ui")]
    names += sorted(
        {n for page in modules_in("pages") for n in imports(page) if n in FILES or n.split(".")[0] not in ROOMS}
    )
    lines = ["import importlib", "from contextlib import suppress"]
    # A name imported from a module may be a module itself, or not.
    lines += [f"with suppress(ModuleNotFoundError): importlib.import_module({name!r})" for name in names]
    loaded = loaded_by("\n".join(lines))
    assert {"streamlit", "engine", "ui"} <= loaded
    assert not loaded & {"torch", "av", "transformers"}


@pytest.mark.parametrize(
    "module", ["vivit", "vivit.config", "vivit.processing", "vivit.video", "vivit.clip", "vivit.hub", "engine.media"]
)
def test_rooms_without_torch(module: str) -> None:
    loaded = loaded_by(f"import {module}")
    assert "torch" not in loaded
    assert "streamlit" not in loaded


@pytest.mark.parametrize("module", ["vivit.model", "vivit.pipelines", "vivit.machine", "engine.model"])
def test_rooms_with_torch_have_no_streamlit(module: str) -> None:
    """And nothing of the oracle's: the tests' requirements are not the project's."""
    loaded = loaded_by(f"import {module}")
    assert "torch" in loaded
    assert not loaded & {"streamlit", "transformers", "torchvision"}


def test_preparing_a_clip_and_numbers_for_it_loads_no_torch() -> None:
    code = (
        "import numpy as np\nfrom vivit import VivitConfig, VivitImageProcessor\n"
        "VivitImageProcessor()([np.zeros((30, 40, 3), np.uint8)] * 2, return_tensors='np')\nVivitConfig().to_dict()"
    )
    assert "torch" not in loaded_by(code)


def test_importing_everything_in_the_library_needs_no_network() -> None:
    """Every room, in one process whose sockets do not work."""
    code = (
        "import socket, importlib\n"
        "def refuse(*_, **__): raise AssertionError('network at import')\n"
        "socket.socket.connect = refuse\nsocket.getaddrinfo = refuse\n"
    )
    code += "\n".join(f"importlib.import_module({m!r})" for m in modules_in("vivit") if not m.endswith("__main__"))
    assert "torch" in loaded_by(code)
