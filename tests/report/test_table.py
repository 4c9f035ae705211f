"""The comparison as it is printed and written, from made-up run directories."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.command_line import vlrouting
from tests.made_up_runs import METRIC, TITLE, make_run, make_variant, tuned_rate
from tests.report.test_comparison import flat, tuned_variant
from vlrouting.experiment import UserError
from vlrouting.report import compare, compare_runs
from vlrouting.report.formats import to_csv, to_json, to_latex, to_markdown

LONG = "VQA accuracy (official evaluation code, 2021 variant), 2,000 of 9,673 examples"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three variants, one of them tied with the best, and two points that are not complete."""
    folder = tmp_path / "runs" / "x"
    settings, at_edge = tuned_rate(0.003, edges=["train.lr"])
    tuned_variant(folder, "routing=none", flat(60, 61, 62))
    make_variant(folder, "routing=mul", flat(63, 64.5, 64.5), settings=settings, tuned=at_edge, wall_seconds=3599.7)
    tuned_variant(folder, "routing=add", flat(60.1, 60.9, 62.3), peak_memory_bytes=2**29)
    make_run(folder, "routing=gram,seed=0", seed=0)
    make_run(folder, "routing=self,seed=0", status="failed", error="Loss is | not a number\nat step 3")
    return folder


def printed(folder: Path, width: int = 100) -> str:
    stream = io.StringIO()
    compare([folder], console=Console(file=stream, width=width))
    return stream.getvalue()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_markdown(runs: Path) -> None:
    text = to_markdown(compare_runs([runs]))
    verdicts, costs, unfinished = (
        [cells(line) for line in part.split("\n") if line.startswith("|")]
        for part in [*text.split("**Co")[1:3], text.split("**Points")[1]]
    )
    assert verdicts[0] == [
        "variant",
        "seeds (std)",
        "VQA accuracy",
        "difference to routing=none",
        "p",
        "provisional verdict",
    ]
    assert verdicts[2:] == [
        ["routing=add", "3 (1.11)", "61.10 ± 2.77", "+0.10 ± 0.50", "0.478", verdicts[2][5]],
        ["routing=mul", "3 (0.87)", "**64.00 ± 2.15**", "+3.00 ± 1.24", "0.018", "better"],
        ["routing=none", "3 (1.00)", "61.00 ± 2.48", "baseline", "", ""],
    ]
    assert verdicts[2][5].startswith("no difference shown (could have seen ≥ ")
    assert costs[0] == ["variant", "trainable parameters", "training time", "peak memory", "tuned"]
    assert costs[2] == ["routing=add", "2,500 (2.50%)", "1 min 15 s", "512 MiB", "lr=0.001"]
    assert costs[3] == ["routing=mul", "2,500 (2.50%)", "1 h 00 min", "1.4 GiB", "lr=0.003 (edge)"]
    assert unfinished[2] == ["routing=gram,seed=0", "running"]
    assert "failed: Loss is \\| not a number at step 3" in unfinished[3][1]
    assert text.count("**64.00 ± 2.15**") == 1 and text.count("**") == 8  # three titles and one score
    assert f"Metric: {TITLE}" in text and "6 test examples in 3 clusters" in text
    assert "Missing for a verdict: a wider tuning grid: routing=mul has train.lr=0.003 at its edge; complete" in text


def test_markdown_columns_are_aligned(runs: Path) -> None:
    for table in to_markdown(compare_runs([runs])).split("\n\n"):
        lines = [line.replace("\\|", "xx") for line in table.split("\n") if line.startswith("|")]
        assert len({tuple(at for at, letter in enumerate(line) if letter == "|") for line in lines}) <= 1


def test_csv_has_full_precision(runs: Path) -> None:
    lines = {line["variant"]: line for line in csv.DictReader(io.StringIO(to_csv(compare_runs([runs]))))}
    mul = lines["routing=mul"]
    assert float(mul[METRIC]) == 64 and float(mul[f"{METRIC} std"]) == pytest.approx(0.75**0.5, abs=1e-12)
    assert float(mul["difference"]) == 3 and float(mul["difference_low"]) == pytest.approx(
        3 - 4.302652729911275 * 0.5 / 3**0.5
    )
    assert (mul["verdict"], mul["tied_with_best"], mul["baseline"]) == ("better", "True", "routing=none")
    assert (mul["seeds"], mul["tuned"], mul["at_edge"]) == ("0 1 2", "train.lr=0.003", "train.lr")
    assert (mul["trainable_parameters"], mul["seconds"], mul["peak_memory_bytes"]) == (
        "2500.0",
        mul["seconds"],
        "1500000000.0",
    )
    gram = lines["routing=gram"]
    assert (gram["unfinished"], gram[METRIC], gram["seconds"], gram["verdict"]) == ("1", "", "", "")


