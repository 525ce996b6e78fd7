"""vivit.hub through the real client, against a server that answers as the Hub does, with every fault it may have."""

import ast
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub_client import ROOT, Client, clean
from tests.hub_server import OTHER_TOKEN, TOKEN, Fault, HubServer, Repository, wait_for
from vivit import hub

CONFIG = {
    "model_type": "vivit",
    "architectures": ["VivitForVideoClassification"],
    "id2label": {"0": "wave", "1": "jump"},
}
PROCESSOR = b'{"do_resize": true}'
WEIGHTS = hashlib.shake_256(b"weights").digest(1_600_000)
STORAGE = "^storage GET"
INFORMATION = "^hub GET /api/(models|datasets)/[^/]+/[^/?]+$"
Answer = dict[str, Any]


def files(weights: dict[str, bytes] | None = None, **config: Any) -> dict[str, bytes]:
    """A checkpoint as a repository has it, with files no loading needs."""
    weights = {"model.safetensors": WEIGHTS} if weights is None else weights
    text = json.dumps({k: v for k, v in (CONFIG | config).items() if v is not None}).encode()
    others = {"README.md": b"# A model", "runs/events.bin": bytes(100), "flax_model.msgpack": bytes(200)}
    return {"config.json": text, "preprocessor_config.json": PROCESSOR, **weights, **others}


@pytest.fixture(scope="module")
def shared() -> Iterator[HubServer]:
    server = HubServer()
    yield server
    server.stop()


