"""vivit.checkpoint.files: the kinds of tensor files, and what is wrong with them."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import oracle
from tests.vivit.checkpoint.folders import faults, logits_agree, tensors_of
from vivit import VivitConfig, VivitForVideoClassification
from vivit.checkpoint.files import read_tensors, write_tensors


def test_sharded_safetensors(tmp_path: Path) -> None:
    theirs = oracle.reference()
    theirs.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    logits_agree(VivitForVideoClassification.from_pretrained(tmp_path), theirs)


def to_bin(folder: Path, **options: Any) -> None:
    torch.save(tensors_of(folder), folder / "pytorch_model.bin", **options)
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "of before PyTorch 1.6"])
def test_bin(tmp_path: Path, zipped: bool) -> None:
    theirs = oracle.save(tmp_path)
    to_bin(tmp_path, _use_new_zipfile_serialization=zipped)
    logits_agree(VivitForVideoClassification.from_pretrained(tmp_path), theirs)


def test_sharded_bin(tmp_path: Path) -> None:
    theirs = oracle.save(tmp_path)
    tensors = list(tensors_of(tmp_path).items())
    (tmp_path / "model.safetensors").unlink()
    where: dict[str, str] = {}
    for k, part in enumerate((tensors[:20], tensors[20:])):
        name = f"pytorch_model-0000{k + 1}-of-00002.bin"
        torch.save(dict(part), tmp_path / name)
        where |= {key: name for key, _ in part}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    logits_agree(VivitForVideoClassification.from_pretrained(tmp_path), theirs)


def test_safetensors_come_before_bin(tmp_path: Path) -> None:
    theirs = oracle.save(tmp_path)
    torch.save({}, tmp_path / "pytorch_model.bin")
    logits_agree(VivitForVideoClassification.from_pretrained(tmp_path), theirs)


class Harm:
    """Unpickling this makes the file it names."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_bin_that_holds_code_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    oracle.save(tmp_path)
    to_bin(tmp_path)
    harm = {"vivit.embeddings.cls_token": Harm(tmp_path / "harm")}
    torch.save(harm, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    assert "pytorch_model.bin" in faults(tmp_path)
    assert not (tmp_path / "harm").exists()


def test_a_plain_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Harm(tmp_path / "harm")))
    assert "pytorch_model.bin" in faults(tmp_path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "content",
    [[1, 2], {"vivit.embeddings.cls_token": [1.0]}, {"vivit.embeddings.cls_token": None}, {3: torch.zeros(1)}, "text"],
    ids=["list", "a list for a tensor", "none for a tensor", "a number for a name", "text"],
)
def test_a_bin_of_other_things_is_refused(tmp_path: Path, content: Any) -> None:
    oracle.save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(content, tmp_path / "pytorch_model.bin")
    assert "pytorch_model.bin" in faults(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("damage", ["empty", "noise", "half", "short by a byte"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, damage: str) -> None:
    oracle.save(tmp_path)
    if name == "pytorch_model.bin":
        to_bin(tmp_path)
    whole = (tmp_path / name).read_bytes()
    cut = {"empty": b"", "noise": b"\x93" * 500, "half": whole[: len(whole) // 2], "short by a byte": whole[:-1]}
    (tmp_path / name).write_bytes(cut[damage])
    assert name in faults(tmp_path)


def test_no_tensor_file(tmp_path: Path) -> None:
    VivitConfig(**oracle.TINY).save_pretrained(tmp_path)
    message = faults(tmp_path)
    assert tmp_path.name in message and "model.safetensors" in message


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    oracle.reference().save_pretrained(tmp_path, max_shard_size="20KB")
    gone = sorted(tmp_path.glob("model-*.safetensors"))[1]
    gone.unlink()
    assert gone.name in faults(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"weight_map": 3}', '{"weight_map": []}', '{"weight_map": {"a": ["x"]}}']
)
def test_a_damaged_index_is_named(tmp_path: Path, text: str) -> None:
    oracle.reference().save_pretrained(tmp_path, max_shard_size="20KB")
    (tmp_path / "model.safetensors.index.json").write_text(text)
    assert "model.safetensors.index.json" in faults(tmp_path)


def test_an_index_cannot_point_out_of_its_folder(tmp_path: Path) -> None:
    oracle.save(tmp_path / "outside")
    oracle.save(tmp_path / "inside")
    (tmp_path / "inside" / "model.safetensors").unlink()
    where = {name: "../outside/model.safetensors" for name in tensors_of(tmp_path / "outside")}
    (tmp_path / "inside" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    assert "lacks model.safetensors" in faults(tmp_path / "inside")


def test_written_views_are_copied_whole(tmp_path: Path) -> None:
    base = torch.arange(12.0).view(3, 4)
    views = {"transposed": base.T, "first": base[0], "rest": base[1:]}
    write_tensors(tmp_path, views)
    back = dict(read_tensors(tmp_path))
    assert back.keys() == views.keys()
    assert all(torch.equal(back[name], view) for name, view in views.items())


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")],
    ids=["python's", "pytorch's"],
)
def test_memory_that_runs_out_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise error

    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(type(error)) as caught:
        list(read_tensors(tmp_path))
    assert caught.value is error
