"""The app: imported by `streamlit run app.py` this file serves; run by Streamlit as the page script it draws."""

import streamlit as st

if __name__ == "__main__":
    st.set_page_config(page_title="ViViT demo", page_icon="ui/icon.svg", layout="wide")
    pages = [
        st.Page("pages/classify.py", title="Classify", icon=":material/movie:", default=True),
        st.Page("pages/inside.py", title="Look inside", icon=":material/visibility:"),
        st.Page("pages/timeline.py", title="Timeline", icon=":material/view_timeline:"),
        st.Page("pages/live.py", title="Live", icon=":material/videocam:"),
        st.Page("pages/evaluate.py", title="Evaluate", icon=":material/fact_check:"),
        st.Page("pages/teach.py", title="Teach", icon=":material/school:"),
        st.Page("pages/benchmark.py", title="Benchmark", icon=":material/speed:"),
    ]
    st.navigation(pages, position="top").run()
else:
    from ui.camera_routes import CAMERA_ROUTES
    from ui.lesson_routes import LESSON_ROUTES
    from ui.server import check_options, lifespan, routes

    check_options()
    app = st.App(__file__, lifespan=lifespan, routes=routes([*CAMERA_ROUTES, *LESSON_ROUTES]))