@pytest.fixture
def server(shared: HubServer) -> HubServer:
    shared.clear()
    return shared


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HF_HOME of every client here; tests differ by the names of their repositories."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def clients(shared: HubServer, home: Path) -> Iterator[Any]:
    """Starts clients, one for each environment."""
    started: dict[tuple[tuple[str, str], ...], Client] = {}

    def get(**environment: str) -> Client:
        usual = {"HF_ENDPOINT": shared.address(), "HF_HOME": str(home)}
        usual |= {"HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "1"}
        key = tuple(sorted((usual | environment).items()))
        if key not in started:
            started[key] = Client(**dict(key))
        return started[key]

    yield get
    for client in started.values():
        client.close()


@pytest.fixture
def client(clients: Any) -> Client:
    return clients()


@pytest.fixture
def offline(clients: Any) -> Client:
    return clients(HF_HUB_OFFLINE="1")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return "tiny/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:80]


@pytest.fixture
def token(home: Path) -> Iterator[Any]:
    """Log in as the visitor would: the file that `hf auth login` writes."""
    yield lambda text: (home / "token").write_text(text)
    (home / "token").unlink(missing_ok=True)


def partials(home: Path, name: str, kind: str = "models") -> list[Path]:
    folder = home / "hub" / f"{kind}--{name.replace('/', '--')}" / "blobs"
    return sorted(folder.glob("*.incomplete"))


def good(answer: Answer) -> Any:
    assert "error" not in answer, answer
    return answer["result"]


def refused(answer: Answer, *words: str) -> str:
    """The sentence of an expected error, which is one the visitor can read and act on."""
    assert answer.get("class") == "HubError", answer
    sentence = answer["error"]
    assert all(word in sentence for word in words), sentence
    assert sentence.endswith(".") and "\n" not in sentence and 30 < len(sentence) < 330, sentence
    assert re.search(r"Choose|Check|[Tt]ry again|Give|Leave|log in|Free|Unset|still works", sentence), sentence
    assert TOKEN not in json.dumps(answer)
    return sentence


# Nothing is asked of anybody


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
hub.ASSETS = Path({str(tmp_path)!r})
assert hub.embedded_checkpoints() == ("embedded",)
found = hub.inspect_checkpoint("embedded")
assert (found.kind, found.cached, found.commit, found.num_labels) == ("embedded", True, "", 2), found
assert hub.find_checkpoint("embedded") == hub.ASSETS / "embedded" == Path(hub.download("embedded").folder)
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


# Downloads


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
    wait_for(lambda: partials(home, name) and partials(home, name)[0].stat().st_size > 300_000)
    doomed.close()
    here = partials(home, name)[0].stat().st_size
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
    wait_for(lambda: server.seen(STORAGE))
    folder = good(client.call("download", name=name))["folder"]
    assert good(other.answer())["folder"] == folder and server.sent(STORAGE) == len(WEIGHTS)


def test_a_cut_connection_is_mended(server: HubServer, client: Client, name: str) -> None:
    server.models[name] = Repository(files())
    server.faults = [Fault(STORAGE, times=2, cut_after=500_000)]
    found = good(client.call("download", name=name))
    assert (Path(found["folder"]) / "model.safetensors").read_bytes() == WEIGHTS
    assert [r.headers.get("Range") for r in server.seen(STORAGE)] == [None, "bytes=500000-", "bytes=1000000-"]
    assert server.sent(STORAGE) == len(WEIGHTS)


def test_a_connection_that_is_always_cut_is_told_and_keeps_what_came(
    server: HubServer, client: Client, name: str, home: Path
) -> None:
    server.models[name] = Repository(files())
    server.faults = [Fault(STORAGE, cut_after=100_000)]
    refused(client.call("download", name=name), "was cut at 0.3 of 1.6 MB of model.safetensors", "kept")
    assert partials(home, name)[0].stat().st_size == 300_000
    server.faults = []
    good(client.call("download", name=name))
    assert server.sent(STORAGE) == len(WEIGHTS)


def test_a_server_that_ignores_the_range(server: HubServer, client: Client, name: str) -> None:
    server.models[name] = Repository(files())
    server.faults = [Fault(STORAGE, times=1, cut_after=500_000), Fault(STORAGE, whole=True)]
    found = good(client.call("download", name=name))
    assert (Path(found["folder"]) / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("fault", "file", "words"),
    [
        (Fault(STORAGE, times=1, damaged=True), "model.safetensors", "arrived damaged"),
        (Fault("resolve-cache.*/config.json", times=1, damaged=True), "config.json", "arrived damaged"),
        (Fault(STORAGE, times=1, short=True), "model.safetensors", "sent 1,599,990 bytes"),
    ],
)
def test_a_wrong_file_is_deleted_and_told(
    fault: Fault, file: str, words: str, server: HubServer, client: Client, name: str, home: Path
) -> None:
    repository = server.models[name] = Repository(files())
    server.faults = [fault]
    refused(client.call("download", name=name), words, file, "try again")
    assert not partials(home, name)
    found = good(client.call("download", name=name))
    assert (Path(found["folder"]) / file).read_bytes() == repository.files[file]


def test_a_damaged_partial_file_does_not_survive(server: HubServer, client: Client, name: str, home: Path) -> None:
    server.models[name] = Repository(files())
    server.faults = [Fault(STORAGE, pause=0.002)]
    client.call("download", name=name, stop_at=0.5)
    partials(home, name)[0].write_bytes(bytes(2_000_000))  # longer than the file it is to become
    server.faults = []
    good(client.call("download", name=name))
    server.models[name].commit(files({"model.safetensors": WEIGHTS[::-1]}))
    server.faults = [Fault(STORAGE, pause=0.002)]
    client.call("download", name=name, stop_at=0.5)
    partials(home, name)[0].write_bytes(bytes(1000))
    server.faults = []
    refused(client.call("download", name=name), "arrived damaged")
    good(client.call("download", name=name))


def test_a_truncated_file_in_the_cache_is_fetched_again(server: HubServer, client: Client, name: str) -> None:
    server.models[name] = Repository(files())
    file = Path(good(client.call("download", name=name))["folder"]) / "model.safetensors"
    file.resolve().write_bytes(WEIGHTS[:1000])
    assert good(client.call("inspect_checkpoint", name=name))["missing_bytes"] == len(WEIGHTS)
    good(client.call("download", name=name))
    assert file.read_bytes() == WEIGHTS


# The disk


def test_a_disk_that_fills_up(server: HubServer, client: Client, name: str, home: Path) -> None:
    server.models[name] = Repository(files())
    server.faults = [Fault(STORAGE, pause=0.002)]
    client.call("download", name=name, stop_at=0.1)
    [partial] = partials(home, name)
    partial.unlink()
    partial.symlink_to("/dev/full")  # the kernel's own disk without room
    server.faults = []
    refused(client.call("download", name=name), "disk of the Hub cache is full", "HF_HOME")
    partial.unlink()
    good(client.call("download", name=name))


def test_a_disk_too_small_is_seen_before_the_download(server: HubServer, client: Client, name: str) -> None:
    server.datasets[name] = Repository({"val/wave/a.mp4": b"clip"}, sizes={"val/wave/a.mp4": 10**15})
    answer = client.call("download_clip", dataset=name, file="val/wave/a.mp4")
    refused(answer, "free, and 1,000,000,000 MB are needed", "HF_HOME")
    assert not server.seen(STORAGE)


def test_a_cache_that_cannot_be_written(server: HubServer, clients: Any, name: str, tmp_path: Path) -> None:
    server.models[name] = Repository(files())
    (tmp_path / "file").touch()
    client = clients(HF_HOME=str(tmp_path / "file"), HF_TOKEN_PATH=str(tmp_path / "token"))
    refused(client.call("download", name=name), "cannot be written (not a directory)", "HF_HOME")


# The network and the Hub


REFUSALS: list[tuple[Fault, str]] = [
    (
        Fault(INFORMATION, status=401, headers={"X-Error-Message": "Invalid credentials in Authorization header"}),
        "token",
    ),
    (Fault(INFORMATION, status=401), "There is no public repository"),
    (Fault(INFORMATION, status=403), "Your token may not read"),
    (Fault(INFORMATION, status=403, message="Access to this resource is disabled."), "has been disabled"),
    (Fault(INFORMATION, status=404), "There is no public repository"),
    (Fault(INFORMATION, status=429, headers={"Retry-After": "240"}), "wait 240 seconds"),
    (Fault(INFORMATION, status=429, headers={"ratelimit": '"api";r=0;t=55'}), "wait 55 seconds"),
    (Fault(INFORMATION, status=429), "wait a while"),
    (Fault(INFORMATION, status=500), "a fault of its own (500)"),
    (Fault(INFORMATION, status=503), "a fault of its own (503)"),
    (Fault(INFORMATION, status=418), "refused"),
    (Fault(INFORMATION, silent=True), "did not answer in time"),
    (Fault(INFORMATION, pause=0.2), "did not answer in time"),
    (Fault(INFORMATION, cut_after=10), "broke"),
    (Fault("tree", status=500), "a fault of its own (500)"),
    (Fault("tree", silent=True), "did not answer in time"),
    (Fault("resolve", status=503), "a fault of its own (503)"),
    (Fault("resolve", silent=True), "did not answer in time"),
]


@pytest.mark.parametrize(("fault", "words"), REFUSALS, ids=lambda value: "")
def test_a_hub_that_refuses(fault: Fault, words: str, server: HubServer, client: Client, name: str) -> None:
    server.models[name] = Repository(files())
    server.faults = [fault]
    answer = client.call("inspect_checkpoint", name=name)
    refused(answer, words)
    assert answer["seconds"] < 15, "a slow Hub holds nobody: 1 s a read, 3 s an answer, 3 connections a file"
    server.faults = []
    good(client.call("inspect_checkpoint", name=name))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(STORAGE, status=403), "may not read"),
        (Fault(STORAGE, status=429, headers={"Retry-After": "7"}), "wait 7 seconds"),
        (Fault(STORAGE, status=503), "(503)"),
        (Fault(STORAGE, silent=True), "did not answer in time"),
        (Fault(STORAGE, cut_after=0), "broke"),
    ],
    ids=lambda value: "",
)
def test_a_storage_that_refuses(fault: Fault, words: str, server: HubServer, client: Client, name: str) -> None:
    server.models[name] = Repository(files())
    server.faults = [fault]
    answer = client.call("download", name=name)
    refused(answer, words)
    assert answer["seconds"] < 15 and "5ecret" not in json.dumps(answer)


