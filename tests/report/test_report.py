"""The comparison, from hand-made run directories."""

from __future__ import annotations

import csv
import io
import statistics
from pathlib import Path

import pytest
from rich.console import Console

from vlrouting.config import BottleneckConfig, ExperimentConfig, ModelConfig, TrainConfig
from vlrouting.experiment import RunDirectory, UserError, to_yaml, write_json_atomic
from vlrouting.report import by_setting, collect, compare, metric_keys, to_csv, to_markdown, write_comparison
from vlrouting.report.console_table import render_console
from vlrouting.report.plots import comparison_plot
from vlrouting.report.table import grids

METRIC = "VQA accuracy (official)"


def make(
    runs: Path,
    point: str,
    accuracy: float | None = None,
    *,
    routing: str = "none",
    seed: int = 42,
    visual_input: str = "image",
    workers: int = 0,
    **record: object,
) -> RunDirectory:
    """A run directory; complete when it has an accuracy."""
    config = ExperimentConfig(
        seed=seed,
        bottleneck=BottleneckConfig(routing=routing),
        model=ModelConfig(visual_input=visual_input),
        train=TrainConfig(max_steps=1, workers=workers),
    )
    run = RunDirectory(runs / point)
    run.prepare(to_yaml(config))
    measured = {"trained_parameters": 2_500, "total_parameters": 100_000, "wall_seconds": 75.4}
    measured |= {"main_metric": "test/vqa_accuracy", "shown_metrics": {"test/vqa_accuracy": METRIC}}
    run.update_run(**{"status": "complete" if accuracy is not None else "running", **measured, **record})
    if accuracy is not None:
        extra = {"test/vqa_accuracy/yes_no": 1.0, "test/loss": 0.5, "validation/vqa_accuracy": 2.0}
        write_json_atomic(run.metrics, {"test/vqa_accuracy": accuracy, **extra})
    return run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """An experiment with complete points, one interrupted, one failed, one corrupt and one not started."""
    folder = tmp_path / "runs" / "x"
    make(folder, "routing=mul", 98.0123456789, routing="mul")
    make(folder, "routing=none", 91.25)
    make(folder, "text_only", 55.5, visual_input="none")
    interrupted = make(folder, "routing=add", routing="add")
    write_json_atomic(interrupted.metrics, {"test/vqa_accuracy": 99.9})  # from an earlier attempt
    make(folder, "routing=gram", routing="gram", status="failed", error="Loss is | not a number\nat step 3")
    corrupt = make(folder, "routing=self", 97.0, routing="self")
    corrupt.metrics.write_text('{"test/vqa_accuracy": 97')
    RunDirectory(folder / "routing=expand").prepare(to_yaml(ExperimentConfig()))
    (folder / "notes").mkdir()
    (folder / "comparison.md").write_text("old")
    return folder


def test_complete_rows_come_first_and_others_have_no_numbers(runs: Path) -> None:
    rows = collect(runs)
    assert [(row.variant, row.status, row.main) for row in rows] == [
        ("routing=mul", "complete", 98.0123456789),
        ("routing=none", "complete", 91.25),
        ("text_only", "complete", 55.5),
        ("routing=add", "running", None),
        ("routing=expand", "not started", None),
        ("routing=gram", "failed", None),
        ("routing=self", "unreadable", None),
    ]
    assert "metrics.json is " in rows[-1].reason
    mul = rows[0]
    assert (mul.trainable_parameters, mul.total_parameters, mul.seconds, mul.seed) == (2_500, 100_000, 75.4, 42)
    assert [row.text_only for row in rows[:3]] == [False, False, True]


@pytest.mark.parametrize("name", ["run.json", "config.yaml", "metrics.json"])
def test_each_corrupt_file_is_named(tmp_path: Path, name: str) -> None:
    run = make(tmp_path, "a", 1.0)
    (run.path / name).write_text("{[")
    (row,) = collect(tmp_path)
    assert row.status == "unreadable" and name in row.reason and row.metrics == {}


def test_complete_without_its_metric_is_unreadable(tmp_path: Path) -> None:
    run = make(tmp_path, "a", 1.0)
    write_json_atomic(run.metrics, {"test/loss": 1.0})
    (row,) = collect(tmp_path)
    assert (row.status, row.main) == ("unreadable", None) and "has no 'test/vqa_accuracy'" in row.reason
    assert collect(tmp_path / "nowhere") == []
    with pytest.raises(UserError, match="holds no runs"):
        compare(tmp_path / "nowhere")


