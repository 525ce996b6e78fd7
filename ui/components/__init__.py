"""Streamlit components (v2) of our own, one file each."""