def test_something_else_at_the_address(server: HubServer, client: Client, name: str) -> None:
    server.models[name] = Repository(files())
    server.models[name].references["main"] = "not-a-commit"
    server.models[name].commits["not-a-commit"] = server.models[name].files
    refused(client.call("inspect_checkpoint", name=name), "not a Hugging Face Hub", "HF_ENDPOINT")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "cannot be reached"),
        ({"HF_ENDPOINT": "http://hub.example", "NO_NAMES": "1"}, "(hub.example) could not be looked up"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        ({"HTTP_PROXY": "http://127.0.0.1:9", "HF_ENDPOINT": "http://hub.example"}, "cannot be reached"),
    ],
    ids=["refused", "dns", "offline", "proxy"],
)
def test_without_a_network_what_is_cached_works(
    environment: dict[str, str], words: str, server: HubServer, client: Client, clients: Any, name: str, home: Path
) -> None:
    server.models[name] = Repository(files())
    server.datasets[name] = Repository({f"val/wave/{k}.mp4": b"clip" * k for k in (1, 2)})
    cut_off = clients(**environment)
    for function in ("inspect_checkpoint", "download", "find_checkpoint"):
        refused(cut_off.call(function, name=name), words)
    refused(cut_off.call("list_clips", dataset=name), words)
    refused(cut_off.call("download_clip", dataset=name, file="val/wave/1.mp4"), words)

    folder = good(client.call("download", name=name))["folder"]
    clip = good(client.call("download_clip", dataset=name, file="val/wave/1.mp4"))[0]
    server.requests.clear()
    found = good(cut_off.call("inspect_checkpoint", name=name))
    assert found["folder"] == folder and words in found["notices"][0] and "copy on this machine" in found["notices"][0]
    assert good(cut_off.call("download", name=name))["folder"] == folder
    assert good(cut_off.call("find_checkpoint", name=name)) == folder
    assert name in good(cut_off.call("cached_checkpoints"))
    listed = good(cut_off.call("list_clips", dataset=name))
    assert [c["file"] for c in listed["clips"]] == ["val/wave/1.mp4"] and words in listed["notices"][0]
    assert good(cut_off.call("download_clip", dataset=name, file="val/wave/1.mp4"))[0] == clip
    refused(cut_off.call("download_clip", dataset=name, file="val/wave/2.mp4"), words)
    (home / "secret").write_text("not a clip")
    refused(cut_off.call("download_clip", dataset=name, file="../../../../secret"))
    assert not server.requests


