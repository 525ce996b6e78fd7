"""vivit.hub downloads checkpoints: through the real client, into the cache that all clients share."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hub_client import Client, clean
from tests.hub_server import Fault, HubServer, Repository, etag
from tests.patience import until
from tests.vivit.hub.samples import CLIPS, STORAGE, WEIGHTS, blobs, files, good, partials, refused


@pytest.mark.parametrize("xet", [False, True])
def test_download_into_the_cache_all_clients_share(xet: bool, server: HubServer, client: Client, name: str) -> None:
    repository = server.models[name] = Repository(files(), xet=xet)
    server.faults = [Fault(STORAGE, pause=0.008)]
    answer = client.call("download", name=name)
    found = good(answer)
    folder = Path(found["folder"])
    assert found["missing_bytes"] == 0
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors", "preprocessor_config.json"]
    assert all(p.read_bytes() == repository.files[p.name] for p in folder.iterdir())
    assert server.sent(STORAGE) == len(WEIGHTS)
    fractions = [fraction for fraction, _ in answer["notes"]]
    assert fractions == sorted(fractions) and fractions[-1] == 1 and len(fractions) > 20
    notes = [note for _, note in answer["notes"]]
    assert any(re.fullmatch(r"\d\.\d of 1\.6 MB, \d\.\d MB/s, \d+ s left", note) for note in notes), set(notes)

    # The client itself finds every file where it is, without a request.
    code = (
        "import sys; from huggingface_hub import hf_hub_download, snapshot_download\n"
        "print(hf_hub_download(sys.argv[1], 'model.safetensors'))\n"
        "print(snapshot_download(sys.argv[1]))"
    )
    environment = clean(HF_HOME=str(folder.parents[3]), HF_HUB_OFFLINE="1")
    printed = subprocess.check_output([sys.executable, "-c", code, name], text=True, env=environment)
    assert printed.split() == [str(folder / "model.safetensors"), str(folder)]

    # Nothing is downloaded twice, and what the client has downloaded is not either.
    server.requests.clear()
    assert good(client.call("download", name=name))["folder"] == str(folder)
    assert good(client.call("find_checkpoint", name=name)) == str(folder)
    assert good(client.call("find_checkpoint", name=name, revision=found["commit"])) == str(folder)
    assert not server.seen("resolve") and not server.seen(STORAGE)
    server.requests.clear()
    assert good(client.call("find_checkpoint", name=name, revision=found["commit"])) == str(folder)
    assert not server.requests, "a commit never changes"


def test_what_the_client_has_downloaded_is_used(server: HubServer, client: Client, name: str, home: Path) -> None:
    server.models[name] = Repository(files())
    code = "import sys; from huggingface_hub import snapshot_download; snapshot_download(sys.argv[1])"
    environment = clean(HF_HOME=str(home), HF_ENDPOINT=server.address())
    subprocess.check_call([sys.executable, "-c", code, name], env=environment, stderr=subprocess.DEVNULL)
    server.requests.clear()
    found = good(client.call("inspect_checkpoint", name=name))
    assert found["missing_bytes"] == 0 and found["folder"]
    assert good(client.call("download", name=name))["folder"] == found["folder"]
    assert not server.seen("resolve") and not server.seen(STORAGE)


def test_only_the_configuration_is_fetched_where_no_weights_are_wanted(
    server: HubServer, client: Client, name: str
) -> None:
    server.models[name] = Repository(files(architectures=["VivitModel"]))
    folder = Path(good(client.call("find_checkpoint", name=name, weights=False)))
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "preprocessor_config.json"]
    assert not server.seen(STORAGE)
    assert (Path(good(client.call("find_checkpoint", name=name))) / "model.safetensors").read_bytes() == WEIGHTS


def test_sharded_safetensors(server: HubServer, client: Client, name: str) -> None:
    shards = {f"model-0000{k}-of-00003.safetensors": WEIGHTS[k::3] for k in (1, 2, 3)}
    index = {"weight_map": {f"t{k}": n for k, n in enumerate(shards)}}
    server.models[name] = Repository(files(shards | {"model.safetensors.index.json": json.dumps(index).encode()}))
    found = good(client.call("download", name=name))
    folder = Path(found["folder"])
    assert (
        {p.name for p in folder.iterdir()}
        == set(found["files"])
        == {
            *("config.json", "preprocessor_config.json", "model.safetensors.index.json"),
            *shards,
        }
    )
    assert all((folder / n).read_bytes() == content for n, content in shards.items())


def test_safetensors_before_bin_and_a_word_where_there_is_only_bin(
    server: HubServer, client: Client, name: str
) -> None:
    both = {"model.safetensors": WEIGHTS, "pytorch_model.bin": WEIGHTS[:1000]}
    server.models[name] = Repository(files(both))
    server.models[f"{name}-bin"] = Repository(files({"pytorch_model.bin": WEIGHTS[:1000]}))
    found = good(client.call("download", name=name))
    assert found["format"] == "safetensors" and not found["notices"]
    assert not (Path(found["folder"]) / "pytorch_model.bin").exists()
    found = good(client.call("download", name=f"{name}-bin"))
    assert found["format"] == "bin" and "weights_only=True" in found["notices"][0]
    assert (Path(found["folder"]) / "pytorch_model.bin").read_bytes() == WEIGHTS[:1000]


def test_revisions(server: HubServer, client: Client, offline: Client, name: str) -> None:
    repository = server.models[name] = Repository(files())
    first = repository.references["main"]
    second = repository.commit(files(id2label={"0": "a", "1": "b", "2": "c"}))
    third = repository.commit(files({"model.safetensors": WEIGHTS[::-1]}), "refs/pr/1")
    labels = {}
    for revision in (first, None, "main", "refs/pr/1"):
        found = good(client.call("download", name=name, revision=revision))
        labels[revision] = found["commit"], found["num_labels"]
    assert labels == {first: (first, 2), None: (second, 3), "main": (second, 3), "refs/pr/1": (third, 2)}
    # The weights that two commits share came once.
    assert server.sent(STORAGE) == 2 * len(WEIGHTS)
    refused(client.call("download", name=name, revision="absent"), "no such revision", "branch, a tag or a commit")
    refused(client.call("download", name=name, revision="../../../x"), "is not a revision")
    assert good(offline.call("download", name=name, revision="refs/pr/1"))["commit"] == third
    assert good(offline.call("find_checkpoint", name=name)).endswith(second)
    assert good(offline.call("find_checkpoint", name=f"{name}@{first}")).endswith(first)
    refused(client.call("find_checkpoint", name=f"{name}@absent"), "no such revision")


def test_a_pinned_name_goes_on_meaning_the_same_and_asks_nobody(server: HubServer, client: Client, name: str) -> None:
    repository = server.models[name] = Repository(files())
    pinned = good(client.call("locate", name=name))[0]
    assert pinned == f"{name}@{repository.references['main']}"
    repository.commit(files(id2label={"0": "a", "1": "b", "2": "c"}))
    server.requests.clear()
    assert good(client.call("find_checkpoint", name=pinned)).endswith(pinned.partition("@")[2])
    assert good(client.call("locate", name=pinned))[0] == pinned and not server.requests
    assert good(client.call("locate", name="vivit-mannequin"))[0] == "vivit-mannequin"


def test_a_repository_that_has_moved(server: HubServer, client: Client, name: str) -> None:
    server.models[f"{name}-new"], server.datasets[f"{name}-new"] = Repository(files()), Repository(CLIPS)
    server.moved[name] = f"{name}-new"
    folder = Path(good(client.call("download", name=name))["folder"])
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert len(good(client.call("list_clips", dataset=name))["clips"]) == len(CLIPS)
    good(client.call("download_clip", dataset=name, file="val/archery/1.mp4"))


def test_a_cancelled_download_goes_on_where_it_stopped(
    server: HubServer, client: Client, name: str, home: Path
) -> None:
    server.models[name] = Repository(files())
    server.faults = [Fault(STORAGE, pause=0.002)]
    answer = client.call("download", name=name, stop_at=0.5)
    assert answer["class"] == "Stop"
    [partial] = partials(home, name)
    here = partial.stat().st_size
    assert 0.4 * len(WEIGHTS) < here < 0.6 * len(WEIGHTS) and WEIGHTS.startswith(partial.read_bytes())
    found = good(client.call("inspect_checkpoint", name=name))
    assert not found["folder"], "what is half here is not offered"
    server.requests.clear()
    server.faults = []
    found = good(client.call("download", name=name))
    [request] = server.seen(STORAGE)
    assert request.headers["Range"] == f"bytes={here}-" and sum(request.sent) == len(WEIGHTS) - here
    assert (Path(found["folder"]) / "model.safetensors").read_bytes() == WEIGHTS and not partials(home, name)


def test_what_was_here_before_does_not_count_as_speed(server: HubServer, client: Client, name: str) -> None:
    server.models[name] = Repository(files())
    client.call("download", name=name, stop_at=0.6)
    server.faults = [Fault(STORAGE, pause=0.016)]  # at most 1 MB/s
    notes = [note for _, note in client.call("download", name=name)["notes"]]
    rates = [float(found[1]) for note in notes if (found := re.search(r"([\d.]+) MB/s", note))]
    assert rates and max(rates) < 1.3, rates


def test_a_killed_download_goes_on_where_it_stopped(server: HubServer, client: Client, name: str, home: Path) -> None:
    server.models[name] = Repository(files())
    server.faults = [Fault(STORAGE, pause=0.03)]
    doomed = Client(HF_ENDPOINT=server.address(), HF_HOME=str(home))
    doomed.start("download", name=name)
    partial = (
        blobs(home, name) / f"{etag('model.safetensors', WEIGHTS)}.vivit.incomplete"
    )  # partials of smaller files come and go
    until(lambda: partial.exists() and partial.stat().st_size > 300_000)
    doomed.close()
    here = partial.stat().st_size
    server.requests.clear()
    server.faults = []
    good(client.call("download", name=name))
    [request] = server.seen(STORAGE)
    assert request.headers["Range"] == f"bytes={here}-" and sum(request.sent) == len(WEIGHTS) - here


def test_two_at_a_time_download_once(server: HubServer, client: Client, clients: Any, name: str) -> None:
    server.models[name] = Repository(files())
    server.faults = [Fault(STORAGE, pause=0.005)]
    other = clients(SECOND="1")
    other.start("download", name=name)
    until(lambda: server.seen(STORAGE))
    folder = good(client.call("download", name=name))["folder"]
    assert good(other.answer())["folder"] == folder and server.sent(STORAGE) == len(WEIGHTS)
