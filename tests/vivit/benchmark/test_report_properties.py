"""Titles, files, machines and models of any name in reports of sweeps: a browser and a spreadsheet show just these names."""

import csv
import importlib.util
import io
import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings

from tests.properties import PROPERTY, names
from tests.vivit.benchmark.test_report import WHOLE
from vivit.benchmark import report
from vivit.benchmark.results import Result, to_dict

# Not a carriage return, which HTML makes a line's end.
NAMES = names("<>&\"'/=!-;,#\n", "<b>", "</script>", "</title>", "<!--", "&lt;", never="\r\0", least=1)


class Page(HTMLParser):
    """What a browser makes of a page: `tags` in order, and the text in those that are asked about."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text: dict[str, str] = {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text[self.tags[-1]] = self.text.get(self.tags[-1], "") + data


def named(title: str, clip: str, machine: str) -> Result:
    return replace(WHOLE, title=title, clip=clip, machine=replace(WHOLE.machine, device_name=machine))


def without_charts(result: Result) -> str:
    """The page as it is written where plotly is not installed: charts take a second, and bring marks of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda *_: None)
        return report.as_html(result)


@settings(PROPERTY, max_examples=12)  # a page takes 50 ms
@given(title=NAMES, clip=NAMES, machine=NAMES)
def test_a_browser_shows_the_names_and_makes_nothing_of_them(title: str, clip: str, machine: str) -> None:
    hostile = named(title, clip, machine)
    page, tame = Page(without_charts(hostile)), Page(without_charts(named("t", "c", "m")))
    assert page.tags == tame.tags
    assert page.text["title"] == page.text["h1"] == title
    about = page.text["p"]
    assert f"clip: {clip}" in about and machine in about
    assert json.loads(page.text["script"]) == json.loads(json.dumps(to_dict(hostile)))


@PROPERTY
@given(machine=names(",;\"'\r\n\t="))
def test_a_spreadsheet_gets_the_names(machine: str) -> None:
    text = report.as_csv(named("t", "c", machine))
    lines = [*csv.DictReader(io.StringIO(text, newline=""))]
    assert len(lines) == len(WHOLE.rows) and {line["machine"] for line in lines} == {machine}
