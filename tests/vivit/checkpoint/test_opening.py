"""vivit.checkpoint.open_checkpoint: a name once, and everything that follows from it."""

import json
from pathlib import Path

import pytest
import torch

from tests import oracle
from tests.unusable import UNUSABLE
from vivit import VivitConfig, VivitForVideoClassification, VivitImageProcessor, pipeline
from vivit.checkpoint import RANDOM, open_checkpoint
from vivit.errors import UserError
from vivit.hub import ASSETS, HubError, split_name

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a checkpoint that lies in the Hub's cache, whole but for a processor."""
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    folder = cache / "models--tiny--cached" / "snapshots" / COMMIT
    oracle.save(folder)
    (folder / "preprocessor_config.json").unlink()
    (cache / "models--tiny--cached" / "refs").mkdir()
    (cache / "models--tiny--cached" / "refs" / "main").write_text(COMMIT)
    return "tiny/cached"


def test_an_embedded_checkpoint() -> None:
    found = open_checkpoint("vivit-mannequin")
    assert (found.name, found.folder, found.trained) == ("vivit-mannequin", ASSETS / "vivit-mannequin", True)
    assert found.config == VivitConfig.from_pretrained("vivit-mannequin") and found.labels == found.config.id2label
    assert found.processor == VivitImageProcessor.from_pretrained("vivit-mannequin")
    assert found.familiarity() is not None and found.written_ns > 0


def test_a_folder_goes_on_meaning_the_same_wherever_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = oracle.save(tmp_path / "runs" / "last@best")
    monkeypatch.chdir(tmp_path / "runs")
    found = open_checkpoint("last@best")
    monkeypatch.chdir("/")
    again = open_checkpoint(found.name, here=True)
    assert again.name == found.name == str(tmp_path / "runs" / "last@best") and again.familiarity() is None
    pixels = oracle.clip(theirs.config)
    with torch.inference_mode():
        ours = again.load(VivitForVideoClassification, attn_implementation="eager")(pixels).logits
        torch.testing.assert_close(ours, theirs(pixels).logits, rtol=1e-5, atol=1e-5)


def test_here_a_relative_name_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle.save(tmp_path / "owner" / "name")
    monkeypatch.chdir(tmp_path)
    assert open_checkpoint("owner/name").folder == Path("owner/name")
    for name in ("owner/name", "owner/name@main", "./owner", "owner"):
        with pytest.raises(HubError):
            open_checkpoint(name, here=True)


def test_here_nothing_is_asked_of_the_hub(cached: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the Hub was asked")

    monkeypatch.setattr("vivit.hub.checkpoints.ask", refuse)
    for name in (cached, f"{cached}@main", f"{cached}@{COMMIT}"):
        found = open_checkpoint(name, here=True)
        assert found.name == f"{cached}@{COMMIT}" and found.processor.output_size == (24, 20)
    with pytest.raises(HubError, match="not on this machine"):
        open_checkpoint("tiny/absent", here=True)
    with pytest.raises(AssertionError, match="was asked"):
        open_checkpoint(f"{cached}@{COMMIT}")  # elsewhere it is asked whether there is a processor


def test_who_changes_the_config_of_random_weights_changes_it_for_nobody_else() -> None:
    open_checkpoint(RANDOM).config.num_frames = 16
    assert open_checkpoint(RANDOM).config.num_frames == 32


def test_a_folder_without_a_config_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(HubError, match=r"config\.json of .* is missing"):
        VivitConfig.from_folder(tmp_path)


def test_random_weights_are_a_checkpoint_without_a_folder() -> None:
    found = open_checkpoint(RANDOM, here=True)
    assert (found.name, found.folder, found.trained, found.familiarity(), found.written_ns) == (
        RANDOM,
        None,
        False,
        None,
        0,
    )
    assert found.config == VivitConfig(num_labels=400) and found.processor == VivitImageProcessor()


def test_a_damaged_processor_matters_only_to_whoever_has_frames(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{")
    found = open_checkpoint(tmp_path)
    assert found.load(VivitForVideoClassification).config == found.config
    with pytest.raises(HubError, match=r"preprocessor_config\.json of .* is damaged"):
        _ = found.processor


def test_what_cannot_be_opened_says_so(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {"num_attention_heads": 4}))
    with pytest.raises(ValueError, match="num_attention_heads=4"):
        open_checkpoint(tmp_path)
    with pytest.raises(HubError, match="no folder"):
        open_checkpoint(tmp_path / "absent")


@pytest.mark.parametrize("fault", UNUSABLE)
def test_whoever_opens_a_folder_that_cannot_be_used_is_told_the_same(tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "theirs"
    oracle.save(folder)
    change, words = UNUSABLE[fault]
    change(folder)
    for use in (lambda: open_checkpoint(folder).processor, lambda: pipeline("video-classification", folder)):
        with pytest.raises(UserError) as caught:
            use()
        assert all(word in str(caught.value) for word in [*words, "theirs"]), str(caught.value)


@pytest.mark.parametrize(
    ("name", "revision", "expected"),
    [
        ("owner/name", None, ("owner/name", None)),
        ("owner/name@v2", None, ("owner/name", "v2")),
        ("owner/name@v2", "v3", ("owner/name", "v3")),
        ("owner/name@refs/pr/1", None, ("owner/name", "refs/pr/1")),
        ("/data/vivit@v2", None, ("/data/vivit@v2", None)),
    ],
)
def test_a_name_and_its_revision(name: str, revision: str | None, expected: tuple[str, str | None]) -> None:
    assert split_name(name, revision) == expected


def test_a_cache_of_another_user_that_says_what_it_should_is_left_alone(
    cached: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vivit.hub.cache import cached_commit, remember_commit

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.utime", refuse)
    remember_commit(cached, "model", None, COMMIT, 4e9)
    assert cached_commit(cached, "model", None) == COMMIT