def test_a_half_downloaded_checkpoint_is_not_offered_offline(
    server: HubServer, client: Client, offline: Client, name: str
) -> None:
    server.models[name] = Repository(files())
    old = good(client.call("download", name=name))["folder"]
    server.models[name].commit(files({"model.safetensors": WEIGHTS[::-1]}))
    server.faults = [Fault(STORAGE, pause=0.002)]
    assert client.call("download", name=name, stop_at=0.5)["class"] == "Stop"
    assert good(offline.call("download", name=name))["folder"] == old
    assert good(offline.call("find_checkpoint", name=name)) == old


# Tokens


def test_a_private_repository_is_read_with_the_visitors_token(
    server: HubServer, client: Client, token: Any, name: str
) -> None:
    server.models[name] = Repository(files(), private=True)
    refused(client.call("inspect_checkpoint", name=name), "There is no public repository", "log in")
    token(OTHER_TOKEN)
    refused(client.call("inspect_checkpoint", name=name), "There is no public repository", "log in")
    token("hf_mistyped")
    refused(client.call("inspect_checkpoint", name=name), "does not accept your token")
    server.datasets[name] = Repository(CLIPS, private=True)
    refused(client.call("list_clips", dataset=name), "does not accept your token")
    token(TOKEN)
    server.requests.clear()
    good(client.call("download", name=name))
    good(client.call("list_clips", dataset=name))
    good(client.call("download_clip", dataset=name, file="val/archery/1.mp4"))
    assert server.seen("^hub GET /api/models") and server.seen(STORAGE)
    for request in server.requests:
        sent = request.headers.get("Authorization", request.headers.get("authorization"))
        assert sent == (None if request.host == "storage" or "harnesses" in request.path else f"Bearer {TOKEN}"), (
            request
        )
    assert TOKEN not in client.log()


