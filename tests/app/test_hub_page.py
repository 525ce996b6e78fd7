"""Checkpoints and clips of the Hub on the Classify page: a real browser and server, and a Hub on 127.0.0.1."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import psutil
import pytest
import torch
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.app.conftest import Server, answered, choose_in, serving, tiles
from tests.app.test_benchmark import ended, measure, open_form, open_page, saved
from tests.hub_client import Client
from tests.hub_server import TOKEN, Fault, HubServer, Repository
from ui.checkpoints import REPOSITORY
from ui.clip_sources import KINETICS, OTHER
from vivit import VivitConfig, VivitForVideoClassification, VivitImageProcessor, pipeline
from vivit.hub import ASSETS, KINETICS_CHECKPOINT, KINETICS_MINI, kinetics400_labels

pytestmark = pytest.mark.browser

STORAGE = "^storage GET"
SLOW = Fault(STORAGE, pause=0.5)  # 16 kB at a time
CLIP = "val/golf_driving/-abc_000001.mp4"
TRUTH = "golf driving"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint whose 400 classes have no names, as is so in some repositories."""
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    config = VivitConfig(
        image_size=32,
        num_frames=4,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        num_labels=400,
    )
    VivitForVideoClassification(config).save_pretrained(folder)
    VivitImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, do_normalize=False
    ).save_pretrained(folder)
    return folder


def repository(folder: Path, **options: object) -> Repository:
    return Repository({file.name: file.read_bytes() for file in folder.iterdir()}, **options)  # type: ignore[arg-type]


def fill(hub: HubServer, checkpoint: Path) -> None:
    hub.models[KINETICS_CHECKPOINT] = repository(checkpoint, card={"license": "mit"})
    hub.models["tiny/secret"] = repository(checkpoint, private=True)
    hub.models["tiny/bert"] = Repository({"config.json": b'{"model_type": "bert"}', "model.safetensors": b"x"})
    golf, yawn = ((ASSETS / "clips" / f"{name}.mp4").read_bytes() for name in ("golf_driving", "yawning"))
    # What follows the last box of an MP4 is ignored: the clips play alike, but each has a name of its own in the cache.
    clips = {f"train/yawning/{k}.mp4": yawn + bytes([k]) for k in range(11)}
    hub.datasets[KINETICS_MINI] = Repository({CLIP: golf, "val/golf_driving/-def_000002.mp4": golf + b"2", **clips})


