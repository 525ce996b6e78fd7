"""Real child processes: what they are, what they measure, and every way in which a cell may end."""

import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from tests import oracle
from tests.patience import until
from tests.vivit.benchmark import children
from vivit import VivitForVideoClassification, dynamic_int8
from vivit.benchmark import child
from vivit.benchmark.child import ChildEnded, clip_batch, in_child, measure_here, measure_in_child
from vivit.benchmark.measurement import Cell, Measurement, StoppingRule
from vivit.benchmark.refusals import NOT_CAPTURED
from vivit.benchmark.sweep import PlannedRound

RULE = StoppingRule(min_samples=5, max_samples=5, seconds=20.0, warm_up_seconds=0.001)
ROOT = Path(__file__).parents[3]
FLASH = "_scaled_dot_product_flash_attention_for_cpu"


@pytest.fixture(scope="module")
def checkpoint(classifier: Path) -> str:
    return str(classifier)


def measured(*arguments: Any, **options: Any) -> Measurement:
    row, seconds = measure_in_child(*arguments, **options)
    assert seconds > 0
    return row


def planned(checkpoint: str, **cell: object) -> PlannedRound:
    return PlannedRound(Cell(checkpoint, **cell), RULE)  # type: ignore[arg-type]


def test_a_child_is_a_fresh_fork_with_torch_and_without_cuda_or_the_callers_main() -> None:
    first, second = in_child(children.state), in_child(children.state, "again")
    assert first["pid"] != second["pid"] and not psutil.pid_exists(first["pid"])
    server = psutil.Process(first["parent"])
    assert server.pid == second["parent"] and any("libtorch" in part.path for part in server.memory_maps())
    assert {"torch", "vivit.model"} <= set(second["loaded"]) and not {"streamlit", "av"} & set(second["loaded"])
    assert second["cuda"] is False


def test_an_answer_and_an_end_leave_no_process_behind() -> None:
    server = psutil.Process(in_child(children.state)["parent"])
    until(lambda: not server.children())
    for function, arguments, status in [
        (children.die, (signal.SIGKILL,), -signal.SIGKILL),
        (children.die, (signal.SIGSEGV,), -signal.SIGSEGV),
        (children.leave, (3,), 3),
    ]:
        with pytest.raises(ChildEnded) as ended:
            in_child(function, *arguments)
        assert ended.value.status == status
        until(lambda: not server.children())


@pytest.mark.parametrize("by", ["tick", "seconds"])
def test_a_child_that_ignores_every_signal_is_gone_before_it_ends_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    file = tmp_path / "pid"

    def written() -> bool:
        return file.exists() and file.read_text() != ""

    def tick() -> None:
        if written() and by == "tick":
            raise KeyboardInterrupt

    monkeypatch.setattr(child, "monotonic", lambda: 3.0 if written() else 0.0)
    with pytest.raises(KeyboardInterrupt if by == "tick" else ChildEnded):
        in_child(children.ignore_everything, str(file), tick=tick, seconds=None if by == "tick" else 2.0)
    assert not psutil.pid_exists(int(file.read_text())), "and the number is all that it wrote"


@pytest.mark.parametrize("megabytes", [40, 400])
def test_a_known_allocation_is_reported(megabytes: int) -> None:
    found = in_child(children.allocate, megabytes)["peak_bytes"]
    assert found == pytest.approx(megabytes * children.MB, rel=0.02)


@pytest.mark.parametrize(
    ("attention", "kernel"),
    [
        ("eager", "_softmax"),
        ("sdpa", FLASH),
        ("sdpa-flash", FLASH),
        ("sdpa-math", "_scaled_dot_product_attention_math"),
    ],
)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_kernel_that_ran_is_seen(attention: str, kernel: str, precision: str) -> None:
    assert in_child(children.attend, attention, precision)["kernel"] == kernel


@pytest.mark.parametrize("attention", ["eager", "sdpa", "sdpa-math"])
def test_a_measured_cell(checkpoint: str, attention: str) -> None:
    model = VivitForVideoClassification.from_pretrained(checkpoint, attn_implementation=attention)
    pixels = oracle.clip(model.config, batch=1)[0]
    found = measured(planned(checkpoint, attention=attention, batch_size=3), pixels.numpy())
    assert found.status == "ok" and found.reason == "", found.details
    assert found.latency and len(found.latency.samples_ms) == 5 and found.latency.warm
    assert found.latency.median > 0 and found.clips_per_second == 3e3 / found.latency.median
    assert found.memory and found.memory.weights == sum(p.numel() * 4 for p in model.parameters())
    assert found.memory.activations > 3 * pixels.numel() * 4
    assert found.memory.allocated is None and found.memory.resident > 50 * children.MIB
    assert (
        found.kernel
        == {"eager": "_softmax", "sdpa": FLASH, "sdpa-math": "_scaled_dot_product_attention_math"}[attention]
    )
    with torch.inference_mode():
        expected = model(pixels[None]).logits[0]
    # The same weights on the same clip; only the batch and the number of threads differ.
    torch.testing.assert_close(torch.tensor(found.logits), expected, rtol=1e-5, atol=1e-5)


