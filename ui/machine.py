"""'About this machine': what runs here, and why the rest does not."""

import streamlit as st

from ui.server import get_machine
from vivit.machine import Machine


def show_machine() -> None:
    """An expander with the device, the versions and a table of backends by precisions."""
    with st.expander("About this machine", icon=":material/memory:"):
        machine = get_machine()
        if machine is None:
            st.caption("The model worker is still starting.")
            return
        here = f"; GPUs here: {', '.join(machine.devices)}" if machine.devices else ""
        st.markdown(
            f"**{machine.device_name}** ({machine.place}{here}), {machine.memory_bytes / 2**30:.0f} GiB, "
            f"{machine.threads} threads of PyTorch on {machine.cores} cores, {machine.cpu_capability}; "
            f"{machine.platform}; {machine.versions_text}."
        )
        st.dataframe(
            _speeds(machine),
            hide_index=True,
            alt="Attention backends by precision: the speed of each, 'not here', or 'compiled first'",
        )
        if probes := machine.probes:
            products = ", ".join(f"{p} {rate / 1e9:,.0f}" for p, rate in machine.flops_per_second.items())
            st.caption(
                f"Measured when the worker started: attention over {probes.tokens} tokens, {probes.heads} heads; products "
                f"with a {probes.size} × {probes.size} weight reach ({products}) GFLOP/s. Rates to estimate with, not "
                "benchmark results."
            )
        for name, reason, details in _reasons(machine):
            st.markdown(f"- `{name}`: {reason}")
            st.caption(f"In its own words: {details.splitlines()[0]}" if details else "")


def _speeds(machine: Machine) -> list[dict[str, str]]:
    """A row for each backend: its name, and under each precision its speed, or why there is none."""
    rows: dict[str, dict[str, str]] = {}
    for one in machine.support:
        speed = f"{one.flops_per_second / 1e9:,.0f} GFLOP/s" if one.flops_per_second else "compiled first"
        row = rows.setdefault(one.attention, {"backend": one.attention})
        row[one.precision] = "not here" if one.reason else speed
    return list(rows.values())


def _reasons(machine: Machine) -> list[tuple[str, str, str]]:
    """(what does not run here, why, PyTorch's words): a backend, or a precision that runs with none of them."""
    found: dict[tuple[str, str, str], None] = {}
    for precision in dict.fromkeys(s.precision for s in machine.support):
        these = [s for s in machine.support if s.precision == precision]
        if len({s.reason for s in these}) == 1 and these[0].reason:
            found[precision, these[0].reason, ""] = None
        else:
            found |= dict.fromkeys((s.attention, s.reason, s.details) for s in these if s.reason)
    return list(found)
