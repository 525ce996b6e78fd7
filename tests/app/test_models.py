"""The paper's four models in a real browser: the choice among those with random weights."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.app.conftest import Server, settled

pytestmark = pytest.mark.browser


def test_a_model_is_chosen_beside_random_weights_and_outlasts_a_reload(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?checkpoint=vivit-b-16x2-random")
    expect(page.get_by_text("3,137 tokens")).to_be_visible()
    page.get_by_role("combobox", name="Model", exact=True).click()
    page.get_by_role("option", name="2 · factorised encoder").click()
    steps = page.get_by_text("16 steps of 14 × 14 + 1 = 197 tokens → 16 × 197² scores a head")
    expect(steps).to_be_visible()
    settled(page)
    expect(page).to_have_url(re.compile("model=2.*factorised"))
    page.reload()
    expect(steps).to_be_visible()
    expect(page.get_by_text("The link asks for")).to_have_count(0)


def test_a_trained_checkpoint_has_no_such_choice(page: Page, server: Server) -> None:
    page.goto(server.url)
    expect(page.get_by_text("Latency:").first).to_be_visible()
    expect(page.get_by_role("combobox", name="Model", exact=True)).to_have_count(0)