def test_memory_grows_with_what_eager_holds(checkpoint: str) -> None:
    small, large = (measured(planned(checkpoint, attention="eager", batch_size=b)).memory for b in (1, 16))
    assert small and large and large.weights == small.weights
    assert large.activations == pytest.approx(16 * small.activations, rel=0.02)


def test_a_training_cell_has_gradients_and_moments_and_no_answer(checkpoint: str) -> None:
    found = measured(planned(checkpoint, mode="training", attention="sdpa"))
    assert found.status == "ok" and found.logits is None, found.details
    assert found.memory and found.memory.activations > 3 * found.memory.weights


def test_precisions_change_the_weights(checkpoint: str) -> None:
    sizes = {}
    for precision in ("float32", "float16", "float16-weights"):
        found = measured(planned(checkpoint, precision=precision))
        assert found.status == "ok" and found.memory and found.logits, found.details
        sizes[precision] = found.memory.weights
    assert sizes["float16"] * 2 == sizes["float32"] > sizes["float16-weights"] > sizes["float16"]


@pytest.mark.parametrize("precision", ["int8-bitsandbytes", "int8-dynamic"])
def test_a_cell_in_8_bit(checkpoint: str, precision: str) -> None:
    found = measured(planned(checkpoint, precision=precision))
    assert found.status == "ok" and found.memory and found.logits and found.kernel == FLASH, found.details
    kept = found.memory.weights_kept_in
    assert kept.keys() == {"int8", "float32"} and sum(kept.values()) == found.memory.weights
    training = measured(planned(checkpoint, precision=precision, mode="training"))
    assert training.status == "unavailable" and training.latency is None
    assert "cannot be trained" in training.reason and training.reason.endswith(".")


