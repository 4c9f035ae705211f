"""Splits of a user's table: given by files or by a column, or made."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.datasets.table.own_tables import names, questions, read, touch, write_csv, write_jsonl
from vlrouting.config import SplitConfig, SplitShares
from vlrouting.data.datasets.table.made_splits import MadeSplits
from vlrouting.data.example import DataError

IMAGES = [f"{number}.png" for number in range(60)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """60 files that pass for pictures."""
    touch(tmp_path, IMAGES)
    return tmp_path


def test_a_table_without_splits_is_divided_by_image(folder: Path) -> None:
    write_csv(folder / "table.csv", questions(60))
    splits = read(folder)
    of = {name: names(examples, folder) for name, examples in splits.items()}
    assert list(of) == ["train", "val", "test"] and set().union(*of.values()) == set(IMAGES)
    assert sum(map(len, of.values())) == 60, "no image is in two splits"
    assert len(of["train"]) > 40 and of["val"] and of["test"]
    assert sum(map(len, splits.values())) == 120


def test_seed_and_shares_decide(folder: Path) -> None:
    write_csv(folder / "table.csv", questions(60))
    first = names(read(folder)["test"], folder)
    assert names(read(folder)["test"], folder) == first
    assert names(read(folder, split_seed=1)["test"], folder) != first
    half = read(folder, split_shares=SplitShares(0.3, 0.2, 0.5))
    assert first < names(half["test"], folder) and len(names(half["train"], folder)) < 30
    assert [str(problem) for problem in SplitShares(0.5, 0.1, 0.1).problems()] == [
        "train, val, test: the shares add up to 0.7, not to 1; correct one of them"
    ]


def test_more_rows_move_no_old_one(folder: Path) -> None:
    write_csv(folder / "table.csv", questions(40))
    before = {name: names(examples, folder) for name, examples in read(folder).items()}
    write_csv(folder / "table.csv", questions(60, per_image=3)[::-1])
    for name, examples in read(folder).items():
        assert before[name] <= names(examples, folder)


def test_one_file_under_several_names_is_in_one_split(folder: Path) -> None:
    touch(folder, [f"images/deep/{name}" for name in IMAGES])
    ways = ["deep/{}", "images/deep/{}", "./deep/{}", "deep//{}", "images/../deep/{}"]
    rows = [
        {"image": way.format(name), "question": way, "answer": "red"}
        for name in IMAGES
        for way in [*ways, str(folder / "images" / "deep" / "{}")]
        if way != "images/../deep/{}"
    ]
    write_jsonl(folder / "table.jsonl", rows)
    splits = read(folder)
    of = [names(examples, folder) for examples in splits.values()]
    assert sum(map(len, of)) == len(set().union(*of)) == 60
    assert {path.split("/")[0] for path in of[0]} == {"images"}


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.lists(st.sampled_from(["a", "A", "b", "c", "d", "é", "e\u0301", "images/a"]), min_size=1, max_size=2),
            st.sampled_from(["", "", "", "g", "h"]),
        ),
        max_size=12,
    ),
    seed=st.integers(0, 5),
)
def test_what_hangs_together_stays_together(rows: list[tuple[list[str], str]], seed: int) -> None:
    made = MadeSplits(seed, SplitShares(0.4, 0.3, 0.3))
    for images, group in rows:
        made.add(images, group)
    same = {"A": "a", "images/a": "a", "e\u0301": "é"}
    split_of: dict[str, str] = {}
    for images, group in rows:
        split = made.split(images, group)
        for key in [same.get(image, image) for image in images] + ([f"group {group}"] if group else []):
            assert split_of.setdefault(key, split) == split


@settings(derandomize=True, max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(["", "a", "b"])), min_size=1, unique_by=lambda row: row[0]
    ),
    more=st.lists(st.tuples(st.integers(31, 60), st.sampled_from(["", "a", "b"])), unique_by=lambda row: row[0]),
)
def test_further_images_and_rows_of_a_group_move_nothing(
    rows: list[tuple[int, str]], more: list[tuple[int, str]]
) -> None:
    before, after = (MadeSplits(0, SplitShares(0.4, 0.3, 0.3)) for _ in range(2))
    for image, group in rows:
        before.add([str(image)], group)
    for image, group in [*more, *rows]:
        after.add([str(image)], group)
    for image, group in rows:
        assert before.split([str(image)], group) == after.split([str(image)], group)


def test_spellings_of_a_name_are_one_image() -> None:
    made = MadeSplits(0, SplitShares())
    for number in range(60):
        spelled = [f"é{number}.jpg", f"e\u0301{number}.jpg", f"É{number}.JPG", f"images/é{number}.jpg"]
        assert len({made.split([name], "") for name in spelled}) == 1


def test_the_shares_are_those_of_many_images() -> None:
    made = MadeSplits(3, SplitShares())
    found = [made.split([f"{number}.jpg"], "") for number in range(20_000)]
    assert [round(found.count(name) / len(found), 2) for name in ("train", "val", "test")] == [0.8, 0.1, 0.1]


def test_files_named_after_splits(folder: Path) -> None:
    rows = questions(30, per_image=1)
    write_csv(folder / "train.csv", rows[:10])
    write_jsonl(folder / "valid.jsonl", rows[10:15])
    write_csv(folder / "data" / "TEST.tsv", rows[15:30], delimiter="\t")
    assert {name: len(examples) for name, examples in read(folder).items()} == {"train": 10, "val": 5, "test": 15}


def test_hidden_files_are_no_tables(folder: Path) -> None:
    write_csv(folder / "table.csv", questions(60))
    touch(folder, [".table.csv", "._table.csv", "~$table.csv", "cache-0123.arrow", "data/.x.csv", "features/t.csv"])
    assert sum(map(len, read(folder).values())) == 120


def test_a_table_for_training_alone_is_divided(folder: Path) -> None:
    write_csv(folder / "train.csv", questions(60))
    assert min(map(len, read(folder).values())) > 0


def test_a_column_says_the_split(folder: Path) -> None:
    rows = [
        {**row, "split": name}
        for row, name in zip(
            questions(60, 1), ["train", "Training", "dev", "validation", "test", "extra"] * 10, strict=True
        )
    ]
    write_csv(folder / "table.csv", rows)
    with pytest.raises(DataError, match=r"lines 7, 13, 19 and 7 more: the split is not known \(the first: 'extra'"):
        read(folder)
    splits = read(folder, splits={"extra": SplitConfig()}, test="extra")
    assert {name: len(examples) for name, examples in splits.items()} == {"train": 20, "val": 20, "extra": 10}


def test_files_are_named_one_by_one(folder: Path) -> None:
    write_csv(folder / "a.csv", questions(60))
    write_csv(folder / "b.csv", questions(7))
    with pytest.raises(DataError, match=r"several tables, so it is not clear which is meant: a\.csv, b\.csv"):
        read(folder)
    assert sum(map(len, read(folder, splits={"train": SplitConfig("a.csv")}).values())) == 120
    given = {"train": SplitConfig("a.csv"), "val": SplitConfig("b.csv"), "test": SplitConfig("b.csv")}
    assert [len(examples) for examples in read(folder, splits=given).values()] == [120, 14, 14]


def test_an_image_in_two_given_splits_is_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("train", "val", "test"):
        write_csv(folder / f"{name}.csv", questions(3))
    read(folder)
    assert sorted(text.partition("the splits ")[2] for text in caplog.messages) == [
        f"'{one}' and '{other}' share 3 images, such as 0.png: the scores may be too good"
        for one, other in (("train", "test"), ("train", "val"))
    ]


def test_a_split_without_rows_is_an_error(folder: Path) -> None:
    write_csv(folder / "table.csv", questions(2))
    with pytest.raises(
        DataError, match="none of 2 sets of rows that share an image or group is in 'val'; add"
    ) as error:
        read(folder, split_shares=SplitShares(1.0, 0.0, 0.0))
    assert len(str(error.value).splitlines()) == 2
    write_csv(folder / "table.csv", questions(5))
    with pytest.raises(DataError, match=r"set data.split_seed: \d+, or add rows") as error:
        read(folder)
    seed = int(str(error.value).partition("split_seed: ")[2].partition(",")[0])
    assert all(read(folder, split_seed=seed).values())
    write_csv(folder / "table.csv", [{**row, "split": "train"} for row in questions(2)])
    with pytest.raises(DataError, match=r"no row has the split 'val'; .* data.validation to one of train or null"):
        read(folder)


def test_no_example_of_a_set_with_pairs_shares_an_image_with_another_split(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        touch(root, IMAGES)
        rows = [
            {"images": [f"{n}.png", f"{n + 1}.png"], "question": "same ?", "answer": "no"} for n in range(59) if n % 5
        ]
        write_jsonl(root / "pairs.jsonl", rows)
        of = [names(examples, root) for examples in read(root).values()]
        assert sum(map(len, of)) == len(set().union(*of)) and all(of)
