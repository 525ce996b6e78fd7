"""What is fast, lean or slow here, said before anything is run."""

from collections.abc import Sequence

import streamlit as st

from ui.escape import literal
from ui.server import get_machine
from ui.what_runs import missing, missing_executions
from vivit.benchmark.advice import Expected, advice, digits, expect, probed_busy
from vivit.benchmark.measurement import MIB
from vivit.benchmark.wording import percent
from vivit.checkpoint import open_checkpoint
from vivit.machine import Machine
from vivit.names import BACKENDS, PRECISIONS


def in_a_sentence(checkpoint: str) -> str:
    """What this machine's probes promise for a checkpoint; '' for a name that is none here, or before the machine is known."""
    machine = get_machine()
    said = advice(_expected(checkpoint), machine) if machine else ""
    if absent := len(missing("attention")):
        said += f" {absent} backend{'s do' if absent > 1 else ' does'} not run here."
    return literal(said.strip())


def show_advice(checkpoint: str) -> None:
    """The sentence, and a popover with every cell. Args: as `in_a_sentence`'s."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        st.caption(in_a_sentence(checkpoint))
        more = st.popover("All cells", width="content", help="What to expect of each, and why some do not run here")
    machine = get_machine()
    with more:
        if machine is not None:
            _show_table(_expected(checkpoint), machine)
            for reason, names in _reasons(machine).items():
                named = len(names) == 1 and reason.startswith(f"'{names[0]}'")  # by itself
                st.markdown("- " + f"{', '.join(f'`{name}`' for name in names)}: " * (not named) + literal(reason))


def _expected(checkpoint: str) -> list[Expected]:
    machine = get_machine()
    try:
        return expect(open_checkpoint(checkpoint, weights=False, here=True).config, machine) if machine else []
    except ValueError:  # which the page itself tells
        return []


def _show_table(found: Sequence[Expected], machine: Machine) -> None:
    known = {(cell.attention, cell.precision): cell for cell in found}
    base = known.get(("sdpa", "float32"))
    if base is None:
        return
    absent = missing("attention")

    def text(attention: str, precision: str) -> str:
        cell, support = known.get((attention, precision)), machine.find(attention, precision)
        if cell is None:
            return "not tried" if support and not support.reason else "not here"
        return f"{digits(cell.latency_ms / base.latency_ms)} × · {cell.peak / MIB:,.0f} MiB"

    precisions = [p for p in PRECISIONS if p not in missing("precision")]
    rows = [{"backend": a} | {p: text(a, p) for p in precisions} for a in BACKENDS if a not in absent]
    st.dataframe(rows, hide_index=True, width=720, alt="What each backend is expected to take in each precision")
    st.caption(
        f"Latency beside sdpa in float32, for which {base.latency_ms:,.0f} ms a clip are expected, and memory at the peak: "
        "estimates from rates that were measured when the model worker started, not benchmark results. What is not tried is "
        "compiled when it is first run."
    )
    if probed_busy(machine):
        share = percent(machine.probed_beside or 0.0)
        st.markdown(
            f":small[:material/warning: Other programs held {share} of the processors meanwhile, so that these latencies mean "
            "little.]"
        )


def _reasons(machine: Machine) -> dict[str, list[str]]:
    """Why something does not run here → which: a backend, a precision, an execution, or two together."""
    absent = missing("attention") | missing("precision")
    found: dict[str, list[str]] = {}
    for name, reason in absent.items():
        found.setdefault(reason, []).append(name)
    for name, reason in missing_executions().items():
        found.setdefault(reason, []).append(name)
    for support in machine.support:
        if support.reason and not {support.attention, support.precision} & absent.keys():
            found.setdefault(support.reason, []).append(f"{support.attention} in {support.precision}")
    return found
