"""The index of a split: used as long as nothing changed, never half written, and never needed."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from tests.faults.small_disk import fill, remount, small_disk
from vlrouting.config import DATASETS, DataConfig, SplitConfig
from vlrouting.data import INDEX_FOLDER, index_folder
from vlrouting.data.array_file import ArrayFile, Arrays, write_arrays
from vlrouting.data.datasets import example_index, gqa_examples
from vlrouting.data.datasets.read import read_splits, stored_split
from vlrouting.data.datasets.stored_examples import StoredExamples, pack
from vlrouting.data.example import DataError, Example

OLD = 1_600_000_000
ANSWERS = ("yes", "no", "maybe")


def write(root: Path, answer: str = "yes", changed: float = OLD, count: int = 40) -> None:
    """Questions in GQA's format that were last changed at a given time."""
    root.mkdir(exist_ok=True)
    record = {"question": "Is it a dog?", "isBalanced": False, "answer": answer}
    content = {f"0{number}": {**record, "imageId": str(number % 7)} for number in range(count)}
    (root / "q.json").write_text(json.dumps(content))
    os.utime(root / "q.json", (changed, changed))


def read(root: Path, images: str = "images/{image_id}.jpg") -> StoredExamples:
    data = DataConfig("gqa", str(root), splits={"mine": SplitConfig("q.json", images=images)})
    (examples,) = read_splits(data, ["mine"], images=False).values()
    assert isinstance(examples, StoredExamples)
    return examples


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root whose file is large enough for an index, and a cache folder of its own."""
    monkeypatch.setattr(example_index, "LEAST_BYTES", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file with a byte for each time that the questions are read, by whatever process."""
    log, original = tmp_path / "readings", gqa_examples.question_records
    log.touch()

    def counted(*arguments: Any) -> Any:
        with log.open("a") as file:
            file.write("x")
        return original(*arguments)

    monkeypatch.setattr(gqa_examples, "question_records", counted)
    return log


def index_files(root: Path) -> list[Path]:
    return [path for path in (root / INDEX_FOLDER).iterdir() if path.suffix != ".lock"]


def times(readings: Path) -> int:
    return len(readings.read_text())


def test_a_split_is_read_once(root: Path, readings: Path) -> None:
    first = read(root)
    assert times(readings) == 1 and len(index_files(root)) == 1
    second = read(root)
    assert times(readings) == 1 and list(first) == list(second) and second.content == first.content
    assert list(second)[8] == Example(
        "08", (root / "images/1.jpg",), "Is it a dog?", {"yes": 1.0}, ("yes",), answer="yes"
    )
    assert second.official.records()["00"]["answer"] == "yes"


