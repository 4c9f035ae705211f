"""The report on runs of several datasets: examples, data, scores and the routing analysis of each."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.documents.made_up_studies import predictions, write_multitask_study
from vlrouting.experiment import RunDirectory
from vlrouting.report.comparison import Comparison, compare_runs
from vlrouting.report.html.data import data_uses
from vlrouting.report.html.examples import browser
from vlrouting.report.html.page import write_page
from vlrouting.report.html.routing import routing_analyses
from vlrouting.report.html.settings import settings
from vlrouting.report.html.variant_table import columns
from vlrouting.report.panel import panel
from vlrouting.report.plots import draw

NAMES = ("vqa", "gqa", "nlvr2", "captions")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_multitask_study(tmp_path_factory.mktemp("runs"), ("none", "mul"), seeds=2)


@pytest.fixture(scope="module")
def found(folder: Path) -> Comparison:
    return compare_runs([folder])


def test_every_dataset_has_its_share_of_the_examples(found: Comparison) -> None:
    shown = browser(found.variants, 40, 10**7)
    counts = Counter(example["kinds"]["dataset"] for example in shown.data["examples"])
    assert counts == dict.fromkeys(NAMES, 10)
    assert [value for value, _ in shown.kinds["dataset"]] == sorted(NAMES)
    small = browser(found.variants, 100, 10**7)  # 40, 20, 20 and 40 examples: the small ones are shown whole
    assert Counter(e["kinds"]["dataset"] for e in small.data["examples"]) == dict(
        zip(NAMES, (30, 20, 20, 30), strict=True)
    )
    by_dataset = {example["kinds"]["dataset"]: example for example in shown.data["examples"]}
    assert len(by_dataset["nlvr2"]["images"]) == 2
    captions = [output for output in by_dataset["captions"]["outputs"]]
    assert all(output["right"] is None and output["score"] is not None for output in captions)
    assert all(output["right"] is not None for output in by_dataset["gqa"]["outputs"])


def test_examples_of_one_id_are_told_apart(found: Comparison) -> None:
    whole = browser(found.variants, 1000, 10**7)
    assert len(whole.data["examples"]) == 120
    disagree = re.search(r"disagree on (\d+)", whole.shown)
    assert disagree is not None and 0 < int(disagree[1]) < 120


def test_the_data_of_every_dataset_in_the_order_of_the_run(found: Comparison) -> None:
    uses, notes = data_uses(found.variants)
    assert ([use.dataset for use in uses], notes) == (list(NAMES), [])
    assert all(use.cards for use in uses) and len({plot.name for use in uses for plot in use.plots}) == sum(
        len(use.plots) for use in uses
    )
    assert [list(use.labels.values()) for use in uses] == [[["routing=mul", "routing=none"]]] * 4


def test_table_routing_and_settings(found: Comparison, folder: Path) -> None:
    titles = [column.title for column in columns(found)]
    assert titles[2:7] == ["vqa: VQA accuracy", "gqa: GQA accuracy", "nlvr2: NLVR2 accuracy", "captions: CIDEr", "mean"]
    assert {f"{name}: difference to the baseline" for name in (*NAMES, "mean")} < set(titles)
    analyses, notes = routing_analyses(found.variants)
    assert [analysis.label for analysis in analyses][:2] == ["routing=mul: vqa", "routing=mul: captions"] and not notes
    shown = settings(found.variants)
    assert "data.name" not in shown.shared | shown.defaults  # nothing of the section that is not used
    assert shown.shared["datasets.captions.task"] == "captioning" and "datasets.vqa.split" not in shown.shared
    assert "datasets.vqa.max_text_tokens" in shown.defaults


def test_the_page_and_its_plots(found: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlrouting.report.plots.arranged", lambda plot: plot)  # which takes most of the time
    names = {plot.name for plot in draw(found, {}) if plot.figure is not None}
    assert names >= {"learning_curves_validation_mean", "learning_curves_validation_gqa_accuracy"}
    uses, _ = data_uses(found.variants)
    write_page(found, tmp_path / "report.html", plots=[], tunings={}, data=uses, examples=8)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "mean of 4 datasets" in text and "<h3>nlvr2</h3>" in text


def test_a_panel_has_examples_of_every_dataset(folder: Path) -> None:
    records = predictions(RunDirectory(folder / "routing=mul,seed=0"))
    titles = [axis.get_title() for axis in panel(records, 8).axes]
    assert len([title for title in titles if title]) == 8
    assert sum("One of the two pictures" in " ".join(title.split()) for title in titles) == 2
    assert sum("Is the" in title for title in titles) == 2
