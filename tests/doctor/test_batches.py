"""Faults of the arithmetic."""

from pathlib import Path

from tests.doctor.checking import amiss, look, the_one


def test_fewer_examples_than_a_batch_takes(tiny: Path) -> None:
    the_one(look(tiny, "train.batch_size=64"), "fault", "batches", "48 examples", "at most 48")
    assert amiss(look(tiny, "train.batch_size=48")) == []


def test_a_split_with_fewer_examples_than_processes(tiny: Path) -> None:
    findings = look(tiny, "evaluate.limit=1", "train.devices=2")
    the_one(findings, "fault", "batches", "has 1 examples for 2 processes", "train.devices")


def test_a_warm_up_that_never_ends(tiny: Path) -> None:
    overrides = ("train.max_steps=null", "train.epochs=1", "train.warmup_steps=6")
    the_one(look(tiny, *overrides), "warning", "batches", "ends after 6 steps", "train.warmup_fraction")
    assert amiss(look(tiny, *overrides, "train.warmup_steps=5")) == []


def test_longer_than_the_language_model_has_positions(tiny: Path) -> None:
    the_one(look(tiny, "data.max_text_tokens=64"), "warning", "lengths", "65 tokens", "64 positions", "max_text_tokens")
    assert amiss(look(tiny, "data.max_text_tokens=63")) == []
