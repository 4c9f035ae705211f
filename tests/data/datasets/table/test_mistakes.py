"""What is wrong with a user's table: every mistake with file, line and remedy, all of them at once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.data.datasets.table.own_tables import own, questions, read, touch, write_csv, write_jsonl
from vlrouting.config import SplitConfig, SplitShares
from vlrouting.data.datasets.presence import missing_files
from vlrouting.data.datasets.table.mistakes import Mistakes
from vlrouting.data.example import DataError

ALL = {"split_shares": SplitShares(1.0, 0.0, 0.0), "validation": None, "test": "train"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files that pass for pictures."""
    touch(tmp_path, ["a.jpg", "b.jpg", "images/d.jpg", "Photo.JPG"])
    touch(tmp_path.parent, ["outside.jpg"])
    (tmp_path / "link.jpg").symlink_to(tmp_path.parent / "outside.jpg")
    return tmp_path


def mistakes(root: Path, **fields: Any) -> list[str]:
    """The lines of the error, without the folder."""
    with pytest.raises(DataError) as error:
        read(root, **fields)
    return [line.replace(f"{root}/", "") for line in str(error.value).splitlines()]


def check(found: list[str], expected: list[tuple[str, str]]) -> None:
    """Every line has its place, and words that say what and how to correct it."""
    assert len(found) == len(expected), "\n".join(found)
    for line, (place, words) in zip(found, expected, strict=True):
        assert line.startswith(f"{place}: "), (line, place)
        assert "; " in line, f"{line}: no remedy"
        for word in words.split(" … "):
            assert word in line, (line, word)


CSV_ROWS = [
    # 1 is the header
    "a.jpg,what is it?,cat,,1,train,",
    "a.jpg,what is it?,cat,,1,train,",
    "b.jpg,,cat,,4,train,",
    ",what is it?,cat,,5,train,",
    "nowhere.jpg,what is it?,cat,,6,train,",
    "../a.jpg,what is it?,cat,,7,train,",
    "a.jpg,what is it?,cat,cat|dog,8,train,",
    "a.jpg,what, or who?,cat,,9,train,",
    "a.jpg,what is it?,,,10,train,",
    "a.jpg,what is it?,cat,,11,trian,",
    "a.jpg,what is it?,cat,,12,,",
    "a.jpg,what is it?,cat,,,train,",
    "a.jpg,what is it?",
    "http://x.org/a.jpg,what is it?,cat,,15,train,",
    "dir\\a.jpg,what is it?,cat,,16,train,",
    "a.jpg,what\x07 is it?,cat,,17,train,",
    "a.jpg,what is it?,,cat||dog,18,val,",
    'a.jpg,"a" b,cat,,19,test,',
    "photo.jpg,what is it?,cat,,20,test,",
    "/etc/a.jpg,what is it?,cat,,21,test,",
    "a.jpg,what is it?,caf\xe9,,22,test,",
    "link.jpg,what is it?,cat,,23,test,",
    "a.jpg|b.jpg,what is it?,cat,,24,test,",
    'b.jpg,"unclosed,cat,,25,test,',
    "b.jpg,what is it?,cat,,26,test,",
]


def test_twenty_mistakes_in_a_csv_file(folder: Path) -> None:
    lines = ["image,question,answer,answers,id,split,notes", *CSV_ROWS]
    (folder / "t.csv").write_bytes("\n".join(lines).encode("latin-1"))
    expected = [
        ("t.csv: line 3", "the id is that of a row before ('1') … give every row an id of its own"),
        ("t.csv: line 4", "the question is empty … remove the row"),
        ("t.csv: line 5", "the image is empty … give the picture's path"),
        ("t.csv: lines 6 and 24", "the image is missing … 'nowhere.jpg' … correct its path"),
        ("t.csv: lines 7 and 21", "lies outside of the data root (the first: '../a.jpg') … put the pictures below"),
        ("t.csv: line 8", "both 'answer' and 'answers' are filled in … leave one of them empty"),
        ("t.csv: lines 9 and 14", "number of fields is not that of the header, 7 (the first: 8) … into quotes"),
        ("t.csv: line 10", "the answer is empty … write it"),
        ("t.csv: line 11", "the split is not known ('trian'. Did you mean 'train'?) … train, val, test"),
        ("t.csv: line 12", "the split is empty … in every row"),
        ("t.csv: line 13", "the id is empty"),
        ("t.csv: line 15", "the image is a URL ('http://x.org/a.jpg') … download"),
        ("t.csv: line 16", "backslash … write / between folders"),
        ("t.csv: line 17", "a control character (U+0007 at position 5) … remove it"),
        ("t.csv: line 18", "one of the answers is empty … remove it from the list"),
        ("t.csv: line 19", "the quotes are not those of CSV … write each quote in it twice"),
        ("t.csv: line 20", "other capital letters … the file is 'Photo.JPG' … as the file is called"),
        ("t.csv: line 22", "not in UTF-8, but probably in CP1252 (byte 22 of the line is 0xE9) … iconv -f CP1252"),
        ("t.csv: line 23", "a link out of the data root … link their folder"),
        ("t.csv: line 25", "a quote is opened and not closed in its row (up to line 26)"),
    ]
    check(mistakes(folder), expected)