@pytest.fixture(scope="module")
def hub(checkpoint: Path) -> Iterator[HubServer]:
    hub = HubServer()
    fill(hub, checkpoint)
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def online(hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose Hub is `hub`, with a token that nobody may see: it is not in the log either."""
    folder = tmp_path_factory.mktemp("online")
    environment = {"HF_ENDPOINT": hub.address(), "HF_HOME": str(folder / "home"), "HF_TOKEN": TOKEN}
    with serving(folder / "log", HF_HUB_OFFLINE="0", **environment) as server:
        yield server
    assert TOKEN not in server.log.read_text()


@pytest.fixture
def page(context: BrowserContext, hub: HubServer) -> Iterator[Page]:
    page = context.new_page()
    page.set_viewport_size({"width": 1440, "height": 1500})
    yield page
    hub.faults = []


def go(page: Page, server: Server, **query: str) -> None:
    page.goto(f"{server.url}/?{urlencode(query)}")


def choose(page: Page, label: str, option: str) -> None:
    choose_in(page, page.get_by_role("combobox", name=label), option)


def tile(page: Page, number: int) -> Locator:
    return tiles(page).nth(number)


def download(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile(r"^Download \d"))


def rank_of(label: str, checkpoint: Path, clip: Path) -> int:
    labels = [p["label"] for p in pipeline("video-classification", str(checkpoint))(clip, top_k=400)]
    assert set(labels) == set(kinetics400_labels())
    return labels.index(label) + 1


def test_the_default_path_makes_no_request(page: Page, online: Server, hub: HubServer) -> None:
    asked = len(hub.requests)
    go(page, online)
    answered(page)
    expect(page.locator(".st-key-answer").get_by_text("Right")).to_be_visible()  # a bundled clip has its truth, too
    assert len(hub.requests) == asked
    server = psutil.Process(online.process.pid)
    open_now = [c for p in [server, *server.children(recursive=True)] for c in p.net_connections() if c.raddr]
    assert {c.raddr.ip for c in open_now} <= {"127.0.0.1"}


def test_from_the_first_look_to_an_answer_with_its_truth(
    page: Page, online: Server, hub: HubServer, checkpoint: Path, context: BrowserContext
) -> None:
    go(page, online, source=KINETICS)
    choose(page, "Checkpoint", KINETICS_CHECKPOINT)
    known = page.get_by_text(re.compile(r"commit \w{8}\s*: 400 classes, 0\.\d MB in safetensors; licence: mit"))
    expect(known).to_be_visible()
    hub.faults = [SLOW]
    download(page).click()
    arriving = page.get_by_text(
        re.compile(rf"Downloading {KINETICS_CHECKPOINT}: 0\.\d of 0\.\d MB, 0\.\d MB/s, \d+ s left")
    )
    expect(arriving).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("What has arrived is kept")).to_be_visible()
    hub.faults = []
    hub.requests.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("What has arrived is kept")).to_have_count(0)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    [request] = hub.seen(STORAGE)
    weights = hub.models[KINETICS_CHECKPOINT].files["model.safetensors"]
    assert 0 < sum(request.sent) < len(weights), "it went on where it had stopped"

    expect(page.get_by_text("Pick a clip: it is downloaded once.")).to_be_visible()
    choose(page, "Split", "val")
    expect(page.get_by_text(re.compile(r"^0\.1 MB$"))).to_have_count(2)  # in the place of pictures
    crawling = Fault(STORAGE, pause=5.0)  # a clip is 6 such pieces: long enough to see what is said meanwhile
    hub.faults = [crawling]
    tile(page, 0).click()
    expect(page.get_by_text(re.compile(r"Downloading -abc_000001\.mp4: 0\.\d of 0\.1 MB"))).to_be_visible()
    crawling.pause = 0.0
    answered(page)
    expect(page.get_by_text(re.compile(r"^0\.1 MB$"))).to_have_count(1)
    picture = tile(page, 0).locator("img")
    assert picture.evaluate("i => i.naturalWidth / i.naturalHeight") == pytest.approx(4 / 3)

    rank = rank_of(TRUTH, checkpoint, ASSETS / "clips" / "golf_driving.mp4")
    assert rank > 1
    expect(page.get_by_text(f"Not right: the clip shows '{TRUTH}', which comes at rank {rank}.")).to_be_visible()
    page.get_by_text("Reproduce").click()
    commit = next(iter(hub.models[KINETICS_CHECKPOINT].commits))
    expect(page.get_by_text(f"--model {KINETICS_CHECKPOINT} --revision {commit}")).to_be_visible()
    with page.expect_download() as file:
        page.get_by_role("button", name="Runs as JSON").click()
    run = json.loads(Path(file.value.path()).read_text())["runs"][-1]
    assert (run["settings"]["checkpoint"], run["settings"]["revision"]) == (KINETICS_CHECKPOINT, commit)
    assert (run["result"]["truth"], run["result"]["truth_rank"], run["clip"]) == ("golf_driving", rank, CLIP)

    asked = len(hub.seen(STORAGE))
    stranger = context.new_page()
    stranger.goto(page.url)
    answered(stranger)
    expect(stranger.get_by_text(f"comes at rank {rank}.")).to_be_visible()
    assert len(hub.seen(STORAGE)) == asked, "nothing is downloaded twice"


def test_a_link_to_a_clip_downloads_nothing_unasked(page: Page, online: Server, hub: HubServer) -> None:
    asked = len(hub.seen(STORAGE))
    go(page, online, source=KINETICS, file="train/yawning/10.mp4", split="train")
    expect(page.get_by_role("button", name="Download this clip, 0.1 MB")).to_be_visible()
    expect(page.get_by_role("button", name="next page")).to_be_visible()  # 11 clips are more than a page of them
    assert len(hub.seen(STORAGE)) == asked
    go(page, online, source=KINETICS, file="train/no.mp4")
    expect(page.get_by_text(f"'{KINETICS_MINI}' has no clip 'train/no.mp4'. Pick another.")).to_be_visible()


@pytest.mark.full
def test_a_wrong_name_is_a_sentence_and_the_rest_goes_on(page: Page, online: Server) -> None:
    wrong = {
        ("![x](http://127.0.0.1:1/x.png)", ""): "A Hub repository is written owner/name",
        ("tiny/none", ""): "There is no public repository 'tiny/none' on the Hub.",
        # A folder of this name lies beside the server.
        ("mannequin/single_frame", ""): "There is no public repository 'mannequin/single_frame' on the Hub.",
        ("tiny/bert", ""): "'tiny/bert' is a 'bert' model, not a ViViT.",
        (KINETICS_CHECKPOINT, "v9"): f"'{KINETICS_CHECKPOINT}' has no such revision.",
    }
    for (name, revision), sentence in wrong.items():
        go(page, online, checkpoint=REPOSITORY, repository=name, revision=revision)
        expect(page.get_by_role("alert").filter(has_text=sentence)).to_be_visible()
        expect(page.get_by_text("The answer will stand here once the checkpoint is on this machine.")).to_be_visible()
    page.get_by_role("radio", name=OTHER).click()
    page.get_by_role("textbox", name="Dataset repository").fill("tiny/none")
    page.get_by_role("textbox", name="Dataset repository").press("Enter")
    expect(page.get_by_role("alert").filter(has_text="There is no public repository 'tiny/none'")).to_be_visible()
    page.get_by_role("radio", name="Bundled").click()
    choose(page, "Checkpoint", "vivit-mannequin")
    expect(page.get_by_text(re.compile(r"frames over \d"))).to_be_visible()


def test_a_private_repository_through_a_token_that_nobody_sees(page: Page, online: Server) -> None:
    go(page, online, checkpoint=REPOSITORY, repository="tiny/secret")
    expect(download(page)).to_be_visible()
    assert TOKEN not in page.content()


@pytest.mark.full
def test_a_slow_hub_holds_nobody(page: Page, online: Server, hub: HubServer) -> None:
    hub.faults = [Fault("/api/models/", pause=0.2)]
    go(page, online, checkpoint=KINETICS_CHECKPOINT)
    expect(page.get_by_text(f"Looking at {KINETICS_CHECKPOINT}")).to_be_visible()
    choose(page, "Checkpoint", "vivit-mannequin")
    answered(page)  # or the next Cancel could be that of the classification
    choose(page, "Checkpoint", KINETICS_CHECKPOINT)
    expect(page.get_by_text(f"Looking at {KINETICS_CHECKPOINT}")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text(f"Looking at {KINETICS_CHECKPOINT}: cancelled.")).to_be_visible()


@pytest.mark.full
def test_without_a_hub_what_is_here_still_works(
    context: BrowserContext, checkpoint: Path, tmp_path: Path, server: Server
) -> None:
    hub = HubServer()
    fill(hub, checkpoint)
    environment = {"HF_ENDPOINT": hub.address(), "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    with serving(tmp_path / "log", **environment) as away:
        # Another program of the visitor's has filled the cache.
        client = Client(**environment)
        assert "error" not in client.call("download", name=KINETICS_CHECKPOINT)
        assert "error" not in client.call("download_clip", dataset=KINETICS_MINI, file=CLIP)
        client.close()
        hub.stop()
        page = context.new_page()
        page.set_viewport_size({"width": 1440, "height": 1500})
        go(page, away, source=KINETICS, checkpoint=KINETICS_CHECKPOINT)
        expect(page.get_by_text("Only the clips on this machine are shown.")).to_be_visible()
        expect(page.get_by_text("The copy on this machine is used.")).to_be_visible()
        tile(page, 0).click()
        answered(page)
        expect(page.get_by_text(f"the clip shows '{TRUTH}'")).to_be_visible()
        choose(page, "Checkpoint", REPOSITORY)
        page.get_by_role("combobox", name="Repository").click()
        expect(page.get_by_role("option", name=KINETICS_CHECKPOINT)).to_be_visible()
        page.get_by_role("combobox", name="Repository").fill("tiny/secret")
        page.get_by_role("combobox", name="Repository").press("Enter")
        expect(page.get_by_text("cannot be reached. Check the network, then try again.").last).to_be_visible()
        here = (
            f"On this machine, whatever the network does: vivit-mannequin, vivit-mannequin-fe, {KINETICS_CHECKPOINT}."
        )
        expect(page.get_by_text(here)).to_be_visible()
        open_page(page, away)
        open_form(page)
        choose(page, "Checkpoint", KINETICS_CHECKPOINT)
        measure(page)
        ended(page)
        rows = list(csv.DictReader(saved(page, "CSV").splitlines()))
        commit = next(iter(hub.models[KINETICS_CHECKPOINT].commits))
        assert {row["model"] for row in rows} == {f"{KINETICS_CHECKPOINT}@{commit}"}
        assert all((row["status"], row["same top 1"]) == ("ok", "True") for row in rows) and len(rows) == 2
        page.goto("about:blank")
    # This server has HF_HUB_OFFLINE=1, and says so.
    go(page, server, checkpoint=REPOSITORY, repository="tiny/none", source=OTHER, dataset="tiny/none")
    expect(page.get_by_text("HF_HUB_OFFLINE is set: nothing is asked of the Hub")).to_have_count(2)
    expect(page.get_by_text("'tiny/none' is not on this machine, and HF_HUB_OFFLINE is set.")).to_have_count(2)


def test_a_repository_whose_processor_is_of_another_class_is_refused_by_name(
    page: Page, online: Server, hub: HubServer, checkpoint: Path
) -> None:
    content = {file.name: file.read_bytes() for file in checkpoint.iterdir() if file.name != "preprocessor_config.json"}
    stated = b'{"video_processor": {"video_processor_type": "LlavaOnevisionVideoProcessor"}}'
    hub.models["tiny/other-pixels"] = Repository(content | {"processor_config.json": stated})
    go(page, online, checkpoint=REPOSITORY, repository="tiny/other-pixels")
    download(page).click()
    alert = page.get_by_role("alert").filter(has_text="tiny/other-pixels")
    expect(alert).to_contain_text("'LlavaOnevisionVideoProcessor'")
    expect(alert).to_contain_text("processor_config.json")


def test_a_path_in_the_place_of_a_repository_is_answered_as_one(page: Page, online: Server, hub: HubServer) -> None:
    asked = len(hub.requests)
    go(page, online, checkpoint=REPOSITORY, repository="runs/checkpoint-900")
    expect(page.get_by_role("alert").filter(has_text="'runs/checkpoint-900' is a path")).to_be_visible()
    assert len(hub.requests) == asked
