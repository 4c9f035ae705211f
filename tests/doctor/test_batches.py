"""Faults of the arithmetic."""

from pathlib import Path

from tests.doctor.checking import findings_of, only_problem, problems


def test_fewer_examples_than_a_batch_takes(tiny: Path) -> None:
    only_problem(findings_of(tiny, "train.batch_size=64"), "fault", "batches", "48 examples", "at most 48")
    assert problems(findings_of(tiny, "train.batch_size=48")) == []


def test_a_split_with_fewer_examples_than_processes(tiny: Path) -> None:
    findings = findings_of(tiny, "evaluate.limit=1", "train.devices=2")
    only_problem(findings, "fault", "batches", "has 1 examples for 2 processes", "train.devices")


def test_a_warm_up_that_never_ends(tiny: Path) -> None:
    overrides = ("train.max_steps=null", "train.epochs=1")
    found = findings_of(tiny, *overrides, "train.warmup_steps=6")
    only_problem(found, "warning", "batches", "ends after 6 steps", "train.warmup_fraction")
    assert problems(findings_of(tiny, *overrides, "train.warmup_steps=5")) == []


def test_longer_than_the_language_model_has_positions(tiny: Path) -> None:
    only_problem(
        findings_of(tiny, "data.max_text_tokens=64"),
        "warning",
        "lengths",
        "65 tokens",
        "64 positions",
        "max_text_tokens",
    )
    assert problems(findings_of(tiny, "data.max_text_tokens=63")) == []