def test_mistakes_of_types_in_json_lines(folder: Path) -> None:
    row = {"image": "a.jpg", "question": "?", "answer": "x"}
    rows: list[Any] = [
        row,
        {**row, "answer": 3},
        {**row, "answer": True},
        {**row, "question": ["?"]},
        {**row, "image": ["a.jpg"]},
        {"image": "a.jpg", "question": "?", "answers": "x"},
        {"image": "a.jpg", "question": "?", "answers": ["x", 3.5]},
        {**row, "answer": ["x", "y"]},
        {"image": "a.jpg", "quesiton": "?", "answer": "x"},
        {"images": ["a.jpg", "b.jpg"], "question": "?", "answer": "x"},
        {"images": ["a.jpg", "b.jpg", "a.jpg"], "question": "?", "answer": "x"},
        {"question": "?", "answer": "x"},
        {**row, "image": None},
        {**row, "answer": "\ud83d"},
        {**row, "split": "train"},
        {**row, "id": 7},
        {**row, "question": {"text": "?"}},
        [1, 2],
        {**row, "answers": ["x"]},
        {**row, "answer": ""},
    ]
    text = "".join(json.dumps(each) + "\n" for each in rows)
    text += '{"image": "a.jpg", "question": "?"\n{"image": "a.jpg", "image": "b.jpg"}\n{"image": NaN}\n'
    (folder / "t.jsonl").write_text(text)
    expected = [
        ("t.jsonl: lines 2 and 7", 'the answer is a number, not text (the first: 3) … in quotes: "3"'),
        ("t.jsonl: line 3", "the answer is true or false, not text"),
        ("t.jsonl: line 4", "the question is a list, not text … a row for each question"),
        ("t.jsonl: line 5", "the image is a list, not text … use the column 'images'"),
        ("t.jsonl: line 6", "'answers' is text, not a list ('x') … [\"one\", \"two\"]"),
        ("t.jsonl: line 8", "the answer is a list, not text … use the column 'answers'"),
        ("t.jsonl: line 9", "the key 'quesiton' looks like 'question' … rename it"),
        ("t.jsonl: line 10", "the number of images is not that of the first row, 1 (2) … equally many"),
        ("t.jsonl: line 11", "more than 2 images (3)"),
        ("t.jsonl: lines 12 and 13", "the image is empty"),
        ("t.jsonl: line 14", "half of a surrogate pair (U+D83D at position 1)"),
        ("t.jsonl: line 15", "a value for 'split', unlike in the first row"),
        ("t.jsonl: line 16", "a value for 'id', unlike in the first row"),
        ("t.jsonl: line 17", "the question is an object, not text … the text alone"),
        ("t.jsonl: lines 18 and 22", "is no JSON object (the first: [1, 2])"),
        ("t.jsonl: line 19", "both 'answer' and 'answers' are filled in"),
        ("t.jsonl: line 20", "the answer is empty"),
        ("t.jsonl: line 21", "is not JSON (column 36: Expecting ',' delimiter)"),
        ("t.jsonl: line 23", "the image is no text (NaN)"),
    ]
    found = mistakes(folder)
    check([line for line in found if "line 23: the question" not in line], expected)


def test_mistakes_in_captions(folder: Path) -> None:
    rows = [
        {"id": "1", "image": "a.jpg", "captions": ["a cat"]},
        {"id": "1", "image": "a.jpg", "caption": "another"},
        {"id": "1", "image": "b.jpg", "caption": "a dog"},
        {"id": "2", "image": "b.jpg", "caption": " "},
        {"id": "3", "image": "b.jpg", "captoin": "a dog"},
        {"id": "4", "image": "b.jpg", "captions": ["a dog", "\n"]},
        {"id": "5", "image": "b.jpg", "caption": "x", "captions": ["y"]},
    ]
    write_jsonl(folder / "t.jsonl", rows)
    expected = [
        ("t.jsonl: line 3", "the id is that of a row before with another image ('1')"),
        ("t.jsonl: line 4", "the caption is empty"),
        ("t.jsonl: line 5", "the key 'captoin' looks like 'caption'"),
        ("t.jsonl: line 6", "one of the captions is empty"),
        ("t.jsonl: line 7", "both 'caption' and 'captions' are filled in"),
    ]
    check(mistakes(folder, target="caption"), expected)


