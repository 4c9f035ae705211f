"""docs/own-data-format.md says what is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.command_line import REPOSITORY
from tests.data.datasets.table.own_tables import questions, read, touch, write_csv
from vlrouting.config import SplitConfig
from vlrouting.data.datasets.table.columns import COLUMNS
from vlrouting.data.datasets.table.files import ALIASES, EXTENSIONS
from vlrouting.data.example import DataError

PAGE = (REPOSITORY / "docs" / "own-data-format.md").read_text(encoding="utf-8")
YAML, ERRORS = re.findall(r"^```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_column_and_file_name_is_listed() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(COLUMNS)
    assert set(re.findall(r"`\*(\.\w+)`", PAGE)) == set(EXTENSIONS)
    assert {name for name in ALIASES if f"`{name}`" in PAGE} == ALIASES.keys() - {"training", "testing"}


def test_the_section_of_the_page_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(Path("my_data"), [f"{number}.png" for number in range(60)])
    for name in ("all_rows", "other"):
        write_csv(Path("my_data") / f"{name}.csv", questions(60))
    section = yaml.safe_load(YAML)["data"]
    assert section.pop("name") == "jsonl"
    splits = {name: SplitConfig(**files) for name, files in section.pop("splits").items()}
    assert sum(map(len, read(Path(section.pop("root")), splits=splits, **section).values())) == 120


def test_the_errors_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(Path("my_data"), ["0.png"])
    good = {"image": "0.png", "question": "?", "answer": "x", "split": "train"}
    lines = [3, 7, 9, *range(20, 32)]
    rows = [{**good, "image": "cat.jpg"} if line in lines else good for line in range(2, 40)]
    rows[12 - 2] = {**good, "split": "trian"}
    write_csv(Path("my_data/table.csv"), rows)
    with pytest.raises(DataError) as error:
        read(Path("my_data"))
    assert str(error.value) == ERRORS.strip()
