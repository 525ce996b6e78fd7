"""Serves, where `streamlit run app.py` imports it, and draws, where Streamlit runs it as the page script."""

import streamlit as st

if __name__ == "__main__":
    st.set_page_config(page_title="ViViT demo", page_icon="ui/icon.svg", layout="wide")
    pages = [
        st.Page("pages/classify.py", title="Classify", icon=":material/movie:", default=True),
        st.Page("pages/compare.py", title="Compare backends", icon=":material/speed:"),
    ]
    st.navigation(pages, position="top").run()
else:
    from ui.server import lifespan, routes

    app = st.App(__file__, lifespan=lifespan, routes=routes)