def test_a_gated_repository(server: HubServer, client: Client, token: Any, name: str) -> None:
    server.models[name] = Repository(files(), gated=True)
    refused(client.call("inspect_checkpoint", name=name), "is gated", f"https://huggingface.co/{name}", "log in")
    token(OTHER_TOKEN)
    refused(client.call("inspect_checkpoint", name=name), "is gated")
    token(TOKEN)
    good(client.call("download", name=name))


def test_a_server_that_repeats_the_token(server: HubServer, client: Client, token: Any, name: str) -> None:
    token(TOKEN)
    server.models[name] = Repository(files())
    server.faults = [Fault(INFORMATION, status=400, message=f"what is {TOKEN}?")]
    answer = client.call("inspect_checkpoint", name=name)
    refused(answer)
    assert "what is …?" in answer["details"]


# Clips


CLIPS = {f"{split}/{label}/{k}.mp4": f"{split} {label} {k}".encode() for split in ("train", "val")
         for label in ("archery", "flying_kite") for k in range(3)}  # fmt: skip


def test_clips_are_listed_by_split_and_class(server: HubServer, client: Client, name: str) -> None:
    server.datasets[name] = Repository(CLIPS | {"README.md": b"#", "val/archery/notes.txt": b"-", "odd.mp4": b"odd"})
    server.page_size = 4
    answer = client.call("list_clips", dataset=name)
    found = good(answer)
    assert [c["file"] for c in found["clips"]] == sorted([*CLIPS, "odd.mp4"])
    assert len(server.seen("tree")) == 6 and not server.seen("resolve")
    clips = {c["file"]: c for c in found["clips"]}
    size = len(CLIPS["val/flying_kite/2.mp4"])
    expected = {"split": "val", "label": "flying_kite", "size_bytes": size, "cached": False}
    assert clips["val/flying_kite/2.mp4"] == {"file": "val/flying_kite/2.mp4", **expected}
    assert (clips["odd.mp4"]["split"], clips["odd.mp4"]["label"]) == ("", "")
    assert found["commit"] == server.datasets[name].references["main"] and found["notices"] == []
    assert answer["notes"][-1][1] == "13 clips found"


def test_a_clip_is_downloaded_once(server: HubServer, client: Client, name: str) -> None:
    server.datasets[name] = Repository(CLIPS)
    commit = good(client.call("list_clips", dataset=name))["commit"]
    file = "val/archery/1.mp4"
    for revision in (None, commit, None):
        path, clip = good(client.call("download_clip", dataset=name, file=file, revision=revision))
        assert Path(path).read_bytes() == CLIPS[file] and path.endswith(f"{commit}/{file}")
        assert (clip["split"], clip["label"], clip["cached"]) == ("val", "archery", True)
    assert len(server.seen(STORAGE)) == 1
    server.requests.clear()
    good(client.call("download_clip", dataset=name, file=file, revision=commit))
    assert not server.requests, "a commit never changes"
    listed = good(client.call("list_clips", dataset=name))
    assert [c["file"] for c in listed["clips"] if c["cached"]] == [file]


