"""vivit.hub before anything large is fetched: names, folders, what a repository holds, labels."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hub_client import ROOT, Client, clean
from tests.hub_server import HubServer, Repository
from tests.vivit.hub.samples import CONFIG, STORAGE, files, good, refused
from vivit import hub


def test_start_up_and_the_default_path_make_no_request(tmp_path: Path) -> None:
    folder = tmp_path / "embedded"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "model.safetensors").write_bytes(b"x")
    code = f"""
import sys
def audit(event, arguments):
    if event.startswith("socket."):
        raise SystemExit("a socket was used: " + event)
sys.addaudithook(audit)
import vivit, vivit.config, vivit.processing
from pathlib import Path
from vivit import hub
for name in hub.embedded_checkpoints():
    assert hub.inspect_checkpoint(name).kind == "embedded"
hub.checkpoints.ASSETS = Path({str(tmp_path)!r})
assert hub.embedded_checkpoints() == ("embedded",)
found = hub.inspect_checkpoint("embedded")
assert (found.kind, found.cached, found.commit, found.num_labels) == ("embedded", True, "", 2), found
assert hub.find_checkpoint("embedded") == hub.checkpoints.ASSETS / "embedded" == Path(hub.download("embedded").folder)
assert hub.inspect_checkpoint({str(folder)!r}).format == "safetensors"
assert "huggingface_hub" not in sys.modules and "torch" not in sys.modules and "av" not in sys.modules
import engine.hub
assert not {{"torch", "av", "streamlit"}} & set(sys.modules)
engine.hub.start()
print("quiet")
"""
    environment = clean(HF_HOME=str(tmp_path / "home"))
    assert subprocess.check_output([sys.executable, "-c", code], text=True, env=environment, cwd=ROOT) == "quiet\n"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("absent", "There is no folder"),
        ("/absent/folder", "There is no folder"),
        ("a/b/c", "There is no folder"),
        ("empty", "no config.json"),
        ("no-weights", "has no weights"),
    ],
)
def test_folders_that_are_no_checkpoint(path: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "no-weights").mkdir()
    (tmp_path / "no-weights" / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(hub.HubError, match=words):
        hub.inspect_checkpoint(path)


# Before a download


def test_inspection_reads_config_json_and_nothing_large(server: HubServer, client: Client, name: str) -> None:
    repository = server.models[name] = Repository(files(), card={"license": "apache-2.0"})
    found = good(client.call("inspect_checkpoint", name=name))
    sizes = {n: len(repository.files[n]) for n in ("config.json", "preprocessor_config.json", "model.safetensors")}
    assert found["files"] == sizes and found["size_bytes"] == sum(sizes.values())
    assert found["missing_bytes"] == sum(sizes.values()) - sizes["config.json"]
    assert found["commit"] == repository.references["main"] and found["config"] == CONFIG
    assert (found["kind"], found["format"], found["num_labels"]) == ("hub", "safetensors", 2)
    assert (found["licence"], found["folder"], found["notices"]) == ("apache-2.0", "", [])
    assert not server.seen(STORAGE) and server.sent("resolve-cache") == sizes["config.json"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "videomae"}, "'videomae' model, not a ViViT"),
        ({"model_type": None}, "not a ViViT"),
        ({"architectures": ["VivitModel"]}, "without a classification head"),
        ({"weights": {}}, "no weights"),
        ({"weights": {"model-00001-of-00002.safetensors": b"x", "model.safetensors.index.json": b"{}"}}, "no weights"),
    ],
)
def test_what_cannot_classify_is_said_before_the_download(
    changes: dict[str, Any], words: str, server: HubServer, client: Client, name: str
) -> None:
    server.models[name] = Repository(files(**changes))
    refused(client.call("inspect_checkpoint", name=name), words, name, "Choose")
    refused(client.call("download", name=name), words)
    assert not server.seen(STORAGE)


@pytest.mark.parametrize(("text", "words"), [(b"{", "damaged"), (b"[]", "not a model's"), (None, "has no config.json")])
def test_a_bad_config(text: bytes | None, words: str, server: HubServer, client: Client, name: str) -> None:
    content = files() | {"config.json": text or b""}
    server.models[name] = Repository({n: c for n, c in content.items() if c or n != "config.json"})
    refused(client.call("inspect_checkpoint", name=name), words, name)


def test_a_config_too_large_to_be_one_is_not_fetched(server: HubServer, client: Client, name: str) -> None:
    server.models[name] = Repository(files(), sizes={"config.json": 10**10})
    refused(client.call("inspect_checkpoint", name=name), "too large")
    assert not server.seen("resolve")


def test_a_checkpoint_larger_than_the_memory(server: HubServer, client: Client, name: str) -> None:
    server.models[name] = Repository(files(), sizes={"model.safetensors": 10**14})
    refused(client.call("inspect_checkpoint", name=name), "100,000,", "MB of memory", "smaller")
    assert not server.seen(STORAGE)


@pytest.mark.parametrize("bad", ["a--b/c..d", "with space/x", "-x/y", "owner/näme"])
def test_impossible_names(bad: str, server: HubServer, client: Client) -> None:
    refused(client.call("inspect_checkpoint", name=bad), "is not the name of a Hub repository")
    assert not server.requests


def test_labels_of_kinetics() -> None:
    labels = hub.kinetics400_labels()
    assert len(labels) == len(set(labels)) == 400 and list(labels) == sorted(labels)
    assert (labels[0], labels[116], labels[399]) == ("abseiling", "eating spaghetti", "zumba")
    assert hub.same_label("flying_kite", "flying kite") and hub.same_label("Using Remote Controller",
                                                                            "using-remote-controller")  # fmt: skip
    assert not hub.same_label("flying kite", "flying kites")


@pytest.mark.parametrize("named", [False, True])
def test_a_head_of_400_without_names_gets_those_of_kinetics(named: bool, tmp_path: Path) -> None:
    from vivit.config import VivitConfig

    names = {k: f"class {k}" for k in range(400)}
    (VivitConfig(id2label=names) if named else VivitConfig(num_labels=400)).save_pretrained(tmp_path)
    config = VivitConfig.from_pretrained(tmp_path)
    expected = names if named else dict(enumerate(hub.kinetics400_labels()))
    assert config.id2label == expected and config.label2id == {v: k for k, v in expected.items()}
    assert VivitConfig.from_pretrained(tmp_path, num_labels=3).id2label == {k: f"LABEL_{k}" for k in range(3)}
