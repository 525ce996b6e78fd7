"""What a link asks for that its page does not have: said once, since Streamlit falls back to defaults in silence."""

import streamlit as st

from ui.text import inert, literal


def remember_link(page: str) -> None:
    """Keep what the address asked for when this visit first opened a page, before its controls tidy the address."""
    st.session_state.setdefault(f"link-{page}", st.query_params.to_dict())


def check_link(page: str, names: dict[str, str]) -> None:
    """Name the values that the link had and the page has not, until the visitor changes one of these controls.

    Args:
        page: as for `remember_link`.
        names: key of each control that has been drawn → what to call it.
    """
    asked: dict[str, str] = st.session_state[f"link-{page}"]
    here = {key: str(st.session_state[key]) for key in names if key in st.session_state}
    refused, then = st.session_state.setdefault(
        f"refused-{page}", ({key: asked[key] for key in here if key in asked and asked[key] != here[key]}, here)
    )
    if refused and here == then:
        wrong = "; ".join(
            f"{names[key]} '{literal(inert(value))}', so '{literal(inert(here[key]))}' is used"
            for key, value in refused.items()
        )
        st.warning(f"The link asks for what is not to be had here: {wrong}.", icon=":material/link_off:")
