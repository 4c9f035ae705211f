"""`vlrouting analyse` on trained points: its files, its scalars, its tables."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.command_line import vlrouting
from tests.tiny_experiment import write_several_datasets, write_tuned_experiment
from tests.trained_artifacts import captions, pairs, questions  # noqa: F401
from vlrouting.analysis.answers import Answers
from vlrouting.analysis.layers import LayerMeasures
from vlrouting.analysis.point import Analysis
from vlrouting.analysis.show import Analysed, show
from vlrouting.experiment import RunDirectory, load
from vlrouting.launch.in_process import train


def analysed(folder: Path, runs: Path, *arguments: str, experiment: str = "tiny") -> str:
    """What the command prints; it works on a copy of the trained runs."""
    if not runs.exists():
        shutil.copytree(folder / "runs", runs)
    done = vlrouting("analyse", f"{experiment}.yaml", "--runs", runs, *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def stored(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "analysis.json").read_text())
    return found


def test_a_point_gets_its_file_its_scalars_and_its_layers(questions: Path, tmp_path: Path) -> None:  # noqa: F811
    printed = analysed(questions, tmp_path / "runs", "-p", "routing=mul", "--examples", "1000")
    run = RunDirectory(tmp_path / "runs" / "tiny" / "routing=mul")
    found = stored(run.path)

    assert found["examples"] == 32 and found["clusters"] == 16
    assert found["score"]["own"] == pytest.approx(run.read_metrics()["test/vqa_accuracy"])  # the run's own predictions
    assert {layer["name"] for layer in found["layers"]} == {
        f"encoder.layer.{n}.attention.self.{part}" for n in (0, 1) for part in ("query", "value")
    }
    assert all(layer["bottleneck"] == "bottleneck" and layer["cka"] is not None for layer in found["layers"])
    assert found["answers_changed"].keys() == {"swapped", "removed"}
    assert all(layer["name"] in printed for layer in found["layers"])
    assert not (tmp_path / "runs" / "tiny" / "routing=none" / "analysis.json").exists()

    events = EventAccumulator(str(run.tensorboard / "analysis")).Reload()
    sizes = events.Scalars("analysis/relative_size/attention.self.value")
    assert [event.step for event in sizes] == [0, 1]
    of_values = [layer["relative_size"] for layer in found["layers"] if layer["name"].endswith("value")]
    assert [event.value for event in sizes] == pytest.approx(of_values)
    (swapped,) = events.Scalars("analysis/answers_changed/swapped")
    assert swapped.value == pytest.approx(found["answers_changed"]["swapped"])


def test_a_second_analysis_gives_the_same_and_takes_the_place_of_the_first(
    questions: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(questions / "runs", runs)
    run = RunDirectory(runs / "tiny" / "routing=mul")
    curves = {file.name: file.read_bytes() for file in run.tensorboard.glob("*tfevents*")}
    kept = {name: (run.path / name).read_bytes() for name in ("metrics.json", "predictions.jsonl", "run.json")}
    analysed(questions, runs, "--examples", "8")
    first = stored(run.path)
    printed = analysed(questions, runs, "--examples", "8")

    assert stored(run.path) == first and first["examples"] == 8
    assert "routing=mul" in printed and "routing=none" in printed and "encoder.layer.0" not in printed
    assert len(list((run.tensorboard / "analysis").iterdir())) == 1
    assert {file.name: file.read_bytes() for file in run.tensorboard.glob("*tfevents*")} == curves
    assert {name: (run.path / name).read_bytes() for name in kept} == kept
    plain = stored(runs / "tiny" / "routing=none")
    assert all(layer["relative_size"] == layer["image_dependence"] == 0 for layer in plain["layers"])


def test_captions_and_pairs(captions: Path, pairs: Path, tmp_path: Path) -> None:  # noqa: F811
    analysed(captions, tmp_path / "captions")
    analysed(pairs, tmp_path / "pairs", experiment="pairs")
    captioning = stored(tmp_path / "captions" / "tiny" / "default")
    judging = stored(tmp_path / "pairs" / "pairs" / "default")

    assert captioning["examples"] == 8 and captioning["score"]["metric"] == "CIDEr"
    assert all(layer["width"] == 8 for layer in captioning["layers"])
    assert judging["score"]["metric"] == "accuracy" and judging["clusters"] < judging["examples"]
    assert all(layer["relative_size"] is not None for layer in [*captioning["layers"], *judging["layers"]])


def test_a_tuned_point_is_rebuilt_with_what_was_chosen(tmp_path: Path) -> None:
    """The experiment's own rank fits no artifact."""
    sweep = {"tune": {"grid": {"bottleneck.rank": [2, 4]}, "max_steps": 1}, "seeds": [0]}
    file = write_tuned_experiment(tmp_path, sweep=sweep, bottleneck={"rank": 3}, train={"max_steps": 1})
    for command in ("train", "evaluate", "analyse"):
        done = vlrouting(command, file.name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    run = RunDirectory(tmp_path / "runs" / "tiny" / "seed=0")

    assert stored(run.path)["layers"][0]["width"] == run.read_config()["bottleneck.rank"] != 3


def test_what_cannot_be_analysed_is_said_in_one_sentence(questions: Path, tmp_path: Path) -> None:  # noqa: F811
    none = vlrouting("analyse", "tiny.yaml", "--runs", tmp_path / "empty", cwd=questions)
    assert none.returncode == 2 and "no point is complete" in none.stderr and "Traceback" not in none.stderr

    shutil.copytree(questions / "runs", tmp_path / "runs")
    few = vlrouting("analyse", "tiny.yaml", "--runs", tmp_path / "runs", "--examples", "1", cwd=questions)
    assert few.returncode == 2 and "Traceback" not in few.stderr


def analysis(size: float, changed: tuple[bool, ...]) -> Analysis:
    layer = LayerMeasures("layer.0.query", "bottleneck", "language", 0, "lora", "mul", relative_size=size)
    clusters = tuple(map(str, range(len(changed))))
    return Analysis((layer,), Answers(clusters, {"swapped": changed, "removed": changed}, None))


def test_seeds_of_a_variant_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(width=300)
    seeds = {n: analysis(n, (True, n == 1, False, False)) for n in (1, 2)}
    show([Analysed(f"routing=mul,seed={n}", "routing=mul", each) for n, each in seeds.items()], console)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip().startswith("routing=mul")]

    assert [line[0] for line in lines] == ["routing=mul,seed=1", "routing=mul,seed=2", "routing=mul"]
    assert lines[0][1] == "1.000" and "50.0%" in lines[0] and "25.0%" in lines[1]
    assert lines[2][1:3] == ["(2", "seeds)"] and lines[2][3] == "1.500" and "37.5%" in lines[2]