FILES: dict[str, tuple[dict[str, bytes], str]] = {
    "utf-16": ({"t.csv": "image,question,answer\n".encode("utf-16")}, "t.csv: is in UTF-16; save … iconv -f UTF-16"),
    "utf-16 without a mark": (
        {"t.csv": "image,question,answer\na.jpg,?,x\n".encode("utf-16-le")},
        "t.csv: is in UTF-16; save",
    ),
    "empty": ({"t.csv": b"\n \n"}, "t.csv: is empty; write"),
    "header alone": ({"t.csv": b"image,question,answer\n"}, "t.csv: has no rows; add some"),
    "no header": (
        {"t.csv": b"a.jpg,?,x\n"},
        "t.csv: line 1: none of the columns has a known name: 'a.jpg', '?', 'x'; name the columns in the first line",
    ),
    "a missing column": (
        {"t.csv": b"image,question\na.jpg,?\n"},
        "t.csv: line 1: there is no column 'answer': the columns are 'image', 'question'; add it",
    ),
    "a column of another name": (
        {"t.csv": b"file_name,question,answer\na.jpg,?,x\n"},
        "there is no column 'image' … rename the column 'file_name' to 'image'",
    ),
    "a misspelt column": (
        {"t.csv": b"image,quesiton,answer\na.jpg,?,x\n"},
        "t.csv: line 1: the column 'quesiton' looks like 'question'; rename it",
    ),
    "capital letters": ({"t.csv": b"Image,question,answer\na.jpg,?,x\n"}, "the column 'Image' looks like 'image'"),
    "a column twice": (
        {"t.csv": b"image,question,answer,answer\na.jpg,?,x,y\n"},
        "t.csv: line 1: the column 'answer' occurs twice; rename or remove",
    ),
    "semicolons": (
        {"t.csv": b"image;question;answer\na.jpg;?;x\n"},
        "t.csv: line 1: the columns are divided by semicolons, not by commas; save the table with commas",
    ),
    "tabs in a csv": (
        {"t.csv": b"image\tquestion\tanswer\na.jpg\t?\tx\n"},
        "divided by tabs, not by commas; save the table with commas, or rename it to end in .tsv",
    ),
    "commas in a tsv": ({"t.tsv": b"image,question,answer\na.jpg,?,x\n"}, "divided by commas, not by tabs"),
    "a list": (
        {"t.jsonl": b'[\n{"image": "a.jpg", "question": "?", "answer": "x"}\n]\n'},
        "t.jsonl: is one JSON list, not JSON Lines; write an object per line: python -c",
    ),
    "a json file": ({"t.json": b"[]"}, "has no table; t.json is not read … write it as JSON Lines"),
    "a spreadsheet": ({"t.xlsx": b"PK\x03\x04"}, "has no table; t.xlsx is not read … save the sheet as CSV"),
    "a spreadsheet by another name": ({"t.csv": b"PK\x03\x04\0\0"}, "t.csv: is an archive or an Excel file"),
    "a picture": ({"t.csv": b"\x89PNG\r\n"}, "t.csv: is a picture, not a table in text; name a table instead"),
    "old line ends": ({"t.csv": b"image,question,answer\ra.jpg,?,x\r"}, "t.csv: has lines that end in CR alone"),
    "a NUL": ({"t.csv": b"image,question,answer\na.jpg,?,\0\n"}, "t.csv: has a NUL byte at 30"),
    "nothing": ({}, "has no table (*.jsonl, *.ndjson, *.csv, *.tsv, *.parquet) … put one there"),
    "two tables": (
        {"a.csv": b"image,question,answer\n", "b.jsonl": b"{}"},
        "several tables, so it is not clear which is meant: a.csv, b.jsonl … name one in data.splits.train.questions",
    ),
    "two tables of a split": (
        {"train.csv": b"image,question,answer\n", "train.jsonl": b"{}", "test.csv": b"x"},
        "several tables for the split 'train': train.csv, train.jsonl … name one in data.splits.train.questions",
    ),
    "no table for a split": (
        {"train.csv": b"image,question,answer\na.jpg,?,x\n", "test.csv": b"image,question,answer\na.jpg,?,x\n"},
        "there is no table for the split 'val' … train.csv, test.csv … (data.validation); add val.csv, or set null",
    ),
    "not JSON at all": ({"t.jsonl": b"hello\nworld\n"}, "t.jsonl: lines 1 and 2: is not JSON (the first: column 1"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_such_table(folder: Path, name: str) -> None:
    files, expected = FILES[name]
    for file, content in files.items():
        (folder / file).write_bytes(content)
    found = "\n".join(line for line in mistakes(folder))
    for word in expected.split(" … "):
        assert word in found, found
    assert len(found.splitlines()) == 1, found


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("header alone",)])
def test_validation_finds_it_in_the_first_lines(folder: Path, name: str) -> None:
    for file, content in FILES[name][0].items():
        (folder / file).write_bytes(content)
    (problem,) = missing_files(own(folder))
    for word in FILES[name][1].split(" … "):
        assert word in problem.sentence.replace(f"{folder}/", ""), problem.sentence


