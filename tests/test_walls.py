"""The walls between the rooms: who imports whom, and what an import brings in."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("app", "pages", "ui", "engine", "vivit", "mannequin")
FETCHES = ["vivit.fetching", "vivit.inputs", "vivit.pipelines", "vivit.pipeline", "vivit.VideoClassificationPipeline"]
PLAIN = [
    f"vivit.{name}"
    for name in ("names", "errors", "progress", "records", "machine", "interrupts", "intervals", "film", "ahead")
]
# Modules of timelines that pages and the server's own process use too.
COUNTED = [f"vivit.timeline.{name}" for name in ("windows", "segments", "work", "trained")]

# Modules of evaluations that pages and the server's own process use too.
JUDGED = [
    f"vivit.evaluate.{name}"
    for name in (
        "records",
        "sources",
        "labels",
        "journal",
        "summary",
        "calibration",
        "agreement",
        "report",
        "kept",
        "headline",
    )
]

DRAWN = ("kinds", "maps", "deletion", "counterfactuals", "drawing", "report")

MEANS_CUDA = {
    "vivit.attention": "kernels that are CUDA's alone, and what they say",
    "vivit.flash_attention": "packages that are CUDA's alone, and the number of its chips",
    "vivit.flex_attention": "the number of CUDA's chips",
    "vivit.crossing": "memory that is pinned for CUDA's copies",
    "vivit.execution": "graphs that are CUDA's alone",
    "vivit.fused": "steps that PyTorch fuses on CUDA alone, and kernels for it",
    "vivit.kernels": "the GPU that a kernel is launched on",
    "vivit.names": "a precision that computes in another dtype on CUDA's GPUs",
    "vivit.tf32": "products that the tensor cores of NVIDIA GPUs round",
    "vivit.benchmark.memory": "what PyTorch fuses on CUDA alone is not held in memory",
    "vivit.benchmark.documentation": "a column of the documentation's tables: 'is cuda'",
    "vivit.benchmark.probes": "whether NVIDIA's driver is there",
    "mannequin.sample": "memory that is pinned for CUDA's copies",
}


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


def imports(module: str, *, everywhere: bool = True) -> frozenset[str]:
    return _imports(module, FILES[module], FILES[module].read_text(encoding="utf-8"), everywhere)


@cache
def _imports(module: str, file: Path, code: str, everywhere: bool) -> frozenset[str]:
    """Kept for as long as the code is the same, since every wall asks. Args: file: the module's, which some tests change."""
    return frozenset(imported(ast.parse(code).body, module, everywhere=everywhere))


def reaches(module: str, *, everywhere: bool = False) -> set[str]:
    """Every module that importing this one runs: the project's all the way, others by name.

    Args:
        module: where from.
        everywhere: by imports inside functions too, and so whatever may be run. `vivit/__init__.py` hands on whatever it is
            asked for: the names that are imported from it are in the answer, but its own imports are not followed.
    """
    seen: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        parents = {name.rpartition(".")[0]} - {""}
        inner = name in FILES and not (everywhere and name == "vivit")
        todo += parents | (imports(name, everywhere=everywhere) if inner else frozenset())
    return seen