def test_markdown(runs: Path) -> None:
    text = to_markdown(collect(runs))
    lines = text.split("\n")
    assert lines[2].startswith(
        "| variant        | trainable parameters | VQA accuracy (official) | training time | status"
    )
    table = [line for line in lines if line.startswith("|")]
    bars = {tuple(at for at, letter in enumerate(line) if letter == "|") for line in table if "\\|" not in line}
    assert len(bars) == 1 and len({len(line) for line in table}) == 1  # every column is aligned
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[2:]]
    assert cells[0] == ["routing=mul", "2,500 (2.50%)", "**98.01**", "1 min 15 s", "complete"]
    assert cells[2] == ["text_only", "2,500 (2.50%)", "55.50", "1 min 15 s", "complete"]
    assert cells[3] == ["routing=add", "", "", "", "running"]
    assert [line[-1] for line in cells[4:]] == ["not started", "failed [1]", "unreadable [2]"]
    after = text[text.index("unreadable [2]") :].split("\n")[1:]
    assert after[:2] == ["", "[1] Loss is | not a number at step 3"]
    assert after[2] == "" and after[3].startswith(f"[2] {runs}/routing=self/metrics.json is ")
    assert text.count("**98.01**") == 1 and text.count("**") == 4  # the title and the best value
    rule = [cell.strip() for cell in table[1].strip("|").split("|")]
    assert [cell.endswith(":") for cell in rule] == [False, True, True, True, False]


def test_a_single_number_is_not_bold_and_equal_numbers_are_all_bold(tmp_path: Path) -> None:
    make(tmp_path, "a", 50.001)
    assert "**50.00**" not in to_markdown(collect(tmp_path))
    make(tmp_path, "b", 50.002, routing="add")
    assert to_markdown(collect(tmp_path)).count("**50.00**") == 2


def test_csv_has_full_precision_and_every_test_metric(runs: Path) -> None:
    table = list(csv.DictReader(io.StringIO(to_csv(collect(runs)))))
    assert [line["variant"] for line in table[:3]] == ["routing=mul", "routing=none", "text_only"]
    assert table[0]["test/vqa_accuracy"] == "98.0123456789"
    assert (table[0]["test/loss"], table[0]["seconds"], table[0]["metric"]) == ("0.5", "75.4", METRIC)
    assert table[0]["seed"] == "42" and table[0]["trainable_parameters"] == "2500"
    assert "test/vqa_accuracy/yes_no" not in table[0] and "validation/vqa_accuracy" not in table[0]
    for line in table[3:]:
        assert (line["test/vqa_accuracy"], line["seconds"], line["trainable_parameters"]) == ("", "", "")


def test_metrics_can_be_chosen(runs: Path) -> None:
    rows = collect(runs)
    assert metric_keys(rows) == ["test/vqa_accuracy", "test/loss"]
    (grid,) = grids(rows, ["test/loss", "test/vqa_accuracy"])
    assert grid.header == ["variant", "trainable parameters", "test/loss", METRIC, "training time", "status"]
    assert [cell.text for cell in grid.lines[0][2:4]] == ["0.50", "98.01"]
    with pytest.raises(UserError, match=r"no metric 'test/los'\. Did you mean 'test/loss'"):
        to_markdown(rows, ["test/los"])


def test_seeds_are_averaged(tmp_path: Path) -> None:
    make(tmp_path, "routing=add,seed=1", 90.0, routing="add", seed=1, wall_seconds=10)
    make(tmp_path, "routing=add,seed=2", 92.0, routing="add", seed=2, wall_seconds=20, workers=4)
    make(tmp_path, "routing=add,seed=10", 97.0, routing="add", seed=10, wall_seconds=33)
    make(tmp_path, "routing=none,seed=1", 80.0, seed=1)
    make(tmp_path, "routing=none,seed=2", seed=2)
    rows = collect(tmp_path)
    assert [row.seed for row in rows][:3] == [1, 2, 10]
    add, none = by_setting(rows)
    measured = add.measured("test/vqa_accuracy")
    assert measured is not None and measured.std is not None
    assert (add.variant, len(add.rows), measured.mean) == ("routing=add", 3, 93.0)
    assert measured.std == pytest.approx(13**0.5)  # ((3² + 1² + 4²) / 2) ** 0.5
    assert measured.std == pytest.approx(statistics.stdev([90.0, 92.0, 97.0]))
    single = none.measured("test/vqa_accuracy")
    assert single is not None and (single.mean, single.std) == (80.0, None)
    means = to_markdown(rows).split("Mean ± sample standard deviation over the seeds")[1]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in means.split("\n") if "routing" in line]
    assert lines == [
        ["routing=add", "3", "2,500 (2.50%)", "**93.00 ± 3.61**", "21 s"],
        ["routing=none", "1", "2,500 (2.50%)", "80.00", "1 min 15 s"],
    ]


