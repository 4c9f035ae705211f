"""`vlrouting init`: what it finds, decides and writes, and one sentence for everything that it cannot use."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
import yaml

from tests.command_line import Done, vlrouting
from tests.starter.folders import write_captions, write_pictures, write_questions, write_table
from vlrouting.starter.start import safe_name


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The folder in which the commands run."""
    return tmp_path


def init(here: Path, *arguments: str | Path) -> Done:
    return vlrouting("init", *arguments, cwd=here)


def experiment(here: Path, name: str = "mine") -> dict:  # type: ignore[type-arg]
    read: dict = yaml.safe_load((here / "experiments" / f"{name}.yaml").read_text())  # type: ignore[type-arg]
    return read


def refused(here: Path, *arguments: str | Path) -> str:
    """The one error of a command, which writes no experiment."""
    before = sorted(here.rglob("*"))
    done = init(here, *arguments)
    assert done.returncode == 2 and done.stderr.startswith("vlrouting:") and "Traceback" not in done.stderr, done
    assert sorted(here.rglob("*")) == before
    return done.stderr


def test_a_table_of_questions(here: Path) -> None:
    write_questions(here / "mine")
    write_pictures(here / "mine", ["unused.png"])
    done = init(here, "mine/")
    assert done.returncode == 0, done.stderr
    assert "40 rows, 40 pictures" in done.stdout and "1 picture of the folder is in no row" in done.stdout
    assert "3 different answers, most often red (14)" in done.stdout and "vqa_classification" in done.stdout
    assert "vlrouting train mine" in done.stdout
    predict = next(line for line in done.stdout.splitlines() if "vlrouting predict runs/mine/routing=mul mine/" in line)
    assert predict.endswith("'What color is it?'")
    written = experiment(here)
    assert written["data"]["root"] == "mine" and written["task"] == "vqa_classification"
    assert vlrouting("validate", "mine", cwd=here).returncode == 0
    assert "Questions about the pictures in mine" in vlrouting("list", cwd=here).stdout


def test_answers_that_hardly_recur_are_generated(here: Path) -> None:
    write_questions(here / "mine", answers=[f"a sentence of its own, number {n}" for n in range(40)])
    assert init(here, "mine").returncode == 0
    assert experiment(here)["task"] == "vqa_generation"
    assert init(here, "mine", "--force", "--task", "vqa_classification").returncode == 0
    assert experiment(here)["task"] == "vqa_classification"


def test_captions_are_described_and_with_questions_besides_left_for_a_task(here: Path) -> None:
    write_captions(here / "mine")
    done = init(here, "mine")
    assert "2 captions a row" in done.stdout and "vlrouting caption runs/mine/routing=mul mine/" in done.stdout
    assert experiment(here)["task"] == "captioning"
    rows = [[f"{n}.png", "What is it?", "a cup", "a cup on a table"] for n in range(40)]
    write_table(here / "both", ["image", "question", "answer", "caption"], rows)
    done = init(here, "both")
    assert experiment(here, "both")["task"] == "vqa_classification" and "--task captioning" in done.stdout
    assert init(here, "both", "--task", "captioning", "--force").returncode == 0
    assert experiment(here, "both")["task"] == "captioning"


def test_pairs_of_pictures_in_json_lines(here: Path) -> None:
    records = [
        {
            "images": [f"{n}-0.png", f"{n}-1.png"],
            "question": "Are they alike?",
            "answers": ["yes", "yes", "no"][n % 3 :],
        }
        for n in range(40)
    ]
    write_pictures(here / "mine", {name for record in records for name in record["images"]})
    (here / "mine" / "data.jsonl").write_text("\n".join(map(json.dumps, records)))
    done = init(here, "mine")
    assert "a pair of pictures each" in done.stdout and "of 1 to 3 a row" in done.stdout, done.stderr
    assert "-0.png mine/" in done.stdout and vlrouting("validate", "mine", cwd=here).returncode == 0


def test_given_splits(here: Path) -> None:
    for column, validation, test in (
        ("train val test", "val", "test"),
        ("train dev", None, "val"),
        ("train test", None, "test"),
    ):
        rows = [[f"{n}.png", "What?", "x", column.split()[n % len(column.split())]] for n in range(6)]
        write_table(here / "mine", ["image", "question", "answer", "split"], rows)
        assert init(here, "mine", "--force").returncode == 0
        data = {"validation": "val", "test": "test", **experiment(here)["data"]}
        assert (data["validation"], data["test"]) == (validation, test), column
        assert vlrouting("validate", "mine", cwd=here).returncode == 0
    assert "splits, as the table has them: train 3, test 3 rows" in init(here, "mine", "--force").stdout


def test_files_named_after_splits(here: Path) -> None:
    for name in ("train.csv", "valid.csv"):
        write_table(here / "mine", ["image", "question", "answer"], [[f"{name}.png", "What?", "x"]] * 3, name)
    assert "train 3, val 3 rows" in init(here, "mine").stdout
    assert experiment(here)["data"]["test"] == "val"


def test_mistakes_in_the_table_are_all_told(here: Path) -> None:
    write_questions(here / "mine")
    text = (here / "mine" / "data.csv").read_text().replace("3.png,What", "none.png,What", 1).replace("green", "", 1)
    (here / "mine" / "data.csv").write_text(text)
    told = refused(here, "mine")
    assert "none.png" in told and "the answer is empty" in told and told.count("data.csv: line") == 2