WALLS: list[tuple[list[str], list[str]]] = [
    (["vivit"], ["engine", "ui", "pages", "app", "streamlit", "mannequin", "benchmarks"]),
    (["engine"], ["ui", "pages", "app", "streamlit", "mannequin", "benchmarks"]),
    (["mannequin"], ["engine", "ui", "pages", "app", "streamlit", "benchmarks"]),
    (["ui"], ["pages", "app", "benchmarks"]),
    (["app", "pages", "ui"], ["torch", "av", "transformers"]),
    ([*ROOMS], ["transformers", "torchvision", "tests"]),
    # Plain data that everybody may use.
    (PLAIN, ["vivit"]),
    (PLAIN, ["torch", "av"]),
    # What knows only tensors, paths and pixels.
    (["vivit.checkpoint.files", "vivit.hub", "vivit.attention"], ["vivit.config", "vivit.model", "vivit.processing"]),
    (["vivit.checkpoint.files", "vivit.hub", "vivit.attention"], ["vivit.pipelines", "vivit.precision"]),
    (["vivit.hub", "vivit.attention", "vivit.linear", "vivit.video"], ["vivit.checkpoint"]),
    (["vivit.checkpoint.layout"], ["vivit.config", "vivit.model", "vivit.hub", "vivit.processing"]),
    (["vivit.video", "vivit.benchmark.measure"], ["vivit.config", "vivit.model", "vivit.pipelines"]),
    (
        ["vivit.processor_files", "vivit.pictures", "vivit.resizing"],
        ["vivit.config", "vivit.processing", "vivit.checkpoint", "torch"],
    ),
    # And upwards from there.
    (["vivit.config", "vivit.processing"], ["vivit.model", "vivit.pipelines", "vivit.checkpoint"]),
    (["vivit.model"], ["vivit.pipelines", "vivit.video", "vivit.benchmark", "vivit.checkpoint.opening"]),
    (["vivit.model", "vivit.pipelines", "vivit.benchmark"], ["vivit.explain"]),
    # What pages draw with, and what they ask for, computes with no model.
    ([f"vivit.explain.{name}" for name in DRAWN], ["torch", "av", "vivit.model", "vivit.explain.attention"]),
    (["vivit.explain.attention", "vivit.explain.passes"], ["av", "vivit.video", "vivit.pipelines"]),
    # Windows and segments are counted by whoever shows them; only what classifies computes, and only what reads decodes.
    (COUNTED, ["torch", "av", "vivit.model", "vivit.video", "vivit.pipelines", "vivit.explain"]),
    (JUDGED, ["torch", "av", "vivit.model", "vivit.video", "vivit.pipelines", "vivit.explain"]),
    (["vivit.timeline.passes", "vivit.timeline.whole"], ["vivit.pipelines", "vivit.explain", "vivit.benchmark"]),
    (["vivit.timeline.passes"], ["av", "vivit.video"]),
    (["vivit.video", "vivit.model"], ["vivit.timeline"]),
    (["vivit.checkpoint"], ["vivit.model", "vivit.pipelines"]),
    (["vivit.device", "vivit.precision"], ["vivit.model", "vivit.benchmark"]),
    # No address that a visitor names is fetched by the server: see the test of it below too.
    (["app", "pages", "ui", "engine"], [*FETCHES]),
    # What workers run knows nothing of who runs them.
    (
        [
            "engine.media",
            "engine.films",
            "engine.model",
            "engine.windows",
            "engine.evaluating",
            "engine.teaching",
            "engine.hub",
            "engine.worker",
            "engine.tasks",
        ],
        [
            *(
                "engine.engine",
                "engine.process",
                "engine.sweeps",
                "engine.uploads",
                "engine.visitors",
                "engine.timelines",
            ),
            "engine.evaluations",
            "engine.lessons",
            "engine.teachings",
            "engine.clips_ahead",
            "engine.private_folder",
        ],
    ),
    # Films are read and cameras heard in processes of their own kind; the server's own computes nothing.
    (["engine.films"], ["torch", "vivit.model", "engine.loaded"]),
    (
        ["engine.timelines", "engine.live", "engine.evaluations", "engine.lessons"],
        ["torch", "av", "vivit.video", "vivit.model", "PIL"],
    ),
]


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def modules_in(*rooms: str) -> list[str]:
    found = [m for m in FILES if any(within(m, room) for room in rooms)]
    assert all(any(within(m, room) for m in found) for room in rooms if room != "app"), "no such room"
    return found


def crossings(module: str, forbidden: list[str]) -> set[str]:
    """What a module imports, anywhere in it, that lies behind a wall."""
    return {name for name in imports(module) for wall in forbidden if within(name, wall)}


def circles() -> list[set[str]]:
    """Modules of the house that import each other in a circle, inside functions and for type checkers too."""
    graph = {}
    for module in FILES:
        found = {name for name in imports(module) if name in FILES and name != module}
        # 'from vivit import names' is an import of `vivit.names`; what is in a package may import what is beside it.
        faces = {name for name in found if FILES[name].name == "__init__.py"}
        inner = {f for f in faces if within(module, f) or any(n != f and within(n, f) for n in found)}
        graph[module] = found - inner | {f for n in found for f in faces_of(n) if not within(module, f)}
    reached = {module: set(graph[module]) for module in graph}
    for middle in graph:
        for module in graph:
            if middle in reached[module]:
                reached[module] |= reached[middle]
    return [{m for m in reached if m in reached[n] and n in reached[m]} for n in reached if n in reached[n]]