def test_a_clip_that_is_damaged_on_the_way(server: HubServer, client: Client, name: str) -> None:
    server.datasets[name] = Repository(CLIPS)
    server.faults = [Fault(STORAGE, times=1, damaged=True)]
    refused(client.call("download_clip", dataset=name, file="val/archery/1.mp4"), "arrived damaged")
    good(client.call("download_clip", dataset=name, file="val/archery/1.mp4"))


def test_datasets_without_what_is_wanted(server: HubServer, client: Client, name: str) -> None:
    server.datasets[name] = Repository({"train.parquet": b"rows"})
    refused(client.call("list_clips", dataset=name), "has no video files")
    refused(client.call("list_clips", dataset=f"{name}-absent"), "There is no public repository")
    refused(client.call("download_clip", dataset=name, file="val/wave/1.mp4"), "no such file (1.mp4)")
    refused(client.call("list_clips", dataset=name, revision="absent"), "no such revision")


def test_names_that_would_leave_the_cache(server: HubServer, client: Client, name: str, home: Path) -> None:
    server.models[name] = Repository(files() | {"..\\model.safetensors": b"x"})
    refused(client.call("download", name=name), "impossible name")
    server.datasets[name] = Repository({"../../../../outside.mp4": b"x"})
    answer = client.call("download_clip", dataset=name, file="../../../../outside.mp4")
    refused(answer)
    assert not list(home.parent.rglob("outside.mp4"))


# Labels


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
    VivitConfig(num_labels=None if named else 400, id2label=names if named else None).save_pretrained(tmp_path)
    config = VivitConfig.from_pretrained(tmp_path)
    expected = names if named else dict(enumerate(hub.kinetics400_labels()))
    assert config.id2label == expected and config.label2id == {v: k for k, v in expected.items()}
    assert VivitConfig.from_pretrained(tmp_path, num_labels=3).id2label == {k: f"LABEL_{k}" for k in range(3)}


# The two examples of the model's documentation and its half-precision call, with the imports changed, `model_name` defined
# and PyAV as the reader


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], bytes]:
    """A tiny checkpoint as `save_pretrained` of transformers leaves it, and a clip of 48 frames."""
    from tests import oracle
    from tests.clips import write_clip

    folder = tmp_path_factory.mktemp("published")
    oracle.save(folder, num_labels=400)
    write_clip(folder / "clip.mp4", num_frames=48)
    clip = (folder / "clip.mp4").read_bytes()
    (folder / "clip.mp4").unlink()
    return {file.name: file.read_bytes() for file in folder.iterdir()}, clip


EXAMPLES = """
import av
import numpy as np
import torch
from huggingface_hub import hf_hub_download, list_repo_files
from PIL import Image

from vivit import VivitForVideoClassification, VivitImageProcessor, VivitModel, pipeline

model_name = "google/vivit-b-16x2-kinetics400"
clips = [f for f in list_repo_files("nateraw/kinetics-mini", repo_type="dataset") if f.endswith(".mp4")]
video_path = hf_hub_download("nateraw/kinetics-mini", repo_type="dataset", filename=clips[0])

image_processor = VivitImageProcessor.from_pretrained(model_name)
classifier = pipeline(task="video-classification", model=model_name, image_processor=image_processor)
print(classifier(video_path))

with av.open(video_path) as file:
    video = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
model = VivitForVideoClassification.from_pretrained(model_name).eval()
indices = np.linspace(0, len(video) - 1, model.config.num_frames, dtype=int)
frames = [Image.fromarray(video[i]).resize((224, 224)) for i in indices]
device = "cuda" if torch.cuda.is_available() else "cpu"
inputs = image_processor(frames, return_tensors="pt").to(device)
model.to(device)
with torch.no_grad():
    probs = model(pixel_values=inputs["pixel_values"]).logits.softmax(-1)[0]
print([{"label": model.config.id2label[i.item()], "score": probs[i].item()} for i in probs.topk(5).indices])

half = VivitModel.from_pretrained(model_name, attn_implementation="sdpa", dtype=torch.float16).to(device)
print(list(half(**inputs).last_hidden_state.shape))
"""


