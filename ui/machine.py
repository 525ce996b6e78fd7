"""'About this machine': what runs here, and why the rest does not."""

import streamlit as st

from ui.server import get_engine


def show_machine() -> None:
    """An expander with the device, the versions and a table of backends by precisions."""
    with st.expander("About this machine", icon=":material/memory:"):
        machine = get_engine().hello("model")
        if machine is None:
            st.caption("The model worker is still starting.")
            return
        versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        st.markdown(
            f"**{machine['device_name']}** ({machine['device']}), {machine['memory_bytes'] / 2**30:.0f} GiB, "
            f"{machine['threads']} threads of PyTorch on {machine['cores']} cores, {machine['cpu_capability']}; "
            f"{machine['platform']}; {versions}."
        )
        support = machine["support"]
        precisions = list(dict.fromkeys(s["precision"] for s in support))
        rows = [
            {"backend": name}
            | {
                s["precision"]: f"{s['flops_per_second'] / 1e9:,.0f} GFLOP/s" if not s["reason"] else "not here"
                for s in support
                if s["attention"] == name
            }
            for name in dict.fromkeys(s["attention"] for s in support)
        ]
        st.dataframe(rows, hide_index=True, alt="Attention backends by precision: the speed of each, or 'not here'")
        products = ", ".join(f"{p} {machine['flops_per_second'][p] / 1e9:,.0f}" for p in precisions)
        st.caption(
            f"Measured when the worker started: attention over 256 tokens, 4 heads; products with a 768 × 768 weight reach "
            f"({products}) GFLOP/s. Rates to estimate with, not benchmark results."
        )
        reasons = dict.fromkeys((s["attention"], s["reason"], s["details"]) for s in support if s["reason"])
        for name, reason, details in reasons:
            st.markdown(f"- `{name}`: {reason}")
            st.caption(f"PyTorch says: {details.splitlines()[0]}" if details else "")
