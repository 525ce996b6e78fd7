"""Where a checkpoint is looked for and which of its files count: the options that callers of `from_pretrained` give."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hub_client import ROOT, Client, clean
from tests.hub_server import OTHER_TOKEN, TOKEN, HubServer, Repository
from tests.vivit.hub.samples import CONFIG, STORAGE, WEIGHTS, Answer, files, good, refused
from vivit.hub import HubError, HubOptions, called, find_checkpoint, locate, split_options
from vivit.hub.faults import redact

BIN = WEIGHTS[:1000]


def senders(server: HubServer) -> dict[str, set[str | None]]:
    """What each host was sent as authorisation."""
    found: dict[str, set[str | None]] = {"hub": set(), "storage": set()}
    for request in server.requests:
        if "agent-harnesses" not in request.path:  # a daily question of the client's own, about no repository
            found[request.host].add({k.lower(): v for k, v in request.headers.items()}.get("authorization"))
    return found


def find(client: Client, secret: str, **arguments: Any) -> Answer:
    """The answer of `find_checkpoint`; neither the answer nor what was logged meanwhile may tell the secret."""
    before = len(client.log())
    answer = client.call("find_checkpoint", **arguments)
    assert secret not in json.dumps(answer) and secret not in client.log()[before:]
    return answer


def names(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir() if path.is_file()}


# token


def closed_repository(how: str) -> Repository:
    return Repository(files(), private=how == "private", gated=how == "gated")


@pytest.mark.parametrize("closed", ["private", "gated"])
def test_a_token_opens_what_is_closed_and_goes_to_the_hub_alone(
    closed: str, server: HubServer, client: Client, name: str
) -> None:
    server.models[name] = closed_repository(closed)
    refused(client.call("find_checkpoint", name=name), "log in" if closed == "gated" else "no public repository")
    server.requests.clear()
    answer = find(client, TOKEN, name=name, token=TOKEN)
    assert (Path(good(answer)) / "model.safetensors").read_bytes() == WEIGHTS
    assert senders(server) == {"hub": {f"Bearer {TOKEN}"}, "storage": {None}}


def test_a_token_given_comes_before_the_one_that_is_stored(
    server: HubServer, client: Client, name: str, token: Any
) -> None:
    token(OTHER_TOKEN)
    server.models[name] = Repository(files(), private=True)
    refused(client.call("find_checkpoint", name=name), "no public repository")
    server.requests.clear()
    good(client.call("find_checkpoint", name=name, token=TOKEN))
    assert senders(server)["hub"] == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(("given", "sent"), [(None, f"Bearer {TOKEN}"), (True, f"Bearer {TOKEN}"), (False, None)])
def test_the_stored_token_is_sent_unless_none_is_wanted(
    given: bool | None, sent: str | None, server: HubServer, client: Client, name: str, token: Any
) -> None:
    token(TOKEN)
    server.models[name] = Repository(files())
    good(client.call("find_checkpoint", name=name, token=given))
    assert senders(server) == {"hub": {sent}, "storage": {None}}


def test_a_stored_token_that_is_wanted_and_not_there_is_told(server: HubServer, client: Client, name: str) -> None:
    server.models[name] = Repository(files())
    refused(client.call("find_checkpoint", name=name, token=True), "token=True", "hf auth login")
    assert not server.seen(name)


@pytest.mark.parametrize("wrong", [OTHER_TOKEN, "hf_MistypedByTheVisitor"])
@pytest.mark.parametrize("closed", ["private", "gated"])
def test_a_token_that_opens_nothing_is_never_told(
    wrong: str, closed: str, server: HubServer, client: Client, name: str
) -> None:
    server.models[name] = closed_repository(closed)
    refused(find(client, wrong, name=name, token=wrong))


@pytest.mark.parametrize("bad", ["hf_Two\nLines", "hf_Two words", "hf_é", "", " ", 3, ["hf_InAList"]], ids=repr)
def test_what_can_be_no_token_is_refused_without_being_told(bad: Any, client: Client, name: str) -> None:
    answer = find(client, "hf_", name=name, token=bad)
    assert answer["class"] == "ValueError" and answer["error"].startswith("token must be")


def test_the_new_line_at_the_end_of_a_file_is_no_part_of_a_token() -> None:
    assert HubOptions(token=f"{TOKEN}\n").token == TOKEN


def test_no_description_of_anything_has_the_token(tmp_path: Path) -> None:
    from vivit.checkpoint import open_checkpoint
    from vivit.hub.cache import HubFile

    options = HubOptions(token=TOKEN, revision="main")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    opened = open_checkpoint(tmp_path, token=TOKEN)
    assert opened.options.token == TOKEN
    for described in (options, HubFile("a/b", "model", "0" * 40, "x", 1, "0" * 40, token=TOKEN), opened):
        assert TOKEN not in repr(described) and TOKEN not in str(described)
    assert TOKEN not in redact(ValueError(f"Illegal header value b'Bearer {TOKEN}'"))


# cache_dir


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_a_cache_of_ones_own_holds_all_of_it(
    server: HubServer, client: Client, name: str, home: Path, tmp_path: Path
) -> None:
    server.models[name] = Repository(files())
    usual, own = home / "hub", tmp_path / "own"
    before = everything(usual)
    folder = good(client.call("find_checkpoint", name=name, cache_dir=str(own)))
    assert Path(folder).is_relative_to(own) and names(folder) >= {"config.json", "model.safetensors"}
    assert all(Path(folder, n).resolve().is_relative_to(own.resolve()) for n in names(folder))
    assert everything(usual) == before
    commit = Path(folder).name
    server.requests.clear()
    assert good(client.call("find_checkpoint", name=f"{name}@{commit}", cache_dir=str(own))) == folder
    assert not server.requests, "which processors it lacks is noted there too"
    other = good(client.call("find_checkpoint", name=name))
    assert Path(other).is_relative_to(usual) and server.sent(STORAGE) == len(WEIGHTS), "neither knows of the other"


def test_a_cache_of_ones_own_is_found_by_the_hubs_client(
    server: HubServer, client: Client, name: str, tmp_path: Path
) -> None:
    server.models[name] = Repository(files())
    folder = good(client.call("find_checkpoint", name=name, cache_dir=str(tmp_path)))
    code = (
        "import sys; from huggingface_hub import snapshot_download as s; print(s(sys.argv[1], cache_dir=sys.argv[2]))"
    )
    told = subprocess.check_output(
        [sys.executable, "-c", code, name, str(tmp_path)], text=True, env=clean(HF_HUB_OFFLINE="1")
    )
    assert told.strip() == folder


# local_files_only


def test_files_of_this_machine_alone_ask_nobody(server: HubServer, client: Client, name: str, tmp_path: Path) -> None:
    server.models[name] = Repository(files())
    own: dict[str, Any] = {"cache_dir": str(tmp_path)}
    folder = good(client.call("find_checkpoint", name=name, **own))
    server.models[name].commit(files(id2label={"0": "newer"}))
    server.requests.clear()
    assert good(client.call("find_checkpoint", name=name, local_files_only=True, **own)) == folder
    refused(client.call("find_checkpoint", name=name, local_files_only=True), "not on this machine", "local_files_only")
    (Path(folder) / "model.safetensors").unlink()
    refused(client.call("find_checkpoint", name=name, local_files_only=True, **own), "not all of it")
    assert good(client.call("find_checkpoint", name=name, weights=False, local_files_only=True, **own)) == folder
    assert not server.requests


# subfolder


def nested() -> dict[str, bytes]:
    """A checkpoint at the root, and another in a folder of a folder."""
    inside = files({"model.safetensors": BIN}, id2label={"0": "inside"})
    return files() | {f"last/best/{name}": content for name, content in inside.items()}


def test_a_subfolder_is_fetched_alone(server: HubServer, client: Client, name: str) -> None:
    repository = server.models[name] = Repository(nested())
    folder = Path(good(client.call("find_checkpoint", name=name, subfolder="last/best")))
    root = folder.parents[1]
    assert folder == root / "last" / "best" and root.name == repository.references["main"]
    assert names(str(folder)) == {"config.json", "preprocessor_config.json", "model.safetensors"}
    assert (folder / "model.safetensors").read_bytes() == BIN and not names(str(root))
    server.requests.clear()
    for option in ({"local_files_only": True}, {"revision": root.name}):
        assert good(client.call("find_checkpoint", name=name, subfolder="last/best", **option)) == str(folder)
    refused(client.call("find_checkpoint", name=name, local_files_only=True), "not on this machine")
    assert not server.requests
    refused(client.call("find_checkpoint", name=name, subfolder="last"), f"'{name}' in 'last' has no config.json")
    refused(client.call("find_checkpoint", name=name, subfolder="last/be"), "in 'last/be' has no config.json")
    assert called(folder) == called(root) == name, "a sentence about it names the repository"


@pytest.mark.parametrize("written", ["last/best/", "./last/best", "last//best", "last/./best"])
def test_a_subfolder_may_be_written_loosely(written: str, tmp_path: Path) -> None:
    (tmp_path / "last" / "best").mkdir(parents=True)
    (tmp_path / "last" / "best" / "config.json").write_text(json.dumps(CONFIG))
    assert find_checkpoint(tmp_path, subfolder=written) == tmp_path / "last" / "best"
    assert locate(tmp_path, HubOptions(subfolder=written))[0] == str(tmp_path / "last" / "best")
    with pytest.raises(HubError, match=r"'last' has no config\.json"):
        find_checkpoint(tmp_path, subfolder="last")


# use_safetensors and variant


@pytest.mark.parametrize(
    ("only", "wanted"), [(None, "model.safetensors"), (True, "model.safetensors"), (False, "pytorch_model.bin")]
)
def test_which_of_two_formats(only: bool | None, wanted: str, server: HubServer, client: Client, name: str) -> None:
    server.models[name] = Repository(files({"model.safetensors": WEIGHTS, "pytorch_model.bin": BIN}))
    folder = good(client.call("find_checkpoint", name=name, use_safetensors=only))
    assert names(folder) == {"config.json", "preprocessor_config.json", wanted}


@pytest.mark.parametrize(
    ("there", "only", "lacks"),
    [("pytorch_model.bin", True, "model.safetensors"), ("model.safetensors", False, "pytorch_model.bin")],
    ids=["only bin", "no bin"],
)
def test_a_format_that_is_wanted_and_not_there_is_told(
    there: str, only: bool, lacks: str, server: HubServer, client: Client, name: str
) -> None:
    server.models[name] = Repository(files({there: BIN}))
    refused(client.call("find_checkpoint", name=name, use_safetensors=only), f"has no {lacks}.")
    assert not server.seen(STORAGE)
    good(client.call("find_checkpoint", name=name))
    refused(client.call("find_checkpoint", name=name, use_safetensors=only, local_files_only=True), "not all of it")


SHARDS = {
    "the whole": {"model.fp16.safetensors": BIN},
    "shards of transformers": {
        "model.safetensors.index.fp16.json": b"{}",
        "model.fp16-00001-of-00002.safetensors": BIN,
        "model.fp16-00002-of-00002.safetensors": BIN[::-1],
    },
    "older shards": {
        "model.safetensors.index.fp16.json": b"{}",
        "model-00001-of-00002.fp16.safetensors": BIN,
        "model-00002-of-00002.fp16.safetensors": BIN[::-1],
    },
    "a bin": {"pytorch_model.fp16.bin": BIN},
}


@pytest.mark.parametrize("kind", SHARDS)
def test_a_variant_is_fetched_alone(kind: str, server: HubServer, client: Client, name: str) -> None:
    others = {"model.safetensors": WEIGHTS, "modelXfp16-00001-of-00001.safetensors": BIN}
    server.models[name] = Repository(files(others | SHARDS[kind]))
    folder = good(client.call("find_checkpoint", name=name, variant="fp16"))
    assert names(folder) == {"config.json", "preprocessor_config.json", *SHARDS[kind]}
    server.requests.clear()
    assert good(client.call("find_checkpoint", name=name, variant="fp16", local_files_only=True)) == folder
    refused(client.call("find_checkpoint", name=name, local_files_only=True), "not all of it")
    assert not server.requests
    assert "model.safetensors" in names(good(client.call("find_checkpoint", name=name)))


def test_a_variant_that_is_not_there_is_never_replaced(server: HubServer, client: Client, name: str) -> None:
    server.models[name] = Repository(files({"model.safetensors": WEIGHTS, **SHARDS["the whole"]}))
    words = ("no model.bf16.safetensors", "no pytorch_model.bf16.bin")
    refused(client.call("find_checkpoint", name=name, variant="bf16"), *words)
    half = {k: v for k, v in SHARDS["shards of transformers"].items() if "00002-of" not in k}
    server.models[f"{name}-half"] = Repository(files(half))
    refused(client.call("find_checkpoint", name=f"{name}-half", variant="fp16"), "no model.fp16.safetensors")
    assert not server.seen(STORAGE)


# What can be none of these


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("subfolder", ["..", "../x", "a/../../x", "a/..", "/etc", "//etc", r"a\..\x", "a\0b", 3, ["a"], False]),
        ("variant", ["", "..", "../x", "a/b", "/etc", "a.b", "fp16\n", ".fp16", r"a\b", "*", 3, True]),
        ("revision", [3, True, b"main"]),
        ("cache_dir", [3, True, b"x", ["x"]]),
        ("local_files_only", ["yes", None, 2]),
        ("use_safetensors", ["yes", 2]),
    ],
)
def test_impossible_options_are_named(option: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=f"^{option} must"):
            HubOptions(**{option: value})


@pytest.mark.parametrize("revision", ["../../x", "a/../../x", ".."])
def test_a_revision_stays_in_its_folder(revision: str, server: HubServer, client: Client, name: str) -> None:
    refused(client.call("find_checkpoint", name=name, revision=revision), "is not a revision")
    assert not server.seen(name)


def test_a_repositorys_name_cannot_leave_the_cache(client: Client, server: HubServer, tmp_path: Path) -> None:
    for name in ("../x", "a/../../x", "..", "a/.."):
        answer = client.call("find_checkpoint", name=name, cache_dir=str(tmp_path / "own"))
        assert answer["class"] == "HubError"
    assert not server.requests and not everything(tmp_path)


def test_options_are_told_from_others() -> None:
    options, others = split_options({"revision": "v2", "num_labels": 3, "token": False})
    assert options == HubOptions(revision="v2", token=False) and others == {"num_labels": 3}


# All of them together, through the model


WHOLE = """
import sys, warnings
import torch
from vivit import AutoConfig, AutoImageProcessor, AutoVideoProcessor, VivitForVideoClassification
name, token, cache = sys.argv[1:]
where = dict(revision="v2", token=token, cache_dir=cache, subfolder="last/best")
with warnings.catch_warnings():
    warnings.simplefilter("error")
    model, info = VivitForVideoClassification.from_pretrained(
        name, variant="fp16", use_safetensors=True, dtype="auto", device_map="cpu", low_cpu_mem_usage=True,
        output_loading_info=True, **where)
