"""Names that were meant for a path are answered as paths: no failed look-up of the Hub, and what to give instead."""

from pathlib import Path
from typing import Any

import pytest

from tests import oracle
from tests.hub_client import Client
from tests.hub_server import HubServer, Repository
from tests.vivit.hub.samples import files, good, refused
from vivit import VivitConfig, VivitForVideoClassification, VivitImageProcessor, VivitModel, pipeline
from vivit.checkpoint import open_checkpoint
from vivit.hub import HubError
from vivit.hub.cache import ask

PATHS = [
    *("./x", "../x", ".", "~/x", "~", "~nobody/x", "/x", "/no/such/x", "a/b/c", "runs/", "x/", "//x"),
    *(r"runs\x", r"C:\models\x", "C:/models"),
    *(
        "tiny/model.safetensors",
        "tiny/pytorch_model.bin",
        "tiny/config.json",
        "tiny/MODEL.SAFETENSORS",
        "tiny/last.ckpt",
    ),
    *("model.safetensors", "runs/checkpoint-900", "checkpoint-900", "tiny/model.safetensors.index.json"),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the Hub was asked")

    monkeypatch.setattr("vivit.hub.checkpoints.ask", refuse)
    return tmp_path


OPENERS: dict[str, Any] = {
    "model": VivitForVideoClassification.from_pretrained,
    "bare model": VivitModel.from_pretrained,
    "config": VivitConfig.from_pretrained,
    "processor": VivitImageProcessor.from_pretrained,
    "pipeline": lambda name: pipeline("video-classification", name),
    "checkpoint": open_checkpoint,
}


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("path", PATHS)
def test_what_looks_like_a_path_is_answered_as_one(opener: str, path: str) -> None:
    with pytest.raises(HubError) as caught:
        OPENERS[opener](path)
    said = str(caught.value)
    assert f"'{path}'" in said or path == ".", said
    assert "no folder" in said or "no config.json" in said, said
    assert "repository" not in said.split("Give")[0] and "HF_HUB_OFFLINE" not in said and said.endswith("."), said


@pytest.mark.parametrize("path", ["runs/last", "a-folder-of-mine"])
def test_a_path_that_is_said_to_be_one_is(path: str) -> None:
    with pytest.raises(HubError, match="no folder"):
        open_checkpoint(Path(path))


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("path", ["tiny/model.safetensors", "tiny/config.json", "./tiny/notes", "tiny/notes"])
def test_a_file_in_a_folder_asks_for_the_folder(opener: str, path: str, elsewhere: Path) -> None:
    oracle.save(elsewhere / "tiny")
    (elsewhere / "tiny" / "notes").write_text("mine")
    with pytest.raises(HubError) as caught:
        OPENERS[opener](path)
    assert "Give the folder that it is in, 'tiny'." in str(caught.value)


def test_a_file_that_is_not_there_in_a_folder_that_is(elsewhere: Path) -> None:
    oracle.save(elsewhere / "tiny")
    with pytest.raises(HubError, match=r"no file 'tiny/pytorch_model.bin'. Give its folder 'tiny'"):
        VivitForVideoClassification.from_pretrained("tiny/pytorch_model.bin")


@pytest.mark.parametrize("opener", OPENERS)
def test_ones_own_folder(opener: str, elsewhere: Path) -> None:
    oracle.save(elsewhere / "home" / "x")
    OPENERS[opener]("~/x")
    assert open_checkpoint("~/x").name == str(elsewhere / "home" / "x")


@pytest.mark.parametrize("name", ["runs/checkpoint-900", "tiny/model.bin"])
def test_a_folder_comes_before_what_its_name_looks_like(name: str, elsewhere: Path) -> None:
    oracle.save(elsewhere / name)
    assert open_checkpoint(name).folder == Path(name)


# What could be either


@pytest.mark.parametrize("beside", [True, False])
def test_a_name_that_could_be_either_says_both(
    beside: bool, server: HubServer, client: Client, name: str, elsewhere: Path
) -> None:
    for call in ("find_checkpoint", "inspect_checkpoint", "download"):
        sentence = refused(client.call(call, name=name), f"There is no folder '{name}' here", "no public repository")
        assert server.requests and sentence.count(name) == 2
    if beside:  # a folder that happens to be called as the owner hides nobody's repositories
        (elsewhere / name.partition("/")[0]).mkdir()
        server.models[name] = Repository(files())
        assert good(client.call("find_checkpoint", name=name))


def test_a_place_in_a_folder_that_is_here_is_told_as_one(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vivit.hub.checkpoints.ask", ask)
    (elsewhere / "runs").mkdir()
    with pytest.raises(HubError) as caught:
        open_checkpoint("runs/last")
    said = str(caught.value)
    assert said.startswith("There is no folder 'runs/last', though there is 'runs'. ")
    assert "HF_HUB_OFFLINE" in said, "nobody was asked, so nobody can say that there is no such repository"


@pytest.mark.parametrize("path", ["a folder/a run", "runs/epoch=3", "über/straße", "-x/y", "owner/a--b"])
def test_what_no_repository_can_be_called_is_told_as_a_folder(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("vivit.hub.checkpoints.ask", ask)
    with pytest.raises(HubError) as caught:
        open_checkpoint(path)
    assert str(caught.value).startswith(f"There is no folder '{path}'")


def test_offline_both_are_said_too(offline: Client, name: str) -> None:
    refused(offline.call("find_checkpoint", name=name), f"There is no folder '{name}' here", "HF_HUB_OFFLINE")


def test_a_repository_that_exists_was_meant(server: HubServer, client: Client, name: str) -> None:
    server.models[name] = Repository(files(), gated=True)
    assert "no folder" not in refused(client.call("find_checkpoint", name=name), "is gated")
    server.models[name] = Repository(files())
    assert "no folder" not in refused(client.call("find_checkpoint", name=f"{name}@absent"), "no such revision")


@pytest.mark.parametrize("path", ["tiny/model.safetensors", "runs/checkpoint-900", "~/x", "./x", "a/b/c", "/etc/x"])
def test_a_strangers_path_is_refused_and_nothing_looked_up(path: str, server: HubServer, client: Client) -> None:
    refused(client.call("inspect_checkpoint", name=path, folders=False), "is a path", f"'{path}'", "Give")
    refused(client.call("download", name=path, folders=False), "is a path")
    assert not server.requests
    said = refused(client.call("find_checkpoint", name=path, here=True), "There is no folder", "Give")
    assert "its folder" not in said and "is a file" not in said


def test_a_revision_with_slashes_is_no_path(server: HubServer, client: Client, name: str) -> None:
    repository = server.models[name] = Repository(files())
    commit = repository.commit(files(id2label={"0": "a"}), "refs/pr/1")
    assert good(client.call("locate", name=f"{name}@refs/pr/1"))[0] == f"{name}@{commit}"