def test_another_spelling_of_the_root_has_the_same_index(
    root: Path, readings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(root)
    monkeypatch.chdir(root.parent)
    assert read(Path("data"))[8].images == (Path("data/images/1.jpg"),) and times(readings) == 1
    os.rename(root, root.parent / "moved")
    assert read(Path("moved"))[8].images == (Path("moved/images/1.jpg"),) and times(readings) == 1


def test_a_change_of_the_source_is_read_and_the_old_index_removed(root: Path, readings: Path) -> None:
    read(root)
    for number, (answer, changed) in enumerate([("why", OLD + 1e-6), ("no", OLD), ("not", OLD)], start=2):
        write(root, answer, changed)
        found = read(root)
        # The last one has the size and the time of an earlier one, whose index is no longer there.
        assert times(readings) == number and {example.answer for example in found} == {answer}
        assert len(index_files(root)) == 1


def test_a_file_that_changes_while_it_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = gqa_examples.question_records

    def replaced(*arguments: Any) -> Any:
        yield from original(*arguments)
        write(root, "no", OLD + 5)

    write(root, "not")
    with monkeypatch.context() as patched:
        patched.setattr(gqa_examples, "question_records", replaced)
        assert read(root)[0].answer == "not"
    write(root, "yes")  # the file as it was, which nobody has read
    assert read(root)[0].answer == "yes"


def test_settings_and_code_are_parts_of_the_state(root: Path, readings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(root)
    assert read(root, "pictures/{image_id}.png")[8].images == (root / "pictures/1.png",) and times(readings) == 2
    read(root)
    assert times(readings) == 2 and len(index_files(root)) == 2  # of two subjects
    monkeypatch.setattr(index_folder, "code_digest", lambda: "other")
    read(root)
    assert times(readings) == 3


def test_all_official_readers_are_indexed_and_know_their_sources() -> None:
    for name in (name for name in DATASETS if not DATASETS.facts(name).is_table):
        found = DATASETS.load(name)
        split = SplitConfig("q.json", "a.json") if name != "coco" else SplitConfig(annotations="a.json")
        split = SplitConfig("q.json") if name == "nlvr2" else split
        if found.indexed:
            assert {path for path in found.split_files("mine", split)} == {
                path for path in (split.questions, split.annotations) if path
            }
    assert all(DATASETS.load(name).indexed for name in ("coco", "vqav2", "gqa", "nlvr2"))


def test_a_chunk_of_a_folder_is_a_source(root: Path, readings: Path) -> None:
    chunks = root / "chunks"
    chunks.mkdir()
    os.rename(root / "q.json", chunks / "q_0.json")
    os.symlink("chunks", root / "q.json")
    assert len(read(root)) == len(read(root)) == 40 and times(readings) == 1
    text = (chunks / "q_0.json").read_text().replace('"yes"', '"not"')
    (chunks / "q_0.json").write_text(text)
    os.utime(chunks / "q_0.json", (OLD + 1, OLD + 1))
    assert read(root)[0].answer == "not"


def test_a_missing_file_is_named_by_the_reader(root: Path) -> None:
    (root / "q.json").unlink()
    with pytest.raises(DataError, match=r"q\.json is missing"):
        stored_split(DataConfig("gqa", str(root), splits={"mine": SplitConfig("q.json")}), "mine")


def test_small_and_recent_files_get_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, changed=time.time())  # it may change again without another time stamp
    assert len(read(root)) == 40 and not (root / INDEX_FOLDER).exists()
    write(root)
    monkeypatch.setattr(example_index, "LEAST_BYTES", (root / "q.json").stat().st_size + 1)
    assert len(read(root)) == 40 and not (root / INDEX_FOLDER).exists()


def test_links_are_looked_at_each_time(root: Path, readings: Path) -> None:
    read(root)
    (root / "images").mkdir()
    (root / "images" / "1.jpg").write_text("an image")
    (root / "images" / "2.jpg").symlink_to("1.jpg")
    (root / "images" / "no image of the split.jpg").symlink_to("/etc/passwd")
    read(root)
    assert times(readings) == 1  # images that arrive later change nothing
    (root / "images" / "3.jpg").symlink_to("/etc/passwd")
    for _ in range(2):
        with pytest.raises(DataError, match="link to /etc/passwd"):
            read(root)
    (root / "images" / "3.jpg").unlink()
    assert times(readings) == 3 and len(read(root)) == 40 and times(readings) == 3
    os.rename(root / "images", root.parent / "elsewhere")
    (root / "images").symlink_to(root.parent / "elsewhere")
    assert len(read(root)) == 40 and times(readings) == 3  # data/README.md allows a folder below the root to be a link
    (root.parent / "elsewhere" / "4.jpg").symlink_to("/etc/passwd")
    with pytest.raises(DataError, match="link to /etc/passwd"):
        read(root)


@pytest.mark.parametrize(
    "images", ["/elsewhere/{image_id}.jpg", "../x/{image_id}.jpg", "a/b/{image_id}.jpg", "{image_id}"]
)
def test_images_where_the_template_says(
    images: str, root: Path, readings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    for place in (root, Path(".")):
        assert list(read(place, images)) == list(read(place, images))
    assert times(readings) == 1


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "..", "a/../../../x"])
def test_an_index_that_a_stranger_made(name: str, root: Path, readings: Path) -> None:
    expected = list(read(root))
    (file,) = index_files(root)
    stored = ArrayFile(file)
    planted = pack([replace(example, images=(root / name,)) for example in expected], root)
    write_arrays(file, Arrays(planted.arrays, {**stored.facts, **planted.facts}))
    assert list(read(root)) == expected and times(readings) == 2


