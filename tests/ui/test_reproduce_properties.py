"""'Reproduce' with clips and checkpoints of any name: a shell and Python read just these names."""

import ast
import shlex
from itertools import pairwise

from hypothesis import given

from tests.properties import PROPERTY, names
from ui.chosen import Settings
from ui.reproduce import commands, evaluate_command, timeline_command
from vivit.timeline import Grid

# What a file may be called on Linux.
NAMES = names("'\"\\$`!;&|<>(){}*?~# \n-", "\nEND\n", "--", never="/\0", least=1).filter(
    lambda name: name not in (".", "..")
)


def settings(checkpoint: str) -> Settings:
    return Settings(checkpoint, "sdpa", "float32", "uniform", 1, "checkpoint", 5)


def with_option(words: list[str]) -> dict[str, str]:
    """Options and their values, which follow them."""
    return {word: value for word, value in pairwise(words) if word.startswith("--")}


@PROPERTY
@given(clip=NAMES, checkpoint=NAMES)
def test_a_shell_reads_the_names(clip: str, checkpoint: str) -> None:
    path, model = f"/clips/{clip}", f"/models/{checkpoint}"
    line, _ = commands(path, settings(model))
    words = shlex.split(line)
    assert words[1:5] == ["-m", "vivit", "classify", path] and with_option(words[5:])["--model"] == model
    words = shlex.split(timeline_command(path, settings(model), Grid(2.0, 0.5, 32), "none"))
    assert words[1:5] == ["-m", "vivit", "timeline", path] and with_option(words[5:])["--model"] == model
    words = shlex.split(evaluate_command(path, 7, settings(model), {"--out": clip}))
    assert words[1:5] == ["-m", "vivit", "evaluate", path] and words[-2:] == ["--out", clip]


@PROPERTY
@given(clip=NAMES)
def test_a_name_in_the_folder_is_taken_for_no_option(clip: str) -> None:
    words = shlex.split(commands(clip, settings("vivit-mannequin"))[0])
    assert words[4] in (clip, f"./{clip}") and not words[4].startswith("-")


@PROPERTY
@given(clip=NAMES, checkpoint=NAMES)
def test_python_reads_the_names_and_the_shell_all_of_the_program(clip: str, checkpoint: str) -> None:
    path, model = f"/clips/{clip}", f"/models/{checkpoint}"
    first, *program, last = commands(path, settings(model))[1].split("\n")
    assert first.endswith(" - <<'END'") and last == "END" and "END" not in program
    tree = ast.parse("\n".join(program))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert path in constants and constants.count(model) == 2
    # print, classify, pipeline and from_pretrained, and nothing that a name has brought.
    assert len(calls) == 4 and len(tree.body) == 3
