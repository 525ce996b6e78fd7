"""What tests do with pages that AppTest draws."""

import time
from collections.abc import Callable

from streamlit.testing.v1 import AppTest


def until(app: AppTest, there: Callable[[AppTest], bool], seconds: float = 180.0) -> AppTest:
    """Run the page again and again, as its fragments do in a browser, until `there`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        app.run()
        assert not app.exception, app.exception
        if there(app):
            return app
        time.sleep(0.2)
    raise AssertionError([e.value for e in (*app.info, *app.warning, *app.error, *app.markdown)])
