"""Tables of typed columns, with pictures in them: parquet, and what Hugging Face's library writes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest
from PIL import Image

from tests.data.datasets.table.own_tables import COLORS, own, read, touch
from vlrouting.config import SplitShares
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.datasets.registry import format_of
from vlrouting.data.datasets.table import extraction
from vlrouting.data.example import DataError, Example
from vlrouting.data.images import load_image

ALL = {"split_shares": SplitShares(1.0, 0.0, 0.0), "validation": None, "test": "train"}
PICTURE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])


def picture(color: str, kind: str = "PNG") -> bytes:
    """A file as bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), COLORS[color]).save(buffer, kind)
    return buffer.getvalue()


def table(colors: list[str], image: Callable[[str], Any] | None = None, **columns: list[Any]) -> pyarrow.Table:
    """Pictures of colours, with questions."""
    make = image or (lambda color: {"bytes": picture(color), "path": f"{color}.png"})
    kind = pyarrow.string() if image is not None else PICTURE
    return pyarrow.table(
        {
            "image": pyarrow.array([make(color) for color in colors], kind),
            "question": ["what color is it ?"] * len(colors),
            "answer": colors,
            **columns,
        }
    )


def save(table: pyarrow.Table, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path)
    return path


def colors_of(examples: Any) -> list[tuple[str, tuple[int, int, int]]]:
    return [(example.answer, load_image(example.images[0]).getpixel((0, 0))) for example in examples]  # type: ignore[misc]


def test_the_layout_of_hugging_face(tmp_path: Path) -> None:
    save(table(["red", "green"]), tmp_path / "data" / "train-00000-of-00002.parquet")
    save(table(["blue"]), tmp_path / "data" / "train-00001-of-00002.parquet")
    save(table(["green"]), tmp_path / "data" / "validation-00000-of-00001.parquet")
    save(table(["red", "blue"]), tmp_path / "data" / "test-00000-of-00001.parquet")
    splits = read(tmp_path)
    assert colors_of(splits["train"]) == [(name, COLORS[name]) for name in ("red", "green", "blue")]
    assert colors_of(splits["val"]) == [("green", COLORS["green"])]
    assert [example.id for example in splits["train"]] == [
        "train-00000-of-00002-1",
        "train-00000-of-00002-2",
        "train-00001-of-00002-1",
    ]
    written = list((tmp_path / "extracted-images").glob("*/*.png"))
    assert len(written) == 3, "each picture once"
    assert read(tmp_path) == splits and list((tmp_path / "extracted-images").glob("*/*.png")) == written


