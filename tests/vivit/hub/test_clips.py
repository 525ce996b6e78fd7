"""vivit.hub lists and downloads the clips of a dataset."""

from pathlib import Path

from tests.hub_client import Client
from tests.hub_server import Fault, HubServer, Repository
from tests.vivit.hub.samples import CLIPS, STORAGE, files, good, refused


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
