"""Lengths and answers of splits, as they are drawn."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from matplotlib.figure import Figure

from vlrouting.data.inspection.description import Lengths, SplitDescription
from vlrouting.report.plots.distributions import distribution_plots, draw_answers, draw_lengths


def split(name: str, words: dict[int, int], answers: dict[str, int] | None = None, others: int = 0) -> SplitDescription:
    count = sum(words.values())
    lengths = (Lengths.of("words", Counter(words)),)
    distinct = len(answers or {}) + bool(others)
    return SplitDescription(name, (), count, count, 1, count, 0, distinct, answers or {}, others, lengths)


def test_lengths_are_shares_of_each_split() -> None:
    axes = Figure().subplots()
    draw_lengths(axes, [split("train", {2: 30, 4: 10}), split("test", {2: 1, 3: 1})], "words")
    shares = [patch.get_data().values.tolist() for patch in axes.patches]
    assert shares == [[0, 0, 0.75, 0, 0.25], [0, 0, 0.5, 0.5, 0]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "test"]


@pytest.mark.parametrize(("longest", "end"), [(14, 14), (150, 10)])
def test_a_few_long_texts_do_not_stretch_the_axis(longest: int, end: int) -> None:
    axes = Figure().subplots()
    of_split = split("train", {10: 999, longest: 1})
    draw_lengths(axes, [of_split], "words")
    assert axes.get_xlim() == (-0.5, end + 0.5)
    assert axes.patches[0].get_data().values.sum() == pytest.approx(1)
    (plot,) = distribution_plots([of_split])
    assert ("Those longer than 10" in plot.text) == (end == 10)


def test_answers_of_the_first_split_and_what_is_known_of_the_others() -> None:
    axes = Figure().subplots()
    training = split("train", {1: 10}, {"yes": 5, "a very long answer of many words": 3}, others=2)
    test = split("test", {1: 4}, {"yes": 3}, others=1)
    validation = split("val", {1: 4}, {"yes": 4})
    draw_answers(axes, [training, test, validation])
    assert [bar.get_width() for bar in axes.patches] == [0.5, 0.3, 0.2]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == "yes" and labels[1].endswith("…") and labels[2] == "(1 other)"
    of_test, of_validation = (list(line.get_xdata()) for line in axes.lines)
    assert of_test[0] == 0.75 and math.isnan(of_test[1])  # it may be among the other answers
    assert of_validation == [1, 0, 0]


def test_a_split_without_texts_has_no_plot() -> None:
    assert distribution_plots([SplitDescription("empty", (), 0, 0, 0, 0, 0, 0, {}, 0, ())]) == []