def test_json_has_every_run(runs: Path) -> None:
    found = json.loads(to_json(compare_runs([runs])))
    variants = {each["name"]: each for each in found["variants"]}
    assert found["metric"] == METRIC and found["baselines"] == ["routing=none"] and found["titles"] == {METRIC: TITLE}
    assert [run["metrics"][METRIC] for run in variants["routing=mul"]["runs"]] == [63, 64.5, 64.5]
    assert variants["routing=mul"]["difference"]["mean"] == 3 and variants["routing=mul"]["verdict"] == "better"
    assert variants["routing=self"]["unfinished"][0]["status"] == "failed"
    assert found["summary"].startswith("Provisional: routing=mul has the highest VQA accuracy, 64.00")


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_console_shows_every_value_whole_and_fits(runs: Path, width: int) -> None:
    text = printed(runs, width)
    table = text.split("Metric:")[0].split("\n")
    assert max(map(len, table)) <= width
    rows = " ".join(line for line in table if line.lstrip().startswith("routing=mul"))
    for value in (
        "3 (0.87)",
        "64.00 ± 2.15",
        "+3.00 ± 1.24",
        "0.018",
        "better",
        "2,500 (2.50%)",
        "1 h 00 min",
        "1.4 GiB",
    ):
        assert rows.count(value) == 1, value
    assert "lr=0.003 (edge)" in rows
    assert (rows.count("routing=mul") == 2) == (width == 100)  # two tables, neither of them continued
    for number, line in enumerate(table):
        if "─" in line:  # above it the heading, and above that a blank line
            heading = number - next(back for back in range(1, number + 1) if not table[number - back].strip())
            assert number - heading - 1 <= 2, table[heading:number]


def test_the_console_says_what_is_missing_and_where_the_files_are(runs: Path) -> None:
    lines = printed(runs, 80).split("\n")
    assert f"Metric: {TITLE}" in lines
    assert sum(line.startswith("Missing for a verdict: ") for line in lines) == 1
    assert sum(line.startswith("Provisional: routing=mul has the highest") for line in lines) == 1
    assert any(line.startswith(f"Runs:       {runs}/<variant>/") for line in lines)
    assert any("failed: Loss is | not a number at" in line for line in lines)


def test_files_are_written_next_to_the_runs(runs: Path) -> None:
    printed(runs)
    found = compare_runs([runs])
    for name, render in {"md": to_markdown, "csv": to_csv, "json": to_json, "tex": to_latex}.items():
        assert (runs / f"comparison.{name}").read_text(encoding="utf-8") == render(found)
    assert (runs / "plots" / "variants.png").read_bytes().startswith(b"\x89PNG")
    assert not list(runs.glob("*.tmp"))


def test_nothing_is_missing_then_there_is_no_such_line(tmp_path: Path) -> None:
    tuned_variant(tmp_path, "routing=none", flat(60, 61, 62))
    tuned_variant(tmp_path, "routing=mul", flat(63, 64.5, 64.5))
    text = printed(tmp_path)
    assert "Missing for" not in text and "rovisional" not in text and " verdict " in text


def test_one_seed_has_a_small_table_and_no_verdict(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).normal(60, 20, (1, 40))
    for name in ("routing=none", "routing=mul"):
        make_variant(tmp_path, name, scores + (name == "routing=mul"))
    text = printed(tmp_path, 80)
    rows = [line.split() for line in text.split("\n") if line.lstrip().startswith("routing=mul")]
    assert rows[0][-7:-3] == ["+1.00", "±", "0.00", "none:"] or "none: one seed" in " ".join(rows[0])
    assert "for these training runs only, over 40 test examples in 20 clusters" in text
    assert "\nNo verdict yet: each variant has one training seed" in text
    assert "Missing for a verdict: more than one training seed (sweep.seeds): all variants" in text
    assert "**" not in to_markdown(compare_runs([tmp_path])).replace("**Comparison**", "").replace("**Costs**", "")


