"""What is imported is declared, what is declared agrees, and what is installed is whole and runs away from the checkout."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
OURS = {"app", "pages", "ui", "engine", "vivit", "mannequin", "benchmarks", "tests"}
# Module → its distribution, where the two are not called alike, or where the module comes with another's distribution.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "axe_playwright_python": "axe-playwright-python",
    "triton": "torch",
}
# Whoever asks for what these do installs them, and is told how where they are lacking.
OPTIONAL = {"flash-attn", "flash-attn-interface", "bitsandbytes", "ray"}


def _requirements(*files: str) -> dict[str, Requirement]:
    lines = [line.split("#")[0].strip() for file in files for line in (ROOT / file).read_text().splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def _project() -> dict[str, Requirement]:
    lines: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def _imported(rooms: Iterable[str]) -> set[str]:
    """Distributions whose modules are imported anywhere in these files and folders."""
    files = [
        file for room in rooms for file in ([ROOT / room] if room.endswith(".py") else (ROOT / room).rglob("*.py"))
    ]
    modules = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module.partition(".")[0])
    assert "vivit" in modules, f"No file of {rooms} was read."
    return {canonicalize_name(DISTRIBUTIONS.get(name, name)) for name in modules - OURS - sys.stdlib_module_names}


@pytest.mark.parametrize(
    ("rooms", "declared"),
    [
        (["vivit"], _project()),
        (["app.py", "pages", "ui", "engine", "vivit", "mannequin"], _requirements("requirements.txt")),
        (["tests"], _requirements("requirements.txt", "requirements-dev.txt")),
        (["benchmarks"], _requirements("requirements.txt", "requirements-dev.txt", "benchmarks/requirements.txt")),
    ],
    ids=["library", "app", "tests", "benchmarks"],
)
def test_every_package_that_is_imported_is_declared(rooms: list[str], declared: dict[str, Requirement]) -> None:
    assert _imported(rooms) - OPTIONAL - set(declared) == set()


def test_the_library_and_the_app_ask_for_the_same_versions() -> None:
    of_the_app = _requirements("requirements.txt")
    for name, requirement in _project().items():
        if name == "torch":  # the app names one exact version of it
            assert requirement.specifier.contains(str(of_the_app[name].specifier).removeprefix("=="))
        else:
            assert requirement.specifier == of_the_app[name].specifier, name


def test_constraints_name_one_version_that_every_requirement_allows() -> None:
    pinned = _requirements("constraints.txt")
    for name, requirement in _requirements("requirements.txt", "requirements-dev.txt").items():
        (version,) = (specifier.version for specifier in pinned[name].specifier)
        assert requirement.specifier.contains(version), requirement


def test_every_target_of_make_says_what_it_does() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert (
        set(re.findall(r"^ +make ([a-z-]+) +\S", told, re.MULTILINE))
        == targets
        >= {"run", "test", "check", "constraints"}
    )


def test_every_room_stands_in_the_architecture() -> None:
    told = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    rooms = [file for top in ("vivit", "engine", "mannequin") for file in (ROOT / top).rglob("*.py")]
    names = {
        file.parent.name if "poses" in file.parts else file.stem for file in rooms if not file.stem.startswith("__")
    }
    named = {word for code in re.findall(r"`([^`\n]+)`", told) for word in re.findall(r"\w+", code)}
    assert sorted(names - named) == []


def test_a_wheel_holds_the_library_and_its_checkpoints_and_runs_anywhere(tmp_path: Path) -> None:
    source, elsewhere = tmp_path / "source", tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copytree(ROOT / "vivit", source / "vivit", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "from setuptools.build_meta import build_wheel; build_wheel('..')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)

    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("vivit/")}
        (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
        (commands,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/entry_points.txt"))
        archive.extractall(elsewhere / "installed")
    assert held == {str(file.relative_to(source)) for file in (source / "vivit").rglob("*") if file.is_file()}
    assert {"vivit/py.typed", "vivit/assets/vivit-mannequin/model.safetensors"} <= held
    assert "vivit = vivit.__main__:main" in commands
    assert "License-Expression: Apache-2.0" in metadata and "\n# ViViT" in metadata

    clip = ROOT / "vivit" / "assets" / "clips" / "golf_driving.mp4"
    called = [
        sys.executable,
        "-c",
        "import sys; from vivit.__main__ import main; sys.exit(main())",
        "classify",
        str(clip),
    ]
    environment = {**os.environ, "PYTHONPATH": str(elsewhere / "installed")}
    done = subprocess.run(called, cwd=elsewhere, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "golf driving" in done.stdout