def faces_of(module: str) -> list[str]:
    """The packages that a module lies in, whose `__init__.py` importing it runs too, without the room at the top."""
    parts = module.split(".")
    return [face for k in range(2, len(parts)) if (face := ".".join(parts[:k])) in FILES]


def test_every_room_is_here() -> None:
    assert {m.split(".")[0] for m in FILES} == set(ROOMS)


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


@pytest.mark.parametrize(("rooms", "forbidden"), WALLS, ids=lambda names: ",".join(names))
def test_who_never_imports_whom(
    rooms: list[str], forbidden: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in modules_in(*rooms):
        crossed = crossings(module, forbidden)
        assert not crossed, f"{module} imports {', '.join(sorted(crossed))}"
    # And a module in any of these rooms that imported one of them, even inside a function, would be found.
    for room in rooms:
        for wall in forbidden:
            intruder = tmp_path / "intruder.py"
            intruder.write_text(f"def f():\n    from {wall} import something\n")
            monkeypatch.setitem(FILES, f"{room}.intruder", intruder)
            assert f"{room}.intruder" in modules_in(room) and crossings(f"{room}.intruder", forbidden)


def test_no_module_imports_itself_by_way_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not circles()
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.py").write_text(f"def f():\n    import ring.{other}\n")
        monkeypatch.setitem(FILES, f"ring.{name}", tmp_path / f"{name}.py")
    assert circles()[0] == {"ring.a", "ring.b", "ring.c"}


def test_a_circle_by_way_of_a_packages_face_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "high.py").write_text("import vivit.pack.low\n")
    (tmp_path / "low.py").write_text("")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("from vivit.pack.upper import thing\n")
    (tmp_path / "upper.py").write_text("def f():\n    import vivit.high\n")
    monkeypatch.setitem(FILES, "vivit.pack", tmp_path / "pack" / "__init__.py")
    for name, file in (("vivit.high", "high"), ("vivit.pack.low", "low"), ("vivit.pack.upper", "upper")):
        monkeypatch.setitem(FILES, name, tmp_path / f"{file}.py")
    assert circles()[0] == {"vivit.high", "vivit.pack", "vivit.pack.upper"}


@pytest.mark.parametrize(
    ("word", "rooms", "keeper"),
    [
        ("session_state", ["app", "pages", "ui"], "ui.visit"),  # what a visit keeps
        ('partition("@")', [*ROOMS], "vivit.hub.checkpoints"),  # a name with a revision is parsed
        ("docs", ["vivit"], None),  # the library does not read what a checkout has beside it
        ("expected = True", [*ROOMS], None),  # errors for users are `UserError`
    ],
)
def test_what_is_done_in_one_place_alone(word: str, rooms: list[str], keeper: str | None) -> None:
    places = {module for module in modules_in(*rooms) if word in code_of(module)}
    assert places == ({keeper} if keeper else set())


