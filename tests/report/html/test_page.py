"""The page as a file; `tests/documents` opens it in a browser."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.command_line import vlrouting
from tests.documents.made_up_studies import HOSTILE, write_caption_study, write_vqa_study
from tests.faults.small_disk import fill, small_disk
from tests.made_up_runs import make_run, make_variant
from vlrouting.report.html import report_runs


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Names of the elements, and the addresses that they refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "action", "srcset"):
                self.addresses.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)


def test_the_command_writes_one_file_and_the_plots(tmp_path: Path) -> None:
    write_vqa_study(tmp_path / "runs", seeds=1)
    done = vlrouting("report", "vqa_study", "--runs", tmp_path / "runs", "--examples", 5)
    assert done.returncode == 0, done.stderr
    page = tmp_path / "runs" / "vqa_study" / "report.html"
    assert f"Report: {page}" in done.stdout
    assert len(list((page.parent / "plots").iterdir())) == 18
    text = text_of(page)
    tags = Tags(text)
    assert tags.names.count("article") == 0 and tags.names.count("script") == 2 and not tags.handlers
    assert all(address.startswith(("#", "data:image/")) for address in tags.addresses), tags.addresses
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])  # type: ignore[index]
    assert len(data["examples"]) == 5
    assert {"<", ">", "&"}.isdisjoint(re.search(r'id="data">(.*?)</script>', text)[1])  # type: ignore[index]
    assert "image dependence" in text
    assert "train.lr = 0.001" in text and "c0de000000000001" in text


def test_hostile_texts_are_escaped_everywhere(tmp_path: Path) -> None:
    for folder in (write_vqa_study(tmp_path, ("none",), seeds=1), write_caption_study(tmp_path)):
        make_run(folder, "hostile,seed=0", [50.0] * 4, settings={"data.root": HOSTILE}, device=HOSTILE)
        text = text_of(report_runs([folder])[0])
        assert HOSTILE.split("$")[0] not in text and "alert(1)</script>" not in text
        assert HOSTILE in unescape(text)
        tags = Tags(text)
        assert tags.names.count("script") == 2 and not tags.handlers
        assert all(address.startswith(("#", "data:image/")) for address in tags.addresses), tags.addresses


def test_other_file_and_several_experiments(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_variant(tmp_path / name, "routing=none", [[100.0, 0.0, 100.0, 0.0]])
    out = tmp_path / "elsewhere" / "page.html"
    assert vlrouting("report", "a", "b", "--runs", tmp_path, "--out", out).returncode == 0
    assert "a: routing=none" in text_of(out).replace("<wbr>", "")
    assert vlrouting("report", "a", "b", "--runs", tmp_path).returncode == 0
    assert (tmp_path / "comparisons" / "a+b" / "report.html").exists()
    assert (tmp_path / "comparisons" / "a+b" / "plots" / "variants.pdf").exists()


def test_no_runs_is_one_sentence(tmp_path: Path) -> None:
    done = vlrouting("report", "nothing", "--runs", tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "holds no runs" in done.stderr
    assert vlrouting("report", "--runs", tmp_path).returncode == 2


def test_states_alone_where_no_point_is_complete(tmp_path: Path) -> None:
    make_run(tmp_path / "x", "routing=none,seed=0")
    make_run(tmp_path / "x", "routing=mul,seed=0", status="failed", error="out of memory")
    page, *plots = report_runs([tmp_path / "x"])
    assert not plots
    text = text_of(page)
    assert "out of memory" in text and "running" in text and "<svg" not in text and "no test examples to show" in text


def test_a_damaged_analysis_is_noted(tmp_path: Path) -> None:
    folder = write_vqa_study(tmp_path, ("none",), seeds=1)
    (folder / "routing=none,seed=0" / "analysis.json").write_text('{"layers": 3}')
    assert "analysis.json is damaged. `vlrouting analyse` writes it again." in text_of(report_runs([folder])[0])


def test_settings_that_differ_and_environments_that_differ(tmp_path: Path) -> None:
    make_variant(tmp_path / "x", "routing=none", [[0.0, 100.0]] * 2)
    make_variant(tmp_path / "x", "routing=mul", [[0.0, 100.0]] * 2, settings={"bottleneck.rank": 3}, device="gpu")
    text = text_of(report_runs([tmp_path / "x"])[0])
    differing = text[text.index("<h3>That differ</h3>") : text.index("That all points share")]
    assert re.findall(r"<code>(.*?)</code>", differing) == ["bottleneck.rank", "bottleneck.routing"]
    assert "<td>3</td>" in differing
    assert "gpu <small>(routing=mul,seed=0, routing=mul,seed=1)</small>" in text


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_the_earlier_report_stays(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "4m") as disk:
        make_variant(disk / "x", "routing=none", [[100.0, 0.0, 100.0, 0.0]])
        (disk / "x" / "report.html").write_text("earlier")
        fill(disk, leave=8_000)
        done = vlrouting("report", "x", "--runs", disk)
        assert done.returncode == 2 and f"the disk {disk} is full" in done.stderr and "Traceback" not in done.stderr
        assert text_of(disk / "x" / "report.html") == "earlier" and not list(disk.rglob("*.tmp"))
