"""`compare.baseline` names a variant of the sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlrouting.experiment import ExperimentErrors, UserError, load, to_yaml
from vlrouting.experiment.variant_names import configured_baselines, variant_name

SWEEP = """
compare: {{baseline: {baseline}}}
train: {{max_steps: 1}}
sweep:
  grid: {{bottleneck.routing: [none, mul], seed: [0, 1]}}
  points: {{wide: {{bottleneck.rank: 99}}}}
"""


def written(folder: Path, baseline: str) -> str:
    (folder / "x.yaml").write_text(SWEEP.format(baseline=baseline))
    return str(folder / "x.yaml")


@pytest.mark.parametrize("name", ["routing=none", "wide", "null"])
def test_a_variant_is_named_without_its_seed(tmp_path: Path, name: str) -> None:
    config = load(written(tmp_path, name)).points[0].config
    assert config.compare.baseline == (None if name == "null" else name)
    assert variant_name("rank=4,seed=3,routing=mul") == "rank=4,routing=mul" and variant_name("seed=3") == "default"


@pytest.mark.parametrize(("name", "meant"), [("routing=non", "routing=none"), ("routing=none,seed=0", "routing=none")])
def test_an_unknown_one_is_a_diagnostic_at_its_place(tmp_path: Path, name: str, meant: str) -> None:
    with pytest.raises(ExperimentErrors) as error:
        load(written(tmp_path, f"'{name}'"))
    (diagnostic,) = error.value.diagnostics
    assert (diagnostic.key, diagnostic.line) == ("compare.baseline", 2)
    assert f"'{name}'" in str(diagnostic) and f"Did you mean '{meant}'?" in str(diagnostic)


def test_one_that_is_like_no_other_lists_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"The variants: routing=none, routing=mul, wide\."):
        load(written(tmp_path, "zzz"))


def test_a_point_of_the_sweep_can_be_repeated_from_its_run(tmp_path: Path) -> None:
    (_, point, *_) = load(written(tmp_path, "wide")).points
    stored = tmp_path / "runs" / "x" / point.name / "config.yaml"
    stored.parent.mkdir(parents=True)
    stored.write_text(to_yaml(point.config))
    assert load(str(stored)).points[0].config == point.config


def test_settings_of_the_command_line_may_change_the_names(tmp_path: Path) -> None:
    file = written(tmp_path, "routing=none")
    assert len(load(file, ["bottleneck.routing=mul"]).points) == 3
    with pytest.raises(UserError, match="no variant 'routing=mull'"):
        load(file, ["compare.baseline=routing=mull"])


def test_it_is_the_same_for_every_point(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("train: {max_steps: 1}\nsweep: {grid: {compare.baseline: [a, b]}}")
    with pytest.raises(UserError, match="holds for the whole experiment"):
        load(str(tmp_path / "x.yaml"))


def test_it_is_read_from_the_file_alone(tmp_path: Path) -> None:
    files = [written(tmp_path, "routing=mul"), str(tmp_path / "not_there.yaml")]
    assert configured_baselines(files) == {"x": "routing=mul"}
