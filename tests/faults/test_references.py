"""What `${…}` may read, and where that may go."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest

from tests.experiment.writing import error_lines, write
from vlrouting.config import ExperimentConfig
from vlrouting.config.environment import FromEnvironment
from vlrouting.experiment import RunDirectory, config_from_dict, load, to_yaml
from vlrouting.experiment.compose import STORED

SECRET = "hf_0123456789abcdef"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret and a path in the environment."""
    monkeypatch.setenv("TOKEN", SECRET)
    monkeypatch.setenv("DISK", "/big/disk")


@pytest.mark.parametrize(
    "given",
    [
        "language.name: '${oc.env:TOKEN}/x'",
        "language.name: ${data.root}\ndata.root: ${oc.env:TOKEN}",
        "language: {name: '${vision.cache_dir}', gguf_file: x}\nvision.cache_dir: '${data.root}/a'\n"
        "data.root: ${oc.env:TOKEN}",
        "language.revision: ${oc.env:TOKEN}",
        "language.gguf_file: ${oc.env:TOKEN}",
        "vision.name: hf-hub:${oc.env:TOKEN}",
        "data.prompt: '${oc.env:TOKEN}{text}'",
        "bottleneck.targets: ['${oc.env:TOKEN}']",
        "plugins: ['${oc.env:TOKEN}']",
        "data.train: ${oc.env:TOKEN}",
        "sweep: {grid: {language.name: ['${oc.env:TOKEN}']}}",
        "sweep: {points: {a: {language.name: '${oc.env:TOKEN}'}}}",
    ],
)
def test_a_variable_is_for_paths_only(experiments: Path, given: str) -> None:
    write(experiments, "x", f"train.max_steps: 1\n{given}\n")
    found = error_lines()
    assert SECRET not in "\n".join(found)
    key = given.partition(":")[0]
    assert any("${oc.env:TOKEN}" in line and "paths" in line and "write the value itself" in line for line in found)
    assert any(key.removeprefix("sweep") in line for line in found)


@pytest.mark.parametrize(
    "resolver", ["oc.decode:1", "oc.create:{a: 1}", "oc.select:seed", "oc.deprecated:seed", "my_own:1", "env:HOME"]
)
def test_there_is_no_other_resolver(experiments: Path, resolver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(experiments, "x", f"train.max_steps: 1\ndata.root: '${{{resolver}}}'\n")
    (line,) = error_lines()
    assert line.startswith("x.yaml:2: data.root: ") and "${oc.env:NAME}" in line


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("${oc.env:NOT_SET_AT_ALL}", "NOT_SET_AT_ALL is not set"),
        ("${data.root}", "ecursi"),
        ("${vision.cache_dir}", "ecursi"),
        ("${train}", "train is a section"),
        ("${train.lrr}", "train.lr"),
        ("${bottleneck.rank", "}"),
        ("${bottleneck.${seed}}", "}"),
        ("${language.transforms}", "is a section"),
    ],
)
def test_one_that_leads_nowhere(experiments: Path, root: str, said: str) -> None:
    loop = "vision.cache_dir: ${data.root}\n" if "cache_dir" in root else ""
    write(experiments, "x", f"train.max_steps: 1\nbottleneck.layers: [0]\ndata.root: '{root}'\n{loop}")
    line = error_lines()[0]
    assert "cannot be resolved" in line and said in line


def test_what_is_read_keeps_its_type_and_may_be_relative(experiments: Path) -> None:
    text = "seed: 7\ntrain: {max_steps: '${seed}', batch_size: '${.accumulate}0', accumulate: 2, lr: '${.weight_decay}'"
    more = "bottleneck.layers: ['${seed}']\ndata.prompt: '\\${text}'\n"
    write(experiments, "x", f"{text}, weight_decay: 1e-3}}\n{more}")
    config = load("x").points[0].config
    assert (config.train.max_steps, config.train.batch_size, config.train.lr) == (7, 20, 1e-3)
    assert config.bottleneck.layers == [7] and config.data.prompt == "${text}"
    write(experiments, "again", to_yaml(config))
    assert load("again").points[0].config == config


def test_what_is_written_has_the_variable_and_not_its_value(
    experiments: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    roots = "sweep: {grid: {data.root: ['${oc.env:DISK}/a', '${oc.env:DISK}/b'], seed: [1]}}"
    paths = "vision: {cache_dir: '${data.root}/cache', weights: '${oc.env:NOWHERE,/models}/w.pt'}\n"
    write(experiments, "x", f"train.max_steps: 1\n{paths}{roots}\n")
    experiment = load("x")
    point = experiment.points[0]
    config = point.config
    assert (config.data.root, config.vision.cache_dir) == ("/big/disk/a", "/big/disk/a/cache")
    assert config.vision.weights == "/models/w.pt"
    run = RunDirectory(tmp_path / "runs" / "x" / point.name)
    run.prepare(to_yaml(config))
    run.update_run(swept=experiment.swept(point))
    for file in (run.config, run.run_json):
        text = file.read_text()
        assert "/big/disk" not in text and "/models/w.pt" not in text.replace("${oc.env:NOWHERE,/models}/w.pt", "")
        assert "${oc.env:DISK}/a" in text
    assert "big" not in point.name and "DISK" in point.name
    again = load(str(run.path / STORED)).points[0].config
    assert again == config and to_yaml(again) == to_yaml(config)
    monkeypatch.setenv("DISK", "/other")  # another machine
    assert load(str(run.path / STORED)).points[0].config.data.root == "/other/a"


def test_copies_and_processes_keep_what_is_written() -> None:
    text = FromEnvironment("/big/disk", "${oc.env:DISK}")
    for other in (copy.deepcopy(text), pickle.loads(pickle.dumps(text)), copy.copy(text)):
        assert other == "/big/disk" and other.written == "${oc.env:DISK}"
    assert type(str(text)) is str and type(f"{text}/x") is str


def test_an_artifact_resolves_nothing() -> None:
    stored = {"data": {"root": "${oc.env:TOKEN}"}, "language": {"name": "${oc.env:TOKEN}", "revision": "${seed}"}}
    config = config_from_dict(stored)
    assert (config.data.root, config.language.name) == ("${oc.env:TOKEN}", "${oc.env:TOKEN}")
    assert config.language.revision == "${seed}"
    assert SECRET not in json.dumps(stored) + repr(config)


def test_an_artifact_is_written_without_the_value(experiments: Path) -> None:
    from dataclasses import asdict

    from vlrouting.config.environment import as_written

    write(experiments, "x", "train.max_steps: 1\ndata.root: ${oc.env:DISK}/a\n")
    stored = as_written(asdict(load("x").points[0].config))
    assert json.loads(json.dumps(stored))["data"]["root"] == "${oc.env:DISK}/a"
    assert config_from_dict(stored).data.root == "${oc.env:DISK}/a"
    assert ExperimentConfig().data.root == "data/vqav2"