def test_a_damaged_index_is_made_again(root: Path, readings: Path, capfd: pytest.CaptureFixture[str]) -> None:
    expected = list(read(root))
    (file,) = index_files(root)
    whole = file.read_bytes()
    for damaged in (b"", whole[:100], whole[:-1], whole[:200] + b"x" + whole[201:]):
        file.write_bytes(damaged)
        assert list(read(root)) == expected and file.read_bytes() == whole
        assert f"{file} is" in capfd.readouterr().err
    assert times(readings) == 5


def test_a_root_that_takes_no_files(root: Path, readings: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (root / INDEX_FOLDER).write_text("in the way, as a read-only disk would be")
    assert len(read(root)) == 40
    said = capfd.readouterr().err
    assert f"{root / INDEX_FOLDER} cannot be written" in said and "cache" in said and said.count("\n") == 1
    assert len(read(root)) == 40 and times(readings) == 1 and not capfd.readouterr().err
    write(root, "no")
    assert read(root)[0].answer == "no"
    assert len([path for path in (root.parent / "cache").rglob("*.examples")]) == 1


def test_nowhere_to_write(
    root: Path, readings: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / INDEX_FOLDER).write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(root / INDEX_FOLDER))
    assert len(read(root)) == 40 and len(read(root)) == 40 and times(readings) == 2
    assert "no index of the data can be kept" in capfd.readouterr().err


def test_a_full_disk(root: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr(index_folder, "write_arrays", full)
    assert len(read(root)) == 40 and not index_files(root)
    assert "cannot be written" in capfd.readouterr().err


def test_a_real_disk_that_is_full_or_read_only(
    root: Path, readings: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk", "400k") as disk:
        write(disk, count=600)
        fill(disk)
        expected = list(read(disk))
        assert "No space left" in capfd.readouterr().err and not index_files(disk)
        (disk / "filler").unlink()
        remount(disk, "ro")
        assert list(read(disk)) == list(read(disk)) == expected and times(readings) == 2
        assert f"{disk / INDEX_FOLDER} cannot be written (Read-only file system)" in capfd.readouterr().err


def test_an_invalid_record_leaves_nothing(root: Path) -> None:
    (root / "q.json").write_text((root / "q.json").read_text()[:-30])
    os.utime(root / "q.json", (OLD, OLD))
    for _ in range(2):
        with pytest.raises(DataError, match="breaks off"):
            read(root)
    assert not index_files(root)


def _read_in_process(root: Path) -> str | None:
    return read(root).content


def test_several_processes_read_it_once(root: Path, readings: Path) -> None:
    with get_context("fork").Pool(4) as pool:
        found = pool.map(_read_in_process, [root] * 8, chunksize=1)
    assert len(set(found)) == 1 and times(readings) == 1 and len(index_files(root)) == 1


def _read_and_die(root: Path, calls: int) -> None:
    """Read the split, and be killed outright a number of Python's and C's calls later."""
    done = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal done
        done += 1
        if done == calls:
            os.kill(os.getpid(), 9)

    sys.setprofile(count)
    read(root)
    sys.setprofile(None)
    os._exit(done % 251 if calls else 0)


def test_killed_at_any_moment(root: Path) -> None:
    expected = list(read(root))
    (file,) = index_files(root)
    whole, context, killed = file.read_bytes(), get_context("fork"), 0
    for calls in [*range(200, 9000, 400), *range(9000, 20_000, 1500)]:
        file.unlink()
        process = context.Process(target=_read_and_die, args=(root, calls))
        process.start()
        process.join()
        killed += process.exitcode == -9
        assert not file.exists() or file.read_bytes() == whole
        assert list(read(root)) == expected and index_files(root) == [file]
    assert killed > 10
