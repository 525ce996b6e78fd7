"""What the tests of a camera in a real browser share."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.app.camera.tab import a_page


@pytest.fixture
def page(with_camera: Browser) -> Iterator[Page]:
    """A tab that may have the camera."""
    with a_page(with_camera, "camera") as page:
        yield page