def test_without_several_seeds_there_is_one_table(runs: Path) -> None:
    assert len(grids(collect(runs))) == 1


def test_points_of_different_settings_are_not_grouped(tmp_path: Path) -> None:
    make(tmp_path, "a,seed=1", 1.0, seed=1)
    make(tmp_path, "a,seed=2", 2.0, seed=2, routing="add")
    assert [group.variant for group in by_setting(collect(tmp_path))] == ["a,seed=1", "a,seed=2"]


def test_numbers_of_different_metric_variants_are_not_compared(tmp_path: Path) -> None:
    make(tmp_path, "a", 50.0)
    make(tmp_path, "b", 60.0, routing="add", shown_metrics={"test/vqa_accuracy": "VQA accuracy (legacy)"})
    (grid,) = grids(collect(tmp_path))
    assert grid.header[2:4] == ["test/vqa_accuracy", "metric"]
    assert [line[3].text for line in grid.lines] == [METRIC, "VQA accuracy (legacy)"]
    assert "**60.00**" not in to_markdown(collect(tmp_path))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(4.24, "4.2 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599.7, "1 h 00 min"), (7384, "2 h 03 min")],
)
def test_times(tmp_path: Path, seconds: float, shown: str) -> None:
    make(tmp_path, "a", 1.0, wall_seconds=seconds)
    assert f" {shown} " in to_markdown(collect(tmp_path))


def test_compare_prints_and_writes(runs: Path) -> None:
    stream = io.StringIO()
    rows = compare(runs, console=Console(file=stream, width=100))
    printed = stream.getvalue()
    assert "routing=mul" in printed and "98.01" in printed and "99.9" not in printed
    assert f"{runs}/<variant>/" in printed
    assert (runs / "comparison.md").read_text() == to_markdown(rows)
    assert (runs / "comparison.csv").read_text() == to_csv(rows)
    assert (runs / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert not list(runs.glob("*.tmp"))


def test_narrow_console_keeps_names_and_numbers_whole(runs: Path) -> None:
    stream = io.StringIO()
    compare(runs, console=Console(file=stream, width=80))
    line = next(line for line in stream.getvalue().split("\n") if "routing=mul" in line)
    assert "2,500 (2.50%)" in line and "98.01" in line and "1 min 15 s" in line and "complete" in line


LONG = "VQA accuracy (official evaluation code, 2021 variant), 2,000 of 9,673 examples"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_heading_has_more_than_two_lines_and_every_value_is_there(tmp_path: Path, width: int) -> None:
    titles = {"test/vqa_accuracy": LONG, "test/CIDEr": "CIDEr", "test/METEOR": "METEOR", "test/BLEU-4": "BLEU-4"}
    for routing in ("none", "mul"):
        run = make(tmp_path, f"routing={routing},lr=0.0003", 98.0, routing=routing, shown_metrics=titles)
        scores = {"test/vqa_accuracy": 98.0, "test/CIDEr": 385.72, "test/METEOR": 51.34, "test/BLEU-4": 72.88}
        write_json_atomic(run.metrics, scores)
    stream = io.StringIO()
    render_console(collect(tmp_path), console=Console(file=stream, width=width))
    lines = stream.getvalue().split("\n")
    assert f"Metric:     {LONG}" in lines
    table = [line for line in lines if not line.startswith("Metric:")]
    assert max(map(len, table)) <= width
    for number, line in enumerate(table):
        if "─" in line:  # above it the heading, and above that a blank line
            heading = number - next(back for back in range(1, number + 1) if not table[number - back].strip())
            assert number - heading - 1 <= 2, table[heading:number]
    rows = [line for line in table if line.lstrip().startswith("routing=none,lr=0.0003")]
    shown = " ".join(rows)
    for value in ("98.00", "385.72", "51.34", "72.88", "2,500 (2.50%)", "1 min 15 s", "complete"):
        assert shown.count(value) == 1, value
    assert (len(rows) == 1) == (width == 120)


def test_variants_are_sorted_by_value(tmp_path: Path) -> None:
    expected = ["lr=1e-05", "lr=0.0003", "lr=0.001", "lr=0.01", "lr=1", "rank=8", "rank=64", "vit_8", "vit_16"]
    assert [float(name[3:]) for name in expected[:5]] == sorted(float(name[3:]) for name in expected[:5])
    for name in [*expected[::2], *expected[1::2]]:
        make(tmp_path, f"{name},routing=add", 1.0)
    assert [row.variant for row in collect(tmp_path)] == [f"{name},routing=add" for name in expected]


def test_an_empty_folder_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "x" / "notes").mkdir(parents=True)
    with pytest.raises(UserError, match="x/ holds no runs; train the experiment: vlrouting train x"):
        compare(tmp_path / "x")
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["notes"]