def test_8_bit_without_its_package_is_a_row(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    found = measure_here(planned(checkpoint, precision="int8-bitsandbytes"))
    assert found.status == "unavailable" and "pip install bitsandbytes" in found.reason


def test_a_precision_that_this_machine_has_not_is_a_row(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured(planned(checkpoint, precision="tf32"))
    assert found.status == "unavailable" and found.reason.startswith("TF32 needs an NVIDIA GPU")
    monkeypatch.setattr(dynamic_int8, "has_vnni", lambda: False)
    found = measure_here(planned(checkpoint, precision="int8-dynamic"))
    assert found.status == "unavailable" and "VNNI" in found.reason


def test_the_first_call_can_be_the_recorded_one(checkpoint: str) -> None:
    found = measured(replace(planned(checkpoint), record_first=True))
    assert found.latency and not found.latency.warm and found.latency.samples_ms == [found.latency.first_ms]
    assert found.memory and found.kernel == FLASH
    usual = measured(planned(checkpoint))
    assert usual.memory and usual.memory.activations == pytest.approx(found.memory.activations, rel=0.02)


def test_a_run_without_recording_has_times_only(checkpoint: str) -> None:
    found = measured(replace(planned(checkpoint), record=False))
    assert found.latency and found.memory is None and found.kernel == "" and found.logits


def test_a_round_has_its_number_and_what_others_had_meanwhile(checkpoint: str) -> None:
    long_enough = StoppingRule(spread=-1, seconds=0.3, max_samples=10**6, warm_up_seconds=0.001)
    found = measured(replace(planned(checkpoint), rule=long_enough, number=7))
    assert found.latency
    (timed,) = found.latency.rounds
    assert timed.number == 7 and timed.others_share is not None and 0 <= timed.others_share <= 1
    assert timed.warm and sum(timed.samples_ms) >= 300, "the spread ends nothing early"


def test_a_call_that_no_time_is_too_much_for_is_warm(checkpoint: str) -> None:
    """A sweep's rounds have such `slow_seconds`; the rule's own `seconds` are less than one call takes."""
    hurried = StoppingRule(spread=-1, seconds=1e-6, warm_up_seconds=1e-6)
    assert [
        found.latency and found.latency.warm
        for rule in (hurried, replace(hurried, slow_seconds=1e9))
        if (found := measured(replace(planned(checkpoint), rule=rule)))
    ] == [False, True]


def test_another_number_of_frames(checkpoint: str) -> None:
    clip = oracle.clip(VivitForVideoClassification.from_pretrained(checkpoint).config, batch=1)[0].numpy()
    found = measured(planned(checkpoint, num_frames=4), clip)
    assert found.status == "ok" and found.logits, found.details
    config = VivitForVideoClassification.from_pretrained(checkpoint).config
    batch = clip_batch(Cell(checkpoint, num_frames=4, batch_size=2), config, clip)
    assert torch.equal(batch[1], torch.from_numpy(clip[[0, 2, 5, 7]])) and batch.shape[0] == 2
    assert clip_batch(Cell(checkpoint), config, None).shape == (1, 8, 3, 24, 20)


@pytest.mark.full
def test_a_compiled_cell_is_honest_about_its_first_call(checkpoint: str) -> None:
    found = measured(planned(checkpoint, execution="compiled", attention="eager"))
    assert found.status == "ok" and found.latency and found.logits, found.details
    assert found.latency.first_ms > 10 * found.latency.median
    plain = measured(planned(checkpoint, attention="eager"))
    np.testing.assert_allclose(found.logits, plain.logits or (), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("mode", "words"), [("inference", "none on 'cpu'"), ("training", NOT_CAPTURED)])
def test_a_graph_where_there_is_none_is_a_row(checkpoint: str, mode: str, words: str) -> None:
    found = measured(planned(checkpoint, execution="captured", mode=mode))
    assert found.status == "unavailable" and found.latency is None and words in found.reason


def test_without_a_compiler_a_compiled_cell_is_a_row(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    found = measure_here(planned(checkpoint, execution="compiled"))
    assert found.status == "unavailable" and "wants the compiler 'no-such-compiler'" in found.reason


@pytest.mark.parametrize("attention", ["sdpa-efficient", "sdpa-cudnn"])
def test_what_is_unavailable_is_a_row_with_both_reasons(checkpoint: str, attention: str) -> None:
    found = measured(planned(checkpoint, attention=attention))
    assert found.status == "unavailable" and found.latency is None
    assert attention in found.reason and "Choose 'sdpa'" in found.reason and "No viable backend" in found.details


def test_what_does_not_fit_is_a_row(checkpoint: str) -> None:
    found = measured(planned(checkpoint, batch_size=2**36))  # 8 PB of pixels, refused by the allocator at once
    assert found.status == "out-of-memory" and "does not fit" in found.reason


def test_an_interrupt_while_a_process_starts_is_a_quiet_one() -> None:
    """At the moment when the fork server has been asked for a process and that process not been told what it is to be."""
    script = """
import os, signal
from multiprocessing import forkserver
from tests.vivit.benchmark import children
from vivit import dynamic_int8
from vivit.benchmark.child import in_child

in_child(children.state)
ask = forkserver.connect_to_new_process

def asked_and_interrupted(fds):
    answer = ask(fds)
    os.kill(os.getpid(), signal.SIGINT)
    return answer

forkserver.connect_to_new_process = asked_and_interrupted
for _ in range(5):
    try:
        in_child(children.state)
    except KeyboardInterrupt:
        print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.stdout.split() == ["interrupted"] * 5 and done.stderr == "" and done.returncode == 0


def test_a_killed_cell_is_a_row(checkpoint: str) -> None:
    def kill() -> None:
        for process in psutil.Process().children(recursive=True):
            if process.cpu_times().user > 0 and _is_measuring(process):
                process.kill()

    slow = PlannedRound(Cell(checkpoint), StoppingRule(spread=0, min_samples=10**9, max_samples=10**9, seconds=60))
    found = measured(slow, tick=kill)
    assert found.status == "failed" and "killed" in found.reason and found.latency is None


def _is_measuring(process: psutil.Process) -> bool:
    """Children of the fork server measure; other tests' processes, such as a browser, are none of ours."""
    parent = process.parent()
    return parent is not None and "forkserver" in " ".join(parent.cmdline())


def test_a_cell_out_of_time_is_a_row(checkpoint: str) -> None:
    endless = StoppingRule(spread=0, min_samples=10**9, max_samples=10**9, seconds=600)
    found = measured(PlannedRound(Cell(checkpoint), endless, limit_seconds=0.5))
    assert found.status == "cancelled" and "time budget" in found.reason


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ({"attention": "sdpa-flush"}, "ValueError: attn_implementation='sdpa-flush' is unknown"),
        ({"precision": "int3"}, "int3"),
        ({"num_frames": 3}, "num_frames"),
    ],
)
def test_what_is_wrong_is_a_row_with_its_traceback(checkpoint: str, cell: dict[str, Any], words: str) -> None:
    found = measured(planned(checkpoint, **cell))
    assert found.status == "failed" and re.search(re.escape(words), found.reason) and "Traceback" in found.details


def test_a_missing_checkpoint_is_a_row(tmp_path: Path) -> None:
    row = measured(planned(str(tmp_path / "nowhere")))
    assert row.status == "failed" and row.reason.startswith("There is no folder") and "Traceback" not in row.details


def test_logits_that_overflow_are_left_out_with_a_word(checkpoint: str) -> None:
    clip = np.full((8, 3, 24, 20), 1e30, np.float32)
    found = measured(planned(checkpoint, precision="float16"), clip)
    assert found.status == "ok" and found.logits is None and "not finite" in found.reason


@pytest.mark.full
def test_a_cell_of_flex_compiles_in_its_first_call(checkpoint: str) -> None:
    found = measured(planned(checkpoint, attention="flex_attention"))
    assert found.status == "ok" and found.latency and found.logits, found.details
    assert found.kernel == "compiled flex_attention"
    assert found.latency.first_ms > 10 * found.latency.median, "no cache of an earlier process makes it look cheap"
    plain = measured(planned(checkpoint, attention="eager"))
    np.testing.assert_allclose(found.logits, plain.logits or (), rtol=1e-4, atol=1e-4)
    training = measured(planned(checkpoint, attention="flex_attention", mode="training"))
    assert training.status == "unavailable" and "no gradients on a CPU" in training.reason