def code_of(module: str) -> str:
    """A module's code, without comments and docstrings."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value.value = ""
    return ast.unparse(tree).replace("'", '"')


def test_this_reader_of_code_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.py").write_text('"""docs"""\nx = "docs" / 1  # more docs\ny = name.partition(\'@\')\n')
    monkeypatch.setitem(FILES, "ui.m", tmp_path / "m.py")
    assert code_of("ui.m").count("docs") == 1 and 'partition("@")' in code_of("ui.m")


@pytest.mark.parametrize("module", modules_in("app", "pages", "ui"))
def test_what_draws_reaches_neither_torch_nor_av(module: str) -> None:
    assert not reaches(module) & {"torch", "av", "safetensors.torch"}


def test_what_reaches_torch_is_found() -> None:
    assert "torch" in reaches("engine.model") and "av" in reaches("engine.media")


@pytest.mark.parametrize("module", modules_in("app", "pages", "ui", "engine"))
def test_what_serves_visitors_can_fetch_nothing_they_name(module: str) -> None:
    """Not even by way of others, or by an import inside a function."""
    assert not reaches(module, everywhere=True) & {*FETCHES}


def test_what_can_fetch_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"vivit.fetching", "vivit.inputs"} < reaches("vivit.pipelines", everywhere=True)
    for code in ("from vivit.middle import f", "from vivit import pipeline", "from vivit import pipelines"):
        (tmp_path / "job.py").write_text(f"def job():\n    {code}\n")
        (tmp_path / "middle.py").write_text("def f():\n    from vivit.inputs import prepare\n")
        monkeypatch.setitem(FILES, "engine.job", tmp_path / "job.py")
        monkeypatch.setitem(FILES, "vivit.middle", tmp_path / "middle.py")
        assert reaches("engine.job", everywhere=True) & {*FETCHES}
        assert not reaches("engine.job") & {*FETCHES}


def test_only_what_means_cuda_says_so() -> None:
    """Everything else means the device, which may be another maker's: see `vivit.device`."""
    cuda = re.compile(
        r"""torch\.cuda\.|\.is_cuda\b|\.cuda\(|[=!]= ["']cuda|["']cuda(:\d)?["'] [=!]=|device\(["']cuda"""
    )
    for line in ('x.type == "cuda"', "torch.cuda.synchronize()", "x.is_cuda", 'torch.device("cuda:1")', "x.cuda()"):
        assert cuda.search(line)
    found = {module for module, file in FILES.items() if cuda.search(file.read_text(encoding="utf-8"))}
    assert found == MEANS_CUDA.keys(), found ^ MEANS_CUDA.keys()


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
    # A name imported from a module may be a module itself, or not.
    load = (
        "import importlib\n"
        "def load(name):\n"
        "    try: importlib.import_module(name)\n"
        "    except ModuleNotFoundError as error:\n"
        "        if error.name != name: raise\n"
    )
    loaded = loaded_by(load + "\n".join(f"load({name!r})" for name in names))
    assert {"streamlit", "engine", "ui"} <= loaded
    assert not loaded & {"torch", "av", "transformers"}


@pytest.mark.parametrize(
    "module",
    [
        "vivit",
        "vivit.config",
        "vivit.processing",
        "vivit.video",
        "vivit.preparing",
        "vivit.hub",
        "vivit.inputs",
        "vivit.decoders",
        "vivit.evaluate.records",
        "vivit.video.streaming",
        *COUNTED,
        "vivit.evaluate.journal",
        "vivit.evaluate.report",
        "engine.media",
        "engine.films",
        "engine.timelines",
        "engine.live",
        "engine.lessons",
        "vivit.teach.features",
    ],
)
def test_rooms_without_torch(module: str) -> None:
    loaded = loaded_by(f"import {module}")
    assert "torch" not in loaded
    assert "streamlit" not in loaded


def test_what_a_timeline_counts_with_decodes_nothing_either() -> None:
    loaded = loaded_by(
        "\n".join(f"import {module}" for module in ("vivit.film", *COUNTED, "engine.timelines", "engine.live"))
    )
    assert "numpy" in loaded and not loaded & {"torch", "av", "streamlit"}


def test_rooms_with_torch_have_no_streamlit() -> None:
    """And nothing of the oracle's: the tests' requirements are not the project's."""
    rooms = [
        "vivit.model",
        "vivit.pipelines",
        "vivit.device",
        "vivit.benchmark.probes",
        "vivit.timeline.passes",
        "vivit.timeline.whole",
        "vivit.evaluate.local",
        "engine.model",
    ]
    assert all("torch" in reaches(module) for module in rooms)
    loaded = loaded_by("\n".join(f"import {module}" for module in rooms))
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
    absent = ["vivit.kernels"] * (find_spec("triton") is None)  # which PyTorch brings where there is a GPU
    rooms = [m for m in modules_in("vivit") if not m.endswith("__main__") and m not in absent]
    code += "\n".join(f"importlib.import_module({m!r})" for m in rooms)
    assert "torch" in loaded_by(code)