def test_names(here: Path) -> None:
    write_questions(here / "Fotos für mich (2)")
    done = init(here, "Fotos für mich (2)")
    assert done.returncode == 0 and "called Fotos_fur_mich_2" in done.stdout
    assert "'Fotos für mich (2)/" in done.stdout  # quoted for the shell
    assert vlrouting("validate", "Fotos_fur_mich_2", cwd=here).returncode == 0
    assert init(here, "Fotos für mich (2)", "--name", "a/b").returncode == 0
    assert experiment(here, "a_b")["data"]["root"] == "Fotos für mich (2)"
    assert safe_name("図書館") == "my_data" and safe_name("../x") == "x" and safe_name("a-b.c") == "a-b.c"


def test_names_that_yaml_or_a_reference_would_take_for_something_else(here: Path) -> None:
    for name in ("yes", "1e3", "a: b # c", "${data.name}", "new\nline", "it's"):
        write_questions(here / name)
        assert init(here, name, "--name", "x", "--force").returncode == 0
        assert vlrouting("validate", "x", cwd=here).returncode == 0, (here / "experiments" / "x.yaml").read_text()


def test_a_folder_elsewhere_and_a_file_elsewhere(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write_questions(elsewhere / "mine")
    done = init(here, elsewhere / "mine", "--out", "other/place/this.yaml")
    assert done.returncode == 0 and "vlrouting train other/place/this.yaml" in done.stdout
    written = yaml.safe_load((here / "other/place/this.yaml").read_text())
    assert written["data"]["root"] == str(elsewhere / "mine")
    assert vlrouting("validate", "other/place/this.yaml", cwd=here).returncode == 0
    assert vlrouting("validate", here / "other/place/this.yaml", cwd=elsewhere).returncode == 0
    assert "vlrouting train sub/this" in init(here, elsewhere / "mine", "--out", "experiments/sub/this.yaml").stdout


def test_a_file_that_is_there_is_kept(here: Path) -> None:
    write_questions(here / "mine")
    assert init(here, "mine").returncode == 0
    file = here / "experiments" / "mine.yaml"
    file.write_text("mine: edited")
    assert "experiments/mine.yaml is there already: --force replaces it" in refused(here, "mine")
    assert file.read_text() == "mine: edited"
    assert init(here, "mine", "--name", "another").returncode == 0 and init(here, "mine", "--force").returncode == 0
    assert file.read_text() != "mine: edited"


def test_what_is_no_folder_with_data(here: Path) -> None:
    assert "there is no folder mine" in refused(here, "mine")
    (here / "mine").mkdir()
    assert "Did you mean mine?" in refused(here, "min")
    assert "no pictures" in refused(here, "mine")
    write_pictures(here / "mine", ["a.png", "b.png"])
    told = refused(here, "mine")
    assert "    image,question,answer\n    a.png," in told and "--table" in told and "2 pictures" in told
    assert "    image,caption\n" in refused(here, "mine", "--task", "captioning")
    (here / "mine" / "data.xlsx").touch()
    assert "save the sheet as CSV" in refused(here, "mine")
    write_questions(here / "mine")
    assert "is a file; name the folder that it is in: vlrouting init mine" in refused(here, "mine/data.csv")
    (here / "mine" / "more.csv").touch()
    assert "several tables" in refused(here, "mine")


def test_out_and_name_that_cannot_be(here: Path) -> None:
    write_questions(here / "mine")
    assert "leave one of them out" in refused(here, "mine", "--out", "a.yaml", "--name", "b")
    assert "a_b.yaml" in refused(here, "mine", "--out", "a b.yaml")
    assert "a.yaml" in refused(here, "mine", "--out", "a.yml")
    (here / "file").touch()
    assert "file/a.yaml cannot be written" in refused(here, "mine", "--out", "file/a.yaml")


def test_a_folder_that_may_not_be_read(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_questions(here / "mine")
    listdir = os.listdir

    def denied(path: object = ".") -> list[str]:  # the tests may run as root, who may read everything
        if str(path).endswith("mine"):
            raise PermissionError(13, "Permission denied", str(path))
        return listdir(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "listdir", denied)
    assert "mine cannot be read: Permission denied; correct its permissions" in refused(here, "mine")


def test_folders_become_answers(here: Path) -> None:
    write_pictures(here / "mine", [f"{name}/{n}.png" for name in ("cat", "dog, big") for n in range(20)])
    assert "with the names of the sub-folders as answers" in refused(here, "mine")
    done = init(here, "mine", "--table")
    assert done.returncode == 0 and "40 rows; the answers are the names of the folders: cat, dog, big" in done.stdout
    with (here / "mine" / "data.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["answer"] for row in rows} == {"cat", "dog, big"} and len({row["question"] for row in rows}) == 1
    assert all(row["image"].startswith(row["answer"]) for row in rows)
    assert experiment(here)["task"] == "vqa_classification"
    assert vlrouting("validate", "mine", cwd=here).returncode == 0
    assert "has a table already" in refused(here, "mine", "--table", "--force")


def test_folders_of_splits_and_classes(here: Path) -> None:
    names = [f"{split}/{name}/{n}.png" for split in ("train", "val") for name in ("cat", "dog") for n in range(5)]
    write_pictures(here / "mine", names)
    assert "train 10, val 10 rows" in init(here, "mine", "--table").stdout
    assert experiment(here)["data"]["test"] == "val"


@pytest.mark.parametrize(
    "task, columns", [("vqa_generation", "image,question,answer"), ("captioning", "image,caption")]
)
def test_a_table_to_fill_in(here: Path, task: str, columns: str) -> None:
    write_pictures(here / "mine", ["a.png", "images/b.png"])
    done = init(here, "mine", "--table", "--task", task)
    assert done.returncode == 0 and "fill in" in done.stdout and "vlrouting init mine" in done.stdout
    rest = "," * columns.count(",")
    assert (here / "mine" / "data.csv").read_text() == f"{columns}\na.png{rest}\nimages/b.png{rest}\n"
    assert not (here / "experiments").exists()
    assert "is empty" in refused(here, "mine")