def test_each_of_several_datasets_is_analysed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # no Java: METEOR takes seconds
    file = write_several_datasets(tmp_path, images=8, evaluate={"panel": 0}, train={"max_steps": 4})
    experiment = load(str(file))
    assert train(experiment, experiment.points, tmp_path / "runs") == {}
    run = RunDirectory(tmp_path / "runs" / "tiny" / "default")
    before = run.predictions.read_text()

    printed = analysed(tmp_path, tmp_path / "runs", "--examples", "1000")
    assert "default: vqa" in printed and "default: captions" in printed
    found = stored(run.path)["datasets"]
    assert {name: of["examples"] for name, of in found.items()} == {"vqa": 16, "captions": 8}
    assert found["vqa"]["score"]["own"] == pytest.approx(run.read_metrics()["test/vqa/vqa_accuracy"])
    assert found["vqa"]["layers"] != found["captions"]["layers"]  # each of its own texts
    assert list((run.tensorboard / "analysis" / "captions").iterdir())
    assert run.predictions.read_text() == before

    analysed(tmp_path, tmp_path / "runs", "--examples", "4", "--dataset", "captions")
    again = stored(run.path)["datasets"]
    assert again["vqa"] == found["vqa"] and again["captions"]["examples"] == 4
    done = vlrouting("analyse", "tiny.yaml", "--runs", tmp_path / "runs", "--dataset", "vqq", cwd=tmp_path)
    assert done.returncode == 2 and "Did you mean 'vqa'?" in done.stderr
