"""Latency and memory, measured so that a figure can be trusted."""
