"""vivit.hub with every fault that a Hub, a network, a disk or a token may have."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.hub_client import Client
from tests.hub_server import OTHER_TOKEN, TOKEN, Fault, HubServer, Repository
from tests.patience import until
from tests.shorter import some
from tests.vivit.hub.samples import CLIPS, INFORMATION, STORAGE, WEIGHTS, files, good, partials, refused


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
    (Fault("resolve", status=503), "a fault of its own (503)"),
    (Fault("resolve", silent=True), "did not answer in time"),
]


@pytest.mark.parametrize(("fault", "words"), some(REFUSALS, *REFUSALS[::2]), ids=lambda value: "")
def test_a_hub_that_refuses(
    fault: Fault, words: str, server: HubServer, client: Client, impatient: Client, name: str
) -> None:
    server.models[name] = Repository(files())
    server.faults = [fault]
    answer = (impatient if fault.silent or fault.pause else client).call("inspect_checkpoint", name=name)
    refused(answer, words)
    assert answer["seconds"] < 15, "a slow Hub holds nobody: 1 s a read, 3 s an answer, 3 connections a file"
    server.faults = []
    good(client.call("inspect_checkpoint", name=name))


@pytest.mark.parametrize(
    "fault",
    some(
        [
            Fault("tree", silent=True),
            Fault("tree", pause=0.2),
            Fault("tree", status=500),  # which the client asks again and again, more and more slowly
            Fault("tree", status=429, headers={"Retry-After": "240"}),
        ],
        Fault("tree", status=500),
    ),
    ids=["silent", "trickle", "500", "429"],
)
def test_a_hub_that_does_not_list_a_dataset_holds_nobody(
    fault: Fault, server: HubServer, client: Client, impatient: Client, name: str
) -> None:
    server.datasets[name] = Repository(CLIPS)
    server.faults = [fault]
    answer = impatient.call("list_clips", dataset=name)
    refused(answer, "did not answer in time")
    assert answer["seconds"] < 15
    server.faults = []
    good(client.call("list_clips", dataset=name))


@pytest.mark.parametrize(
    "fault", [Fault("tree", damaged=True), Fault(INFORMATION, damaged=True)], ids=["tree", "information"]
)
def test_an_answer_that_is_no_json_is_no_hubs(fault: Fault, server: HubServer, client: Client, name: str) -> None:
    server.datasets[name], server.models[name] = Repository(CLIPS), Repository(files())
    server.faults = [fault]
    refused(client.call("list_clips", dataset=name), "not a Hugging Face Hub")
    if "api" in fault.pattern:
        refused(client.call("inspect_checkpoint", name=name), "not a Hugging Face Hub")


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
def test_a_storage_that_refuses(
    fault: Fault, words: str, server: HubServer, client: Client, impatient: Client, name: str
) -> None:
    server.models[name] = Repository(files())
    server.faults = [fault]
    answer = (impatient if fault.silent else client).call("download", name=name)
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


def test_where_a_newer_state_cannot_be_listed_the_clips_of_the_former_are_shown(
    server: HubServer, client: Client, name: str
) -> None:
    server.datasets[name] = Repository({"val/wave/1.mp4": b"clip"})
    good(client.call("download_clip", dataset=name, file="val/wave/1.mp4"))
    server.datasets[name].commit({"val/wave/1.mp4": b"clip", "val/wave/2.mp4": b"another"})
    server.faults = [Fault("tree", status=403)]
    listed = good(client.call("list_clips", dataset=name))
    assert [c["file"] for c in listed["clips"]] == ["val/wave/1.mp4"] and "on this machine" in listed["notices"][0]
    server.faults = []
    assert len(good(client.call("list_clips", dataset=name))["clips"]) == 2


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


def test_an_older_answer_does_not_move_a_revision_back(
    server: HubServer, client: Client, clients: Any, name: str, home: Path
) -> None:
    """Two programs share the cache: one asked first and is slow, the other asked later and is quick."""
    repository = server.models[name] = Repository(files())
    old = repository.references["main"]
    reference = home / "hub" / f"models--{name.replace('/', '--')}" / "refs" / "main"
    other = clients(ANOTHER="1")
    good(other.call("inspect_checkpoint", name=name))  # it is up before the slow answer begins
    server.faults = [Fault(STORAGE, times=1, pause=0.02)]
    client.start("download", name=name)
    until(lambda: server.sent(STORAGE))
    new = repository.commit(files({"model.safetensors": WEIGHTS[::-1]}))
    assert good(other.call("download", name=name))["commit"] == new and reference.read_text() == new
    assert good(client.answer())["commit"] == old, "what it asked for, whole"
    assert reference.read_text() == new
    # And an answer that is as new as can be moves it wherever the Hub's own reference has gone.
    repository.references["main"] = old
    assert good(client.call("find_checkpoint", name=name)).endswith(old) and reference.read_text() == old


def test_a_server_that_repeats_the_token(server: HubServer, client: Client, token: Any, name: str) -> None:
    token(TOKEN)
    server.models[name] = Repository(files())
    server.faults = [Fault(INFORMATION, status=400, message=f"what is {TOKEN}?")]
    answer = client.call("inspect_checkpoint", name=name)
    refused(answer)
    assert "what is …?" in answer["details"]
