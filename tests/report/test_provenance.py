"""Points that were made in different ways are neither averaged nor compared, unless that is asked for by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.made_up_runs import METRIC, make_run, make_variant
from tests.report.test_comparison import flat, tuned_variant, variant
from vlrouting.cli.reports import Mixed
from vlrouting.report.comparison import compare_runs
from vlrouting.report.rows import PROVENANCE

OTHER = {
    "code": {"code_version": "beef0000deadbeef"},
    "data": {"data_hash": "beef0000deadbeef"},
    "metric": {"shown_metrics": {METRIC: "VQA accuracy (legacy)"}, "metric_variant": "VQA accuracy (legacy)"},
    "precision": {"precision": "bf16-mixed"},
    "device": {"device_kind": "NVIDIA H100"},
}
"""Field -> what run.json has of a point that was made in another way."""


def test_the_command_line_knows_every_field() -> None:
    assert [field.value for field in Mixed] == list(PROVENANCE) == list(OTHER)


@pytest.mark.parametrize("field", OTHER)
def test_points_of_a_variant_that_differ_have_lines_of_their_own(tmp_path: Path, field: str) -> None:
    tuned_variant(tmp_path, "routing=none", flat(60, 61, 62))
    tuned_variant(tmp_path, "routing=mul", flat(63, 65), seeds=(0, 1))
    tuned_variant(tmp_path, "routing=mul", flat(90), seeds=(2,), **OTHER[field])
    found = compare_runs([tmp_path])
    lines = [each for each in found.variants if each.name == "routing=mul"]
    assert sorted(each.mean(METRIC) or 0 for each in lines) == [64, 90]
    assert all(f"[{field} " in each.label for each in lines) and lines[0].label != lines[1].label
    assert all((each.verdict, each.difference, each.tied_with_best) == (None, None, False) for each in lines)
    assert all(PROVENANCE[field] in flag and f"--mixed {field}" in flag for each in lines for flag in each.flags)
    assert {flag for each in lines for flag in each.flags} <= set(found.flags) and len(found.flags) == 2
    mixed = variant(compare_runs([tmp_path], mixed=[field]), "routing=mul")
    assert mixed.mean(METRIC) == pytest.approx((63 + 65 + 90) / 3) and mixed.difference is not None


@pytest.mark.parametrize("field", OTHER)
def test_a_variant_that_differs_from_the_baseline_gets_no_verdict(tmp_path: Path, field: str) -> None:
    tuned_variant(tmp_path, "routing=none", flat(60, 61, 62))
    tuned_variant(tmp_path, "routing=mul", flat(63, 64.5, 64.5), **OTHER[field])
    tuned_variant(tmp_path, "routing=add", flat(63, 64.5, 64.5))
    found = compare_runs([tmp_path])
    mul = variant(found, "routing=mul")
    assert (mul.verdict, mul.difference, mul.tied_with_best) == (None, None, False) and METRIC in mul.intervals
    (flag,) = mul.flags
    assert PROVENANCE[field] in flag and "routing=none" in flag and f"--mixed {field}" in flag
    assert variant(found, "routing=add").verdict == "better"
    assert variant(compare_runs([tmp_path], mixed=[field]), "routing=mul").verdict == "better"


def test_a_baseline_whose_points_differ_gives_no_verdict(tmp_path: Path) -> None:
    tuned_variant(tmp_path, "routing=none", flat(60, 61), seeds=(0, 1))
    tuned_variant(tmp_path, "routing=none", flat(62), seeds=(2,), **OTHER["code"])
    tuned_variant(tmp_path, "routing=mul", flat(90, 91, 92))
    found = compare_runs([tmp_path])
    assert all(each.verdict is None for each in found.variants) and found.missing


def test_what_an_older_run_does_not_say_is_not_different(tmp_path: Path) -> None:
    tuned_variant(tmp_path, "routing=none", flat(60, 61), seeds=(0, 1))
    unknown = {"code_version": None, "data_hash": None, "device_kind": None, "metric_variant": None}
    tuned_variant(tmp_path, "routing=none", flat(62), seeds=(2,), **unknown)
    tuned_variant(tmp_path, "routing=mul", flat(63, 64.5, 64.5), **unknown)
    found = compare_runs([tmp_path])
    assert found.flags == () and variant(found, "routing=mul").verdict == "better"


def test_other_settings_of_workers_and_logging_are_the_same_variant(tmp_path: Path) -> None:
    make_variant(tmp_path, "routing=mul", flat(60), seeds=(0,), settings={"train.workers": 4})
    make_variant(tmp_path, "routing=mul", flat(62), seeds=(1,), settings={"compare.baseline": "routing=mul"})
    assert [each.mean(METRIC) for each in compare_runs([tmp_path]).variants] == [61]


def test_two_points_of_the_same_seed_are_no_replication(tmp_path: Path) -> None:
    for workers, score in ((0, 60.0), (4, 62.0)):
        make_run(tmp_path, f"workers={workers},seed=0", flat(score)[0], settings={"train.workers": workers})
    found = compare_runs([tmp_path])
    assert [(each.label, len(each.runs)) for each in found.variants] == [("workers=0", 1), ("workers=4", 1)]


def test_points_of_other_settings_under_one_name_are_not_averaged(tmp_path: Path) -> None:
    make_run(tmp_path, "a,seed=0", flat(1.0)[0], seed=0)
    make_run(tmp_path, "a,seed=1", flat(2.0)[0], seed=1, settings={"train.lr": 0.5})
    assert [each.label for each in compare_runs([tmp_path]).variants] == ["a,seed=0", "a,seed=1"]