def test_long_titles_and_further_metrics(tmp_path: Path) -> None:
    further = {f"test/{name}": np.full(6, value) for name, value in {"CIDEr": 385.72, "METEOR": 51.34}.items()}
    titles = {METRIC: LONG, "test/CIDEr": "CIDEr", "test/METEOR": "METEOR"}
    for routing in ("none", "mul"):
        make_variant(tmp_path, f"routing={routing}", flat(98), further=further, shown_metrics=titles)
    text = printed(tmp_path)
    assert f"Metric: {LONG}" in text
    assert all(value in text for value in ("98.00 ± 0.00", "385.72 ± 0.00", "51.34 ± 0.00"))


def test_missing_scores_are_explained_once(tmp_path: Path) -> None:
    remedy = "Java is not on PATH; install Java 8 or newer, for instance with `conda install -c conda-forge openjdk=8`"
    for name in ("routing=none", "routing=mul"):
        make_variant(tmp_path, name, flat(60, 61), not_computed={"METEOR": remedy, "SPICE": remedy})
    make_variant(tmp_path, "routing=gram", flat(60), not_computed={"METEOR": "timed out [10 s]"})
    lines = printed(tmp_path, 80).split("\n")
    assert f"Note: routing=mul, routing=none: METEOR, SPICE not computed: {remedy}" in lines
    assert "Note: routing=gram: METEOR not computed: timed out [10 s]" in lines


def test_a_bar_in_a_name_does_not_end_its_cell(tmp_path: Path) -> None:
    for point in ("x|y", "z"):
        make_run(tmp_path, point, [1.0, 2.0], settings={"train.lr": len(point)}, shown_metrics={METRIC: "a|b"})
    header, rule, first, second = to_markdown(compare_runs([tmp_path])).splitlines()[2:6]
    assert r"a\|b" in header and r"x\|y" in first
    assert len({line.replace(r"\|", "").count("|") for line in (header, rule, first, second)}) == 1


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(4.24, "4.2 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599.7, "1 h 00 min"), (7384, "2 h 03 min")],
)
def test_times(tmp_path: Path, seconds: float, shown: str) -> None:
    make_run(tmp_path, "a", [1.0], wall_seconds=seconds)
    assert f" {shown} " in to_markdown(compare_runs([tmp_path]))


def test_an_empty_folder_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "x" / "notes").mkdir(parents=True)
    with pytest.raises(UserError, match="x/ holds no runs; train the experiment: vlrouting train x"):
        compare([tmp_path / "x"])
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["notes"]


def test_nothing_complete_yet(tmp_path: Path) -> None:
    make_run(tmp_path, "a")
    assert "No point is complete yet." in printed(tmp_path)
    assert {path.name for path in tmp_path.glob("comparison.*")} == {
        f"comparison.{end}" for end in ("md", "csv", "json", "tex")
    }


def test_several_experiments_have_a_folder_of_their_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_variant(tmp_path / "runs" / name, "routing=none", flat(60, 61))
    done = vlrouting("compare", "a", "b", "--runs", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert "a: routing=none" in done.stdout and "b: routing=none" in done.stdout
    assert f"{tmp_path}/runs/comparisons/a+b/" in done.stdout
    assert "b: routing=none" in (tmp_path / "runs" / "comparisons" / "a+b" / "comparison.md").read_text()
    assert not list((tmp_path / "runs" / "a").glob("comparison.*"))


def test_the_command_prints_one_format_alone(runs: Path) -> None:
    arguments = ["compare", "x", "--runs", runs.parent, "--baseline", "routing=add"]
    shown = {name: vlrouting(*arguments, "--format", name).stdout for name in ("json", "csv", "markdown", "latex")}
    found = compare_runs([runs], baseline="routing=add")
    assert json.loads(shown["json"])["baselines"] == ["routing=add"] and shown["csv"] == to_csv(found)
    assert shown["markdown"] == to_markdown(found) and shown["latex"] == to_latex(found)
    wrong = vlrouting("compare", "x", "--runs", runs.parent, "--baseline", "routing=ad")
    assert wrong.returncode == 2 and "no variant 'routing=ad'. Did you mean 'routing=add'?" in wrong.stderr


def test_the_configured_baseline_is_that_of_the_file(tmp_path: Path) -> None:
    for routing in ("none", "mul", "add"):
        make_variant(tmp_path / "runs" / "x", f"routing={routing}", flat(60, 61))
    (tmp_path / "x.yaml").write_text("compare: {baseline: routing=add}\n")
    done = vlrouting("compare", "x.yaml", "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout)["baselines"] == ["routing=add"]
