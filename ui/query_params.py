"""What a link asks for that its page does not have: said once, since Streamlit falls back to defaults in silence."""

import streamlit as st

from ui.escape import inert, literal
from ui.visit import Refused, visit, widget


def remember_link(page: str) -> None:
    """Keep what the address asked for when this visit first opened a page, before its controls tidy the address."""
    visit().links.setdefault(page, st.query_params.to_dict())


def check_link(page: str, names: dict[str, str]) -> None:
    """Name the values that the link had and the page has not, until the visitor changes one of these controls.

    Args:
        page: as for `remember_link`.
        names: key of each control that has been drawn → what to call it.
    """
    asked = visit().links[page]
    here = {key: str(value) for key in names if (value := widget(key)) is not None}
    wrong = {key: asked[key] for key in here if key in asked and not _same(asked[key], here[key])}
    refused = visit().refused.setdefault(page, Refused(wrong, here))
    if not refused.asked or refused.used != here:
        return
    text = "; ".join(
        f"{names[key]} '{literal(inert(value))}', so '{literal(inert(here[key]))}' is used"
        for key, value in refused.asked.items()
    )
    st.warning(f"The link asks for what is not to be had here: {text}.", icon=":material/link_off:")


def _same(asked: str, here: str) -> bool:
    """Whether both say the same: '3' is '3.0'."""
    try:
        return asked == here or float(asked) == float(here)
    except ValueError:
        return False
