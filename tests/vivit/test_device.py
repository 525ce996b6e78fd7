"""The device that models run on: by its names, on a machine without a GPU."""

from typing import Any

import psutil
import pytest
import torch

from vivit.device import default_device, memory_bytes, one_device

CPU = torch.device("cpu")


def test_a_machine_without_a_gpu() -> None:
    assert default_device() == CPU and memory_bytes(CPU) == psutil.virtual_memory().total


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
            with pytest.raises(ValueError, match=f"{option}=.* is not on this machine: PyTorch sees 0 CUDA GPUs"):
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