def test_validation_reads_no_rows(folder: Path) -> None:
    write_csv(folder / "t.csv", [{"image": "nowhere.jpg", "question": "", "answer": ""}])
    assert missing_files(own(folder)) == []
    (problem,) = missing_files(own(folder / "elsewhere"))
    assert problem.sentence == f"there is no folder {folder}/elsewhere; name the folder of the dataset's files"
    (problem,) = missing_files(own(folder, splits={"train": SplitConfig("gone.csv")}))
    assert problem.message == f"{folder}/gone.csv is missing" and problem.keys == ("data.splits.train.questions",)
    (problem,) = missing_files(own(folder, splits={"train": SplitConfig("data/*.parquet")}))
    assert "fits 'data/*.parquet'" in problem.message
    for key in ("annotations", "images"):
        (problem,) = missing_files(own(folder, splits={"train": SplitConfig("t.csv", **{key: "t.csv"})}))
        assert problem.keys == (f"data.splits.train.{key}",)


def test_mistakes_of_all_files_come_at_once(folder: Path) -> None:
    good = {"image": "a.jpg", "question": "?", "answer": "x"}
    write_csv(folder / "train.csv", [good, {**good, "answer": ""}])
    write_jsonl(folder / "val.jsonl", [good, {**good, "image": "c.jpg"}])
    write_csv(folder / "test.csv", [{**good, "split": "train"}])
    check(
        mistakes(folder),
        [
            ("test.csv: line 2", "the row's split is not that of its file, 'test' ('train')"),
            ("train.csv: line 3", "the answer is empty"),
            ("val.jsonl: line 2", "the image is missing"),
        ],
    )


def test_many_mistakes_are_cut_and_grouped() -> None:
    found = Mistakes()
    complain = found.of(Path("t.csv"))
    for line in range(2, 1236):
        complain(line, "the image is missing", "add the file", f"'{line}.jpg'")
    for kind in range(40):
        complain(5, f"mistake {kind}", "correct it")
    listed = [f"{what}; {remedy}" for what, remedy in found.listed()]
    assert listed[0] == "t.csv: lines 2, 3, 4 and 1,231 more: the image is missing (the first: '2.jpg'); add the file"
    assert len(listed) == 31 and listed[-1] == "and 11 more kinds of mistakes; correct these first"


def test_columns_that_are_no_misspelling(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    more = {"question_id": "7", "image_id": "8", "answer_type": "x", "idx": "1", "image1": "?", "questions": "?"}
    write_csv(folder / "t.csv", [{"image": "a.jpg", "question": "?", "answer": "x", **more}])
    described = {"image": "a.jpg", "caption": "a cat", "question_id": "7", "answer_type": "x"}
    touch(folder / "other", ["a.jpg"])
    write_csv(folder / "other" / "t.csv", [described])
    assert len(read(folder / "other", target="caption", **ALL)["train"]) == 1
    with caplog.at_level("INFO"):
        assert len(read(folder, **ALL)["train"]) == 1
    assert caplog.messages == [
        f"{folder / 't.csv'}: columns that are not read: question_id, image_id, answer_type, idx, image1, questions"
    ]


def test_the_encoding_is_guessed(folder: Path) -> None:
    words = ["красный", "зелёный", "синий", "жёлтый", "на картинке большая кошка"]
    lines = ["image,question,answer", *(f"a.jpg,что это?,{word}" for word in words)]
    (folder / "t.csv").write_bytes("\n".join(lines).encode("cp1251"))
    (line,) = mistakes(folder, **ALL)
    assert line.startswith(
        "t.csv: lines 2, 3, 4 and 2 more: is not in UTF-8, but probably in CP1251 (the first: byte 7"
    )


def test_one_look_at_each_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(folder, [f"many/{number}.png" for number in range(200)])
    write_csv(folder / "t.csv", [{**row, "image": f"many/{row['image']}"} for row in questions(200)])
    looks: list[str] = []
    scan = os.scandir
    monkeypatch.setattr("os.scandir", lambda path: looks.append(str(path)) or scan(path))
    read(folder)
    assert sum(path.endswith("many") for path in looks) == 2, "its names, and its links"
    assert len(looks) < 30