def test_notes_below_the_table_explain_missing_scores(tmp_path: Path) -> None:
    remedy = "Java is not on PATH; install Java 8 or newer, for instance with `conda install -c conda-forge openjdk=8`"
    missing = {"METEOR": remedy, "SPICE": remedy}
    make(tmp_path, "routing=add", 90.0, routing="add", not_computed=missing)
    make(tmp_path, "routing=mul", 91.0, routing="mul", not_computed=missing)
    make(tmp_path, "routing=gram", 92.0, routing="gram", not_computed={"METEOR": "timed out [10 s]"})
    make(tmp_path, "routing=none", 89.0)
    rows = collect(tmp_path)
    (grid,) = grids(rows)
    assert [line[-1].text for line in grid.lines] == ["complete [1]", "complete [2]", "complete [1]", "complete"]
    notes = [f"[1] METEOR, SPICE not computed: {remedy}", "[2] METEOR not computed: timed out [10 s]"]
    assert grid.numbered_notes == notes
    stream = io.StringIO()
    render_console(rows, console=Console(file=stream, width=80))
    printed = stream.getvalue().split("\n")
    assert all(note in printed for note in notes)  # on one line each
    assert any(line.split()[-2:] == ["complete", "[1]"] and "routing=mul" in line for line in printed)
    assert to_markdown(rows).endswith(f"|\n\n{notes[0]}\n\n{notes[1]}\n")
    assert {line["reason"] for line in csv.DictReader(io.StringIO(to_csv(rows)))} == {
        "",
        *(note[4:] for note in notes),
    }


def test_nothing_complete_yet(tmp_path: Path) -> None:
    make(tmp_path, "a")
    compare(tmp_path, console=Console(file=io.StringIO()))
    assert not (tmp_path / "comparison.png").exists()
    assert [path.name for path in write_comparison(tmp_path, collect(tmp_path))] == ["comparison.md", "comparison.csv"]
    with pytest.raises(UserError, match="no point is complete"):
        comparison_plot(collect(tmp_path), tmp_path / "plot.png")


def test_plot_of_seeds_and_text_only_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    make(tmp_path, "routing=add,seed=1", 90.0, routing="add", seed=1)
    make(tmp_path, "routing=add,seed=2", 92.0, routing="add", seed=2)
    make(tmp_path, "routing=none", 95.0)
    make(tmp_path, "text_only", 50.0, visual_input="none")
    figures: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *args, **options: (figures.append(self), save(self, *args, **options))
    )
    comparison_plot(collect(tmp_path), tmp_path / "plot.png")
    (axes,) = figures[0].axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["routing=add", "routing=none"]
    assert [bar.get_width() for bar in axes.patches] == [91.0, 95.0]
    assert [text.get_text() for text in axes.texts] == ["91.00 ± 1.41", "95.00"]
    baselines = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [list(line.get_xdata()) for line in baselines] == [[50.0, 50.0]]
    assert axes.get_xlabel() == METRIC and axes.get_xlim()[0] == 0.0
    assert figures[0].legends[0].get_texts()[0].get_text() == "text_only: 50.00 (no image)"