assert not any(info.values()), info
assert model.dtype == torch.float16 and model.config.num_labels == 7
for kind in (AutoImageProcessor, AutoVideoProcessor):
    assert kind.from_pretrained(name, do_normalize=False, local_files_only=True, **where).output_size == (24, 20)
config = AutoConfig.from_pretrained(name, num_labels=3, local_files_only=True, **where)
assert config.num_labels == 3 and config.num_frames == 8
model.float().save_pretrained(sys.argv[3] + "/again")
"""


def test_every_option_at_once_through_the_model(server: HubServer, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from tests import oracle

    theirs = oracle.save(tmp_path / "source")
    (tmp_path / "source" / "model.safetensors").unlink()
    theirs.half().save_pretrained(tmp_path / "source", variant="fp16")
    inside = {f"last/best/{f.name}": f.read_bytes() for f in (tmp_path / "source").iterdir()}
    repository = server.models["tiny/every-option"] = Repository(files(), private=True)
    repository.commit(inside, "v2")
    cache, home = tmp_path / "cache", tmp_path / "home"
    run = subprocess.run(
        [sys.executable, "-c", WHOLE, "tiny/every-option", TOKEN, str(cache)],
        text=True,
        capture_output=True,
        env=clean(HF_HOME=str(home), HF_ENDPOINT=server.address()),
        cwd=ROOT,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert not (home / "hub").exists() and TOKEN not in run.stdout + run.stderr
    assert senders(server) == {"hub": {f"Bearer {TOKEN}"}, "storage": {None}}
    assert len(server.seen(r"/api/models/tiny/every-option/revision")) == 1
    written = load_file(cache / "again" / "model.safetensors")
    for name, tensor in load_file(tmp_path / "source" / "model.fp16.safetensors").items():
        assert torch.equal(written[name], tensor.float()), name
