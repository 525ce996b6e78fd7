"""The time stamp that a component's data carries."""

import pytest
from streamlit.testing.v1 import AppTest


def script() -> None:
    import streamlit as st

    from ui.components.stamp import stamped

    st.session_state.made = stamped("part", {"text": st.session_state.get("text", "")})


def test_it_grows_with_every_change_whatever_the_clock_does(monkeypatch: pytest.MonkeyPatch) -> None:
    app = AppTest.from_function(script, default_timeout=60)
    made = []
    for text, clock in (("", 1e9), ("", 1e9 + 5), ("one", 1e9 + 9), ("two", 1e9 - 3600), ("", 1e9 - 3600)):
        app.session_state.text = text
        with monkeypatch.context() as patched:
            patched.setattr("ui.components.stamp.time.time", lambda clock=clock: clock)
            app.run()
        assert not app.exception
        made.append(app.session_state.made)
    assert [data["text"] for data in made] == ["", "", "one", "two", ""]
    first, same, *changed = (data["stamp"] for data in made)
    assert first == same == 1e9 and [first, *changed] == sorted({first, *changed})
