"""The command line, run as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vivit.__main__ import main

CLASSIFY: list[str | bytes | Path] = [sys.executable, "-m", "vivit", "classify"]


def run_here(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Run the command in this process: (exit status, stdout, stderr). An error that is not caught fails the test."""
    capsys.readouterr()  # what the oracle printed while it was saved
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def from_json(text: str) -> Any:
    """What JSON says, which may hold no NaN and no infinity: Python would write and read them as words of its own."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(word))


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vivit", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def assert_one_sentence(text: str, *named: str) -> None:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("vivit: "), text
    for word in named:
        assert word in lines[0]