def test_the_examples_of_the_documentation(
    published: tuple[dict[str, bytes], bytes], server: HubServer, tmp_path: Path
) -> None:
    checkpoint, clip = published
    server.models["google/vivit-b-16x2-kinetics400"] = Repository(checkpoint)
    server.datasets["nateraw/kinetics-mini"] = Repository({"val/eating_spaghetti/-abc_1.mp4": clip})
    environment = clean(HF_HOME=str(tmp_path), HF_ENDPOINT=server.address())
    run = subprocess.run(
        [sys.executable, "-c", EXAMPLES], text=True, capture_output=True, env=environment, cwd=ROOT, check=False
    )
    assert run.returncode == 0, run.stderr
    *answers, shape = map(ast.literal_eval, run.stdout.splitlines())
    for answer in answers:
        assert len(answer) == 5 and all(p["label"] in hub.kinetics400_labels() for p in answer)
        assert [p["score"] for p in answer] == sorted((p["score"] for p in answer), reverse=True)
    assert len(answers) == 2 and shape == [1, 61, 35]
    assert len(server.seen(r"storage GET .*safetensors")) == len(server.seen(r"storage GET .*mp4")) == 1


# Conversion


def convert(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vivit", "convert", *arguments],
        text=True,
        capture_output=True,
        env=clean(**environment),
        cwd=ROOT,
        check=False,
    )


@pytest.mark.parametrize("source", ["hub", "bin"])
def test_a_converted_checkpoint_loads_in_transformers(
    source: str, published: tuple[dict[str, bytes], bytes], server: HubServer, tmp_path: Path
) -> None:
    import torch
    import transformers

    from tests import oracle

    checkpoint, _ = published
    original = oracle.reference(num_labels=400)
    folder = tmp_path / "source"
    folder.mkdir()
    if source == "bin":
        for file, content in checkpoint.items():
            if not file.endswith(".safetensors"):
                (folder / file).write_bytes(content)
        torch.save({n: p.detach() for n, p in original.named_parameters()}, folder / "pytorch_model.bin")
    server.models["tiny/to-convert"] = Repository(checkpoint)
    out = tmp_path / "out"
    name = "tiny/to-convert" if source == "hub" else str(folder)
    run = convert(name, str(out), HF_HOME=str(tmp_path / "home"), HF_ENDPOINT=server.address())
    assert run.returncode == 0, run.stderr
    assert ("weights_only=True" in run.stderr) == (source == "bin")
    assert sorted(p.name for p in out.iterdir()) == ["config.json", "model.safetensors", "preprocessor_config.json"]
    model = transformers.VivitForVideoClassification.from_pretrained(out, attn_implementation="eager")
    pixel_values = oracle.clip(model.config)
    with torch.no_grad():
        assert torch.equal(model(pixel_values).logits, original(pixel_values).logits)
    assert model.config.id2label == dict(enumerate(hub.kinetics400_labels()))
    assert model.config.architectures == ["VivitForVideoClassification"]
    theirs = transformers.VivitImageProcessor.from_pretrained(out)
    assert theirs.crop_size["height"] == original.config.image_size[0] and theirs.size["shortest_edge"] == 28
    again = convert(name, str(out), HF_HOME=str(tmp_path / "home"), HF_ENDPOINT=server.address())
    assert again.returncode == 2 and "not empty" in again.stderr and "Traceback" not in again.stderr


def test_what_cannot_be_converted(tmp_path: Path) -> None:
    run = convert(str(tmp_path / "absent"), str(tmp_path / "out"), HF_HUB_OFFLINE="1")
    assert run.returncode == 2 and run.stderr.startswith("vivit: There is no folder") and run.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