def test_what_save_to_disk_writes(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dataset_info.json").write_text("{}")
        rows = table(["red", "blue"])
        with pyarrow.ipc.new_stream(tmp_path / name / "data-00000-of-00001.arrow", rows.schema) as stream:
            stream.write_table(rows, max_chunksize=1)
    splits = read(tmp_path, validation=None)
    assert colors_of(splits["test"]) == [("red", COLORS["red"]), ("blue", COLORS["blue"])]
    assert len(splits["train"]) == 2


def test_two_pictures_in_a_row(tmp_path: Path) -> None:
    pair = [{"bytes": picture("red"), "path": None}, {"bytes": picture("blue", "JPEG"), "path": "b.jpg"}]
    columns = {
        "images": pyarrow.array([pair], pyarrow.list_(PICTURE)),
        "question": ["same ?"],
        "answers": [["no", "No"]],
    }
    save(pyarrow.table(columns), tmp_path / "t.parquet")
    assert format_of(own(tmp_path, **ALL)).images_per_example == 2
    (found,) = read(tmp_path, **ALL)["train"]
    assert [path.suffix for path in found.images] == [".png", ".jpg"] and found.answers == ("no", "No")
    assert format_of(own(tmp_path, **ALL)).images_per_example == 2


def test_paths_in_place_of_bytes(tmp_path: Path) -> None:
    touch(tmp_path, ["red.png", "images/blue.png"])
    save(table(["red"], image=lambda color: f"{color}.png"), tmp_path / "train.parquet")
    save(table(["blue"], image=None).set_column(
        0, "image", pyarrow.array([{"bytes": None, "path": "blue.png"}], PICTURE)
    ), tmp_path / "test.parquet")  # fmt: skip
    splits = read(tmp_path, validation=None)
    assert splits["train"][0].images == (tmp_path / "red.png",)
    assert splits["test"][0].images == (tmp_path / "images" / "blue.png",)


def mistakes(root: Path, **fields: Any) -> list[str]:
    with pytest.raises(DataError) as error:
        read(root, **{**ALL, **fields})
    return [line.removeprefix(f"{root}/") for line in str(error.value).splitlines()]


def test_mistakes_are_found_before_pictures_are_written(tmp_path: Path) -> None:
    save(table(["red", "blue"], answer=["", "blue"], question=["?", None]), tmp_path / "t.parquet")
    assert mistakes(tmp_path) == [
        "t.parquet: row 1: the answer is empty; write it, or remove the row",
        "t.parquet: row 2: the question is empty; write it, or remove the row",
    ]
    assert not (tmp_path / "extracted-images").exists()
    save(
        table(["red", "blue"]).set_column(0, "image", pyarrow.array([{}, {"bytes": b""}], PICTURE)),
        tmp_path / "t.parquet",
    )
    assert mistakes(tmp_path) == [
        "t.parquet: rows 1 and 2: the image is empty; give the picture's path, or remove the row"
    ]


def test_a_column_of_numbers(tmp_path: Path) -> None:
    save(table(["red"], answer=[3], id=[7]), tmp_path / "t.parquet")
    (line,) = mistakes(tmp_path)
    assert line.startswith("t.parquet: the column 'answer' has the type int64, not text; convert it")


def test_a_damaged_file(tmp_path: Path) -> None:
    path = save(table(["red"]), tmp_path / "t.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    (line,) = mistakes(tmp_path)
    assert line.startswith("t.parquet: cannot be read as parquet (") and line.endswith("damaged: fetch it again")
    (tmp_path / "t.parquet").rename(tmp_path / "t.arrow")
    assert mistakes(tmp_path)[0].startswith("t.arrow: cannot be read as arrow (")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(table(["red"]), tmp_path / "t.parquet")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert mistakes(tmp_path) == ['t.parquet: needs the package pyarrow; run: pip install "vlrouting[parquet]"']


def test_a_changed_file_is_extracted_again(tmp_path: Path) -> None:
    path = save(table(["red", "green"]), tmp_path / "t.parquet")
    assert len(read(tmp_path, **ALL)["train"]) == 2
    save(table(["blue"]), path)
    assert colors_of(read(tmp_path, **ALL)["train"]) == [("blue", COLORS["blue"])]
    os.utime(path, (1, 1))
    read(tmp_path, **ALL)
    assert len(list((tmp_path / "extracted-images").glob("*.json"))) == 3


def test_an_extraction_that_is_cut_off_leaves_nothing_that_is_taken_for_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(table(["red", "green", "blue"]), tmp_path / "t.parquet")
    replace, done = os.replace, []

    def cut_off(source: Any, target: Any) -> None:
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(target)
        replace(source, target)

    monkeypatch.setattr(extraction.os, "replace", cut_off)
    with pytest.raises(KeyboardInterrupt):
        read(tmp_path, **ALL)
    assert not list((tmp_path / "extracted-images").glob("*.json"))
    monkeypatch.undo()
    assert [color for color, _ in colors_of(read(tmp_path, **ALL)["train"])] == ["red", "green", "blue"]


def test_a_folder_that_may_not_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(table(["red"]), tmp_path / "t.parquet")
    (tmp_path / "extracted-images").touch()
    (line,) = mistakes(tmp_path)
    assert "extracted-images: the pictures in t.parquet cannot be written (" in line


@pytest.mark.slow
def test_processes_that_extract_at_once(tmp_path: Path) -> None:
    save(table(["red", "green", "blue"] * 50), tmp_path / "t.parquet")
    program = (
        "import sys; from vlrouting.config import DataConfig, SplitShares; "
        "from vlrouting.data.datasets.read import read_splits; "
        "shares = SplitShares(1.0, 0.0, 0.0); "
        "data = DataConfig('jsonl', sys.argv[1], split_shares=shares, validation=None, test='train'); "
        "print(len(read_splits(data)['train']))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate()[0].strip() for process in started] == ["150", "150"]
    found: list[Example] = list(read_splits(own(tmp_path, **ALL))["train"])
    assert all(path.exists() for example in found for path in example.images)
