"""What the plots show: numbers are read off the figures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from tests.documents.made_up_studies import write_vqa_study
from tests.made_up_runs import METRIC, make_run, make_variant
from vlrouting.report.comparison import Comparison, compare_runs
from vlrouting.report.html.figures import inline_svg
from vlrouting.report.plots import Plot, draw, write
from vlrouting.report.plots.cost import pareto_front
from vlrouting.report.plots.plot import with_scores
from vlrouting.report.trials import tuning_of


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Three tuned variants of three seeds each, and a point that failed."""
    return compare_runs([write_vqa_study(tmp_path_factory.mktemp("runs"))])


@pytest.fixture(scope="module")
def plots(study: Comparison) -> dict[str, Plot]:
    """Its plots by name."""
    return drawn(study)


def drawn(comparison: Comparison) -> dict[str, Plot]:
    tunings = {variant.label: found for variant in comparison.variants if (found := tuning_of(variant))}
    return {plot.name: plot for plot in draw(comparison, tunings)}


def axes_of(plot: Plot) -> list[Axes]:
    assert plot.figure is not None
    return [axes for axes in plot.figure.axes if axes.get_visible()]


def lines(axes: Axes, marker: object) -> list[tuple[list[float], list[float]]]:
    """Data of what is drawn with a marker; `None` for plain lines."""
    return [
        (list(np.ravel(line.get_xdata())), list(np.ravel(line.get_ydata())))
        for line in axes.lines
        if line.get_marker() == marker
    ]


def test_every_seed_is_a_dot_and_the_interval_a_line(study: Comparison, plots: dict[str, Plot]) -> None:
    (axes,) = axes_of(plots["variants"])
    names = [label.get_text() for label in axes.get_yticklabels()]
    best = sorted((v for v in study.variants if v.runs), key=lambda variant: -(variant.mean(METRIC) or 0))
    assert names == [variant.label for variant in best]
    dots = lines(axes, "o")
    for row, variant in enumerate(best):
        seeds = [run.metrics[METRIC] for run in variant.runs]
        assert ([*seeds], [row + 0.2] * 3) in dots
        assert ([pytest.approx(np.mean(seeds))], [row]) in dots
        found = variant.intervals[METRIC]
        assert ([found.low, found.high], [row, row]) in lines(axes, "None")


def test_differences_have_a_zero_line_and_a_shape_per_verdict(study: Comparison, plots: dict[str, Plot]) -> None:
    (axes,) = axes_of(plots["differences"])
    assert [0, 0] in [x for x, _ in lines(axes, "None")]
    compared = {v.label: v for v in study.variants if v.difference is not None}
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert set(names) == set(compared) == {"routing=add", "routing=mul"}
    for row, name in enumerate(names):
        difference = compared[name].difference
        assert difference is not None
        assert ([difference.low, difference.high], [row, row]) in lines(axes, "None")
        marker = {"better": "^", "worse": "v"}.get(compared[name].verdict or "", "o")
        assert ([difference.mean], [row]) in lines(axes, marker)


def test_tuning_marks_what_was_chosen_what_is_at_the_edge_and_what_failed(plots: dict[str, Plot]) -> None:
    panels = {axes.get_title("left"): axes for axes in axes_of(plots["learning_rate"])}
    assert list(panels) == ["routing=add", "routing=mul", "routing=none"]
    assert all(axes.get_xscale() == "log" for axes in panels.values())
    assert ([0.001], [90.0]) in lines(panels["routing=add"], "o") and not lines(panels["routing=add"], "D")
    assert lines(panels["routing=none"], "D") == [([0.0003], [90.0])]
    assert lines(panels["routing=mul"], "D") == [([0.003], [90.0])]
    assert [x for x, _ in lines(panels["routing=none"], "x")] == [[0.003]]
    assert not lines(panels["routing=mul"], "x")


def test_curves_show_the_mean_and_a_band_over_seeds(study: Comparison, plots: dict[str, Plot]) -> None:
    panels = axes_of(plots["learning_curves_validation_vqa_accuracy"])
    assert [axes.get_title("left") for axes in panels] == ["routing=add", "routing=mul", "routing=none"]
    own = panels[0].lines[-1]
    assert list(own.get_xdata()) == [25, 50, 75, 100]
    (band,) = panels[0].collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() < min(own.get_ydata()) and heights.max() > max(own.get_ydata())
    loss = axes_of(plots["learning_curves_train_loss"])[0].lines[-1]
    assert len(loss.get_xdata()) == 50 and loss.get_xdata()[0] == 1.5  # each of two neighbouring steps


def test_pareto_front() -> None:
    variants = [(cost, score) for cost, score in [(1.0, 60.0), (2.0, 59.0), (3.0, 70.0), (3.0, 65.0), (9.0, 70.0)]]
    shown = with_scores(
        Comparison(("x",), tuple(_variant(f"v{n}", score) for n, (_, score) in enumerate(variants)), metric=METRIC)
    )
    by_name = {one.label: one for one in shown}
    priced = [(cost, by_name[f"v{n}"]) for n, (cost, _) in enumerate(variants)]
    assert [one.label for _, one in pareto_front(priced)] == ["v0", "v2"]


def _variant(name: str, score: float):  # type: ignore[no-untyped-def]
    from vlrouting.report.comparison import Variant
    from vlrouting.report.rows import Row

    row = Row(name, "complete", metrics={METRIC: score}, main_metric=METRIC)
    return Variant("x", name, name, (row,))


def test_what_has_no_data_has_a_sentence_and_no_file(tmp_path: Path) -> None:
    make_variant(tmp_path / "x", "routing=none", [[100.0, 0.0, 100.0, 0.0]])
    found = drawn(compare_runs([tmp_path / "x"]))
    absent = {name for name, plot in found.items() if plot.figure is None}
    assert absent == {
        "differences",
        "learning_rate",
        "learning_curves_train_loss",
        "learning_curves_validation_vqa_accuracy",
    }
    assert all(found[name].text.endswith((".", ")")) for name in absent)
    written = {path.name for path in write(found.values(), tmp_path)}
    assert written == {f"{name}.{suffix}" for name in found.keys() - absent for suffix in ("png", "pdf")}


def test_no_point_is_complete(tmp_path: Path) -> None:
    make_run(tmp_path / "x", "routing=none,seed=0")
    assert all(plot.figure is None for plot in drawn(compare_runs([tmp_path / "x"])).values())


def test_files_are_valid_and_nothing_reaches_beyond_the_paper(plots: dict[str, Plot], tmp_path: Path) -> None:
    for path in write(plots.values(), tmp_path):
        if path.suffix == ".pdf":
            assert path.read_bytes().startswith(b"%PDF")
            continue
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L"))
        assert image.width == 1040
        edges = (pixels[:, -2:], pixels[:, :1], pixels[:1], pixels[-1:])
        assert all(edge.min() == 255 for edge in edges), path.name  # a cut-off text would touch the edge


def test_inline_svg_has_unique_ids_and_themed_colours(plots: dict[str, Plot]) -> None:
    texts = [inline_svg(plot.figure, name, '"<') for name, plot in plots.items() if plot.figure is not None]
    identities = re.findall(r' id="([^"]+)"', "".join(texts))
    assert identities and len(identities) == len(set(identities))
    referenced = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', "".join(texts)))
    assert referenced == set(identities)
    assert "var(--blue" in texts[0] and "<metadata" not in texts[0]
    assert 'aria-label="&quot;&lt;"' in texts[0]


def test_a_report_imports_no_torch() -> None:
    code = "import sys, vlrouting.report.html; sys.exit(bool({'torch', 'lightning'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
