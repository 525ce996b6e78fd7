"""Where labelled clips are found, in which order, and what is said of what cannot be used."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vivit.errors import UserError
from vivit.evaluate.sources import CHECKOUT, CHOSEN, find_clips
from vivit.hub import ASSETS, Clip, ClipList


def folder_of(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"clip")
    return root


def test_a_folder_of_class_folders_is_read_at_any_depth_one_of_each_class_in_turn(tmp_path: Path) -> None:
    elsewhere, tmp_path = folder_of(tmp_path / "elsewhere", "7.mp4"), tmp_path / "clips"
    folder_of(tmp_path, "val/b/1.mp4", "val/b/2.MKV", "train/a/3.webm", "train/a/x/c/4.avi", "val/b/0.mp4", "a/9.mp4")
    folder_of(tmp_path, "loose.mp4", "a/notes.txt", "a/.hidden.mp4", ".cache/a/5.mp4")
    (tmp_path / "val" / "back").symlink_to(tmp_path)
    (tmp_path / "val" / "d").symlink_to(elsewhere)
    found = find_clips(str(tmp_path))
    expected = [("a/9.mp4", "a"), ("train/a/x/c/4.avi", "c"), ("val/b/0.mp4", "b"), ("val/d/7.mp4", "d")]
    expected += [("train/a/3.webm", "a"), ("val/b/1.mp4", "b"), ("val/b/2.MKV", "b")]
    assert list(found.clips) == expected
    assert found.notices == ("1 clip in no class folder is left out.",)
    assert found.place(found.clips[0][0]) == str(tmp_path / "a" / "9.mp4")
    assert find_clips(str(tmp_path), 4).clips == found.clips[:4]
    assert os.path.exists(found.place("val/b/2.MKV"))


LISTS = {
    "header": "label,extra,path\nwave,1,a.mp4\njump,2,sub/b.mp4\n",
    "no header": "a.mp4,wave\nsub/b.mp4,jump\n",
    "semicolons": "Video;Class\na.mp4;wave\nsub/b.mp4;jump\n",
    "tabs": "a.mp4\twave\nsub/b.mp4\tjump\n",
    "spaces": "a.mp4 wave\nsub/b.mp4 jump\n",
    "quotes, a mark and blank lines": '\ufeff"path","label"\r\n"a.mp4","wave"\r\n\r\n"sub/b.mp4","jump"\r\n',
}


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_a_list_is_read_however_it_is_separated(tmp_path: Path, text: str) -> None:
    (tmp_path / "clips.csv").write_text(text, encoding="utf-8")
    found = find_clips(str(tmp_path / "clips.csv"))
    assert found.clips == (("a.mp4", "wave"), ("sub/b.mp4", "jump")) and not found.notices
    assert found.place("sub/b.mp4") == str(tmp_path / "sub" / "b.mp4")


def test_paths_with_spaces_whole_paths_and_clips_named_twice(tmp_path: Path) -> None:
    list_ = tmp_path / "k.txt"
    list_.write_text(
        f"my clip.mp4 riding a bike\n/elsewhere/b.mp4 7\n./my clip.mp4 riding a bike\n{tmp_path}/c.mp4 7\n"
    )
    found = find_clips(str(list_))
    assert found.clips == (("my clip.mp4", "riding a bike"), ("/elsewhere/b.mp4", "7"), ("c.mp4", "7"))
    assert found.place("/elsewhere/b.mp4") == "/elsewhere/b.mp4"
    assert found.notices == ("1 line names a clip that 'k.txt' has named before; each clip counts once.",)


def written(name: str, content: bytes) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / name).write_bytes(content)
        return str(folder / name)

    return write


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (str, "There are no clips in"),
        (lambda folder: str(folder_of(folder, "a.mp4", "b.mp4")), "The 2 clips of .* lie in no class folder"),
        (lambda folder: f"{folder}/none.csv", "cannot be read .No such file"),
        (lambda folder: f"{folder}/none", "is no source .* can be found. Give a folder"),
        (written("x.csv", b"\xff\xfe\x00"), "no text in UTF-8"),
        (written("x.csv", b"\n \n"), "is empty"),
        (
            written("x.csv", b"label,youtube_id,time_start\nwave,abc,1\n"),
            "needs a column of paths .* 'label, youtube_id",
        ),
        (written("x.csv", b"a.mp4,wave,1\nb.mp4,jump,2\n"), "needs a column of paths"),
        (written("x.csv", b"path,label\na.mp4,wave\nb.mp4\nc.mp4,\n"), "2 of 3 lines .* are not a path and a label"),
        (written("x.txt", b"a.mp4 wave\nb.mp4\n"), "1 of 2 lines"),
        (written("x.csv", b'path,label\n"a.mp4,wave\n'), "no CSV that can be read"),
        (written("x.csv", b"a.mp4,wave\n./a.mp4,jump\n"), "says twice what .* 'wave' and 'jump'"),
        (lambda _: "renders:many", "renders:N:SEED"),
        (lambda _: "renders:0", "renders:N:SEED"),
        (lambda _: "what is this", "is no source"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(tmp_path: Path, source: Callable[[Path], str], said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        find_clips(source(tmp_path))
    assert "\n" not in str(refused.value)


def test_a_limit_of_none_is_refused() -> None:
    with pytest.raises(UserError, match="limit of 0"):
        find_clips("bundled", 0)


def test_bundled_clips_are_those_of_the_list() -> None:
    listed = json.loads((ASSETS / "clips" / "clips.json").read_text())
    found = find_clips("bundled")
    assert found.clips == tuple((clip["file"], clip["label"]) for clip in listed)
    assert all(Path(found.place(path)).is_file() for path, _ in found.clips)
    assert found.notices == (CHOSEN,)


def test_a_datasets_clips_are_those_of_a_split_or_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the Hub itself answers is tested in `tests/vivit/hub`, and with the command."""
    files = ("loose.mp4", "train/a/1.mp4", "val/a/1.mp4", "val/a/2.mp4", "val/b/1.mp4")
    clips = tuple(Clip(f.split("/")[0] if "/" in f else "", "/".join(f.split("/")[1:-1]), f, 9) for f in files)

    def list_clips(dataset: str, progress: object) -> ClipList:
        return ClipList(dataset, "c0ffee", clips, "/cache/c0ffee", notices=("Only some.",))

    monkeypatch.setattr("vivit.evaluate.sources.list_clips", list_clips)
    found = find_clips("kinetics-mini:val")
    assert found.clips == (("val/a/1.mp4", "a"), ("val/b/1.mp4", "b"), ("val/a/2.mp4", "a"))
    assert (found.name, found.dataset, found.commit) == ("kinetics-mini:val", "nateraw/kinetics-mini", "c0ffee")
    assert found.place("val/b/1.mp4") == "/cache/c0ffee/val/b/1.mp4" and found.notices == ("Only some.",)
    found = find_clips("some-one/clips")
    assert len(found.clips) == 4 and found.dataset == "some-one/clips"
    assert found.notices == ("Only some.", "1 clip in no class folder is left out.")
    with pytest.raises(UserError, match="no split 'test': there are train, val"):
        find_clips("some-one/clips:test")
    clips = clips[:1]
    with pytest.raises(UserError, match="lie in no class folder"):
        find_clips("some-one/clips")


def test_without_the_renderer_a_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (CHECKOUT / "mannequin" / "renders.py").is_file()
    monkeypatch.setattr("vivit.evaluate.sources.CHECKOUT", tmp_path)
    with pytest.raises(UserError, match="not beside this library"):
        find_clips("renders:1")
