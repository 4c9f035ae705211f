"""Markdown tables of awkward texts."""

from __future__ import annotations

from vlrouting.report import by_setting, to_markdown
from vlrouting.report.rows import Row


def row(variant: str, accuracy: float) -> Row:
    return Row(
        variant, "complete", metrics={"test/a|b": accuracy}, main_metric="test/a|b", titles={"test/a|b": "a|b"}, seed=1
    )


def test_a_bar_in_a_name_does_not_end_its_cell() -> None:
    header, rule, first, second = to_markdown([row("x|y", 1.0), row("z", 2.0)]).splitlines()[2:6]
    assert r"a\|b" in header and r"x\|y" in first
    assert len({line.replace(r"\|", "").count("|") for line in (header, rule, first, second)}) == 1


def test_no_mean_over_some_of_the_seeds() -> None:
    seeds = [row(f"x,seed={seed}", 1.0) for seed in (1, 2)]
    (whole,) = by_setting(seeds)
    assert whole.measured("test/a|b") is not None
    del seeds[1].metrics["test/a|b"]
    (partial,) = by_setting(seeds)
    assert partial.measured("test/a|b") is None
