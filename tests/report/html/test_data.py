"""The section on the data, from data.json in the run directories."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from tests.documents.made_up_studies import write_data
from tests.made_up_runs import make_run
from vlrouting.data.inspection import description
from vlrouting.experiment import RunDirectory
from vlrouting.report.comparison import compare_runs
from vlrouting.report.html.data import UNKNOWN, data_uses
from vlrouting.report.html.page import write_page


def a_run(folder: Path, name: str, seed: int = 0) -> RunDirectory:
    settings = {"bottleneck.routing": name}
    return make_run(folder, f"routing={name},seed={seed}", [0.0, 100.0] * 3, seed=seed, settings=settings)


def asked(folder: Path, count: int) -> list[tuple[str, tuple[str, ...], Path]]:
    path = folder / "picture.png"
    Image.new("RGB", (9, 9), "red").save(path)
    return [(f"what is it {number} ?", ("red",) * 2 + ("blue",), path) for number in range(count)]


def section(*folders: Path) -> str:
    """Of a page without the plots of the comparison, which take seconds."""
    found = compare_runs(folders)
    data, notes = data_uses(found.variants)
    page = folders[0].parent / "page.html"
    write_page(found, page, plots=[], tunings={}, data=data, data_notes=notes)
    matched = re.search(r'<section id="dataset".*?</section>', page.read_text(encoding="utf-8"), re.DOTALL)
    return matched[0] if matched else ""


def test_counts_plots_and_examples(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_data(a_run(tmp_path / "x", "mul", seed), "vqav2", asked(tmp_path, 40))
    data = section(tmp_path / "x")
    rows = re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>(.*?)</tr>', data)
    numbers = [re.findall(r"[\d.]+", cells) for _, _, cells in rows]
    assert [row[:2] for row in rows] == [("train", "training"), ("test", "test")]
    assert numbers == [["40", "1", "40", "1", "5.0", "5"], ["20", "1", "20", "1", "5.0", "5"]]
    assert data.count("<svg") == 2
    assert data.count("<img") == data.count('class="card"') == 12 and "12 training examples" in data
    assert "red (2\N{MULTIPLICATION SIGN}), blue" in data and "<h3>x" not in data


def test_points_with_other_data_have_a_part_of_their_own(tmp_path: Path) -> None:
    for name, count in (("none", 8), ("mul", 8), ("add", 6)):
        write_data(a_run(tmp_path / "x", name), "vqav2", asked(tmp_path, count))
    data = section(tmp_path / "x")
    headings = [text for text in re.findall(r"<h3>(.*?)</h3>", data) if text.startswith("x")]
    assert sorted(headings) == ["x: routing=add", "x: routing=mul, routing=none"]
    assert data.count("<table>") == 2


def test_several_experiments_with_the_same_data_share_a_part(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_data(a_run(tmp_path / folder, "mul"), "vqav2", asked(tmp_path, 8))
    assert section(tmp_path / "a", tmp_path / "b").count("<table>") == 1


def test_runs_of_older_versions_and_damaged_files(tmp_path: Path) -> None:
    run = a_run(tmp_path / "x", "mul")
    assert section(tmp_path / "x") == ""
    run.data.write_text('{"dataset": "vqav2", "splits": [{}]}')
    assert f"{run.data} is damaged" in section(tmp_path / "x")


def test_an_image_that_is_not_here_is_a_name(tmp_path: Path) -> None:
    texts = [("what?", ("red",), tmp_path / f"{number}.png") for number in range(4)]
    write_data(a_run(tmp_path / "x", "mul"), "vqav2", texts)
    data = section(tmp_path / "x")
    assert "<img" not in data and data.count('class="absent"') == 4 and "3.png" in data


def test_counts_of_a_part_are_not_those_of_the_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(description, "MOST_DESCRIBED", 6)
    write_data(a_run(tmp_path / "x", "mul"), "vqav2", asked(tmp_path, 8))
    data = section(tmp_path / "x")
    assert "Looked at: 6 of 8 of train, evenly spaced." in data
    cells = re.search(r'<th scope="row">train</th><td>training</td>(.*?)</tr>', data)[1]  # type: ignore[index]
    assert re.findall(r">([^<]+)</td>", cells)[:3] == ["8", UNKNOWN, UNKNOWN]
