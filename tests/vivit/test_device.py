"""The device that models run on: by its names, on a machine without a GPU."""

from typing import Any

import psutil
import pytest
import torch

from vivit.benchmark.measure import peak_memory, record, timed
from vivit.device import (
    CHOSEN,
    accelerators,
    allocator,
    default_device,
    device_name,
    free_bytes,
    memory_bytes,
    one_device,
)
from vivit.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch as it is where it sees two of Intel's."""
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: torch.device("xpu"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)


@pytest.mark.parametrize("chosen", [None, "", "cpu"])
def test_a_machine_without_a_gpu(chosen: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CHOSEN, raising=False)
    if chosen is not None:
        monkeypatch.setenv(CHOSEN, chosen)
    assert default_device() == CPU and memory_bytes(CPU) == psutil.virtual_memory().total and accelerators() == []


@pytest.mark.parametrize(("chosen", "found"), [("", "xpu"), ("xpu", "xpu"), ("xpu:1", "xpu:1"), ("cpu", "cpu")])
def test_one_of_several_is_chosen_by_the_environment(
    chosen: str, found: str, two_gpus: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CHOSEN, chosen)
    assert default_device() == one_device(device_map="auto") == torch.device(found)


def test_an_index_is_the_accelerators(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHOSEN, "1")  # as a command line has it
    assert default_device() == torch.device("xpu", 1)
    assert one_device(1) == one_device("xpu:1") == one_device(device_map={"": 1}) == torch.device("xpu", 1)
    assert one_device(0, "xpu") == torch.device("xpu", 0) and one_device(-1) == CPU


@pytest.mark.parametrize("chosen", ["xpu:2", "cuda", "cuda:1", "mps", "meta", "gpu", "2"])
def test_a_chosen_device_that_is_not_there_is_a_sentence_with_those_that_are(
    chosen: str, two_gpus: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CHOSEN, chosen)
    with pytest.raises(UserError) as raised:
        default_device()
    said = str(raised.value)
    assert said.startswith(f"The device '{chosen}' (of --device or VIVIT_DEVICE) is no")
    assert "sees cpu, xpu:0, xpu:1 here" in said and "\n" not in said


@pytest.mark.parametrize("place", [2, "xpu:2", "cuda:0", {"": 2}], ids=repr)
def test_what_is_beside_those_that_are_there_is_told(place: Any, two_gpus: None) -> None:
    with pytest.raises(
        UserError, match="is not on this machine: PyTorch sees cpu, xpu:0, xpu:1 here; give one of these"
    ):
        one_device(device_map=place)


def test_an_apple_gpu_has_the_machines_memory_and_counts_no_peak() -> None:
    """By PyTorch's own module for it, which is there on every machine."""
    apple = torch.device("mps")
    assert memory_bytes(apple) == psutil.virtual_memory().total and free_bytes(apple) == 0
    assert allocator(apple) is None is allocator(CPU) and device_name(apple) == "mps device"
    result, peak = peak_memory(lambda: "done", apple)
    assert (result, peak) == ("done", None)
    assert record(lambda: "done", apple)[1].peak_bytes is None


@pytest.mark.parametrize("kind", ["cuda", "xpu"])
def test_what_counts_on_other_gpus_has_all_that_is_asked_of_it(kind: str) -> None:
    counting = allocator(torch.device(kind, 1))
    assert counting is torch.get_device_module(kind)
    wanted = "synchronize reset_peak_memory_stats memory_allocated max_memory_allocated max_memory_reserved"
    assert all(callable(getattr(counting, name)) for name in wanted.split())
    for name in ("get_device_name", "get_device_properties", "mem_get_info", "empty_cache"):
        assert callable(getattr(counting, name))


def test_a_call_is_timed_by_events_of_its_own_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not of the one that is current."""
    done: list[Any] = []

    class Event:
        def __init__(self, device: torch.device, *, enable_timing: bool) -> None:
            assert device.type == "xpu" and enable_timing

        def record(self, stream: object) -> None:
            done.append(stream)

        def elapsed_time(self, end: "Event") -> float:
            return 7.0

    monkeypatch.setattr(torch, "Event", Event)
    monkeypatch.setattr(torch.accelerator, "current_stream", lambda device: f"stream of {device}")
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda device: done.append(f"all of {device}"))
    assert timed(lambda: done.append("call"), torch.device("xpu", 1)) == (None, 7.0)
    assert done == ["all of xpu:1", "stream of xpu:1", "call", "stream of xpu:1", "all of xpu:1"]


@pytest.mark.parametrize("device", [None, "cpu", CPU, -1])
@pytest.mark.parametrize(
    "device_map",
    [
        *(None, "auto", "balanced", "balanced_low_0", "sequential", "cpu", CPU, -1),
        *({"": "cpu"}, {"": "auto"}, {"vivit": "cpu", "classifier": -1}, {"vivit": "auto", "classifier": CPU}),
    ],
    ids=repr,
)
def test_one_place_by_every_name_that_it_has(device: Any, device_map: Any) -> None:
    assert one_device(device, device_map) == CPU


@pytest.mark.parametrize("place", ["cuda", "cuda:0", "cuda:7", 0, 7, torch.device("cuda", 0), {"": 0}], ids=repr)
def test_a_gpu_that_is_not_there_is_told(place: Any) -> None:
    for option in ("device", "device_map"):
        if option == "device_map" or not isinstance(place, dict):
            with pytest.raises(ValueError, match=f"{option}=.* is not on this machine: PyTorch sees cpu here"):
                one_device(**{option: place})


@pytest.mark.parametrize("place", ["gpu", "disk", "", "cpu:x", 3.5, True, [0], (0, 1)], ids=repr)
def test_what_is_no_device_is_named(place: Any) -> None:
    for option in ("device", "device_map"):
        with pytest.raises(ValueError, match=rf"^{option}=.* is no device of PyTorch's: [^\n]+$"):
            one_device(**{option: place})


@pytest.mark.parametrize("places", [{}, {"vivit": "cpu", "classifier": "meta"}, {"": "meta", "classifier": -1}])
def test_a_map_of_several_places_or_none_is_refused(places: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must name one place for the whole model"):
        one_device(device_map=places)


@pytest.mark.parametrize(("device", "device_map"), [("cpu", "meta"), ("meta", "auto"), ("meta", {"": "cpu"})])
def test_two_options_that_contradict_each_other(device: Any, device_map: Any) -> None:
    with pytest.raises(
        ValueError, match=f"device='{device}' and device_map=.* contradict each other; give one of them"
    ):
        one_device(device, device_map)


def test_the_first_of_a_kind_may_be_named_without_its_index() -> None:
    first = torch.device("cpu", 0)
    assert one_device("cpu", "cpu:0") == one_device("cpu:0", "cpu") == one_device("cpu", {"": "cpu:0"}) == first
    assert one_device(device_map={"vivit": "cpu", "classifier": "cpu:0"}) == first
