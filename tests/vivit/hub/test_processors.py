"""vivit.hub and the files that say what happens to frames: all of them come, and an absence is remembered."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.file_download import _CACHED_NO_EXIST

from tests.hub_client import Client, clean
from tests.hub_server import HubServer, Repository
from tests.vivit.hub.samples import WEIGHTS, files, good
from vivit import VivitImageProcessor
from vivit.errors import UserError
from vivit.hub import PROCESSORS

VIDEOMAE = json.dumps({"image_processor_type": "VideoMAEImageProcessor"}).encode()
OTHER = json.dumps({"video_processor_type": "LlavaOnevisionVideoProcessor"}).encode()


def repository(**processors: bytes) -> Repository:
    content = {name: text for name, text in files().items() if name not in PROCESSORS}
    return Repository(content | {f"{name}.json": text for name, text in processors.items()})


def snapshot_of_another_client(home: Path, name: str, commit: str, content: dict[str, bytes]) -> Path:
    """What a client leaves that looked for no processor: config and weights, and no word on the rest."""
    cache = home / "hub" / f"models--{name.replace('/', '--')}"
    folder = cache / "snapshots" / commit
    folder.mkdir(parents=True)
    for file in ("config.json", "model.safetensors"):
        (folder / file).write_bytes(content[file])
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    return folder


@pytest.mark.parametrize("file", PROCESSORS)
def test_whichever_file_it_is_comes_and_counts(file: str, server: HubServer, client: Client, name: str) -> None:
    server.models[name] = repository(**{file.removesuffix(".json"): VIDEOMAE})
    found = good(client.call("inspect_checkpoint", name=name))
    assert set(found["files"]) == {"config.json", file, "model.safetensors"}
    folder = Path(good(client.call("find_checkpoint", name=name, weights=False)))
    assert (folder / file).read_bytes() == VIDEOMAE
    assert VivitImageProcessor.from_folder(folder).size == {"shortest_edge": 224}


def test_another_class_is_refused_by_name_and_the_repository_named(
    server: HubServer, client: Client, name: str
) -> None:
    server.models[name] = repository(video_preprocessor_config=OTHER)
    folder = Path(good(client.call("download", name=name))["folder"])
    with pytest.raises(UserError) as caught:
        VivitImageProcessor.from_folder(folder)
    assert f"The video_preprocessor_config.json of '{name}'" in str(caught.value)
    assert "'LlavaOnevisionVideoProcessor'" in str(caught.value)


def test_that_there_is_none_is_remembered_as_every_client_does(
    server: HubServer, client: Client, offline: Client, name: str, home: Path
) -> None:
    server.models[name] = repository()
    pinned = good(client.call("locate", name=name))[0]
    for file in PROCESSORS:
        assert try_to_load_from_cache(name, file, home / "hub") is _CACHED_NO_EXIST
    server.requests.clear()
    assert good(client.call("locate", name=pinned))[0] == pinned and not server.requests
    assert good(offline.call("locate", name=name))[0] == pinned
    assert not good(offline.call("inspect_checkpoint", name=name))["notices"][1:], "it is known that there is none"


def test_what_another_client_found_absent_is_not_asked_again(
    server: HubServer, client: Client, name: str, home: Path
) -> None:
    server.models[name] = repository()
    code = (
        "import sys; from huggingface_hub import hf_hub_download, errors\n"
        "for file in sys.argv[2:]:\n    try: print(hf_hub_download(sys.argv[1], file))\n"
        "    except errors.EntryNotFoundError: pass\n"
    )
    environment = clean(HF_HOME=str(home), HF_ENDPOINT=server.address(), HF_HUB_DISABLE_XET="1")
    wanted = ["config.json", "model.safetensors", *PROCESSORS]
    printed = subprocess.check_output([sys.executable, "-c", code, name, *wanted], text=True, env=environment)
    folder = Path(printed.splitlines()[0]).parent
    server.requests.clear()
    assert good(client.call("find_checkpoint", name=f"{name}@{folder.name}")) == str(folder) and not server.requests


def test_a_snapshot_of_a_client_that_looked_for_none_is_asked_about_and_works_offline(
    server: HubServer, client: Client, offline: Client, name: str, home: Path
) -> None:
    repository_ = server.models[name] = repository(processor_config=json.dumps({"image_processor": {}}).encode())
    commit = repository_.references["main"]
    folder = snapshot_of_another_client(home, name, commit, repository_.files)
    assert good(offline.call("find_checkpoint", name=name)) == str(folder)
    here = good(offline.call("inspect_checkpoint", name=name))
    assert here["folder"] and any("image processor" in notice for notice in here["notices"])
    assert good(client.call("find_checkpoint", name=name, here=True)) == str(folder)
    assert not server.requests
    found = good(client.call("inspect_checkpoint", name=name))
    assert not found["folder"] and found["missing_bytes"] >= len(repository_.files["processor_config.json"])
    assert good(client.call("find_checkpoint", name=f"{name}@{commit}")) == str(folder)
    assert (folder / "processor_config.json").is_file() and len(WEIGHTS) == (
        folder / "model.safetensors"
    ).stat().st_size
    server.requests.clear()
    assert good(client.call("find_checkpoint", name=f"{name}@{commit}")) == str(folder) and not server.requests


def test_an_absence_is_no_file_of_the_checkpoint(server: HubServer, client: Client, name: str) -> None:
    server.models[name] = repository()
    found = good(client.call("download", name=name))
    assert sorted(p.name for p in Path(found["folder"]).iterdir()) == ["config.json", "model.safetensors"]
    assert constants.HF_HUB_OFFLINE, "the process of the tests itself asks nobody"


@pytest.mark.parametrize("odd", [{"architectures": 5}, {"id2label": 5}, {"id2label": None, "num_labels": [7]}])
def test_one_odd_config_in_the_cache_hides_no_other(
    server: HubServer, client: Client, name: str, odd: dict[str, object]
) -> None:
    server.models[name] = Repository(files())
    assert good(client.call("find_checkpoint", name=name))
    strange = f"{name}-odd"
    config = json.loads(files()["config.json"]) | odd
    server.models[strange] = Repository(files() | {"config.json": json.dumps(config).encode()})
    assert good(client.call("find_checkpoint", name=strange))
    assert name in good(client.call("cached_checkpoints"))
