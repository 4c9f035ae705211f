"""`vlrouting list`, `show`, `explain`, completion, and the options that all commands share."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from tests.command_line import REPOSITORY, vlrouting
from tests.experiment.writing import write
from vlrouting.cli import app, completion
from vlrouting.cli.experiments import train
from vlrouting.config.cluster import ClusterConfig
from vlrouting.config.fit import hints_of
from vlrouting.experiment import UserError, known_experiments, load, schema
from vlrouting.experiment.manual import documentation, explain
from vlrouting.experiment.origins import settings
from vlrouting.verbosity import VARIABLE, is_quiet


def test_list_names_every_experiment_and_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = vlrouting("list").stdout.splitlines()
    names = known_experiments(REPOSITORY / "experiments")
    found = {line.split()[0]: line for line in lines if not line.startswith(" ")}
    assert list(found) == names
    assert all(len(line.split()) > 4 and "make train" not in line for line in found.values())
    assert "captioning" in found["demo_caption"] and "large models" in found["coco_gpt2_medium_routing"]
    monkeypatch.setenv("COLUMNS", "50")
    narrow = vlrouting("list").stdout.splitlines()
    assert [line for line in narrow if not line.startswith(" ")] == names
    assert max(map(len, narrow)) <= 50


def test_list_where_there_is_nothing(experiments: Path) -> None:
    done = vlrouting("list", cwd=experiments)
    assert done.returncode == 2 and "no folder experiments/" in done.stderr and str(experiments) in done.stderr
    (experiments / "base" / "short.yaml").unlink()
    assert "experiments/ holds none" in vlrouting("list", cwd=experiments.parent).stderr


def test_show_gives_the_origin_of_every_value(experiments: Path) -> None:
    sweep = "sweep: {cases: {a: {bottleneck.rank: 4}}, grid: {seed: [5, 6]}, points: {p: {train.lr: 0.5}}}\n"
    write(experiments, "x", f"extends: [base/short]\nmodel: {{visual_input: noise}}\n{sweep}")
    here = experiments.parent
    found = {line.partition(":")[0]: line for line in vlrouting("show", "x", "a,seed=6", cwd=here).stdout.splitlines()}
    for key, value, origin in (
        ("seed", "6", "experiments/x.yaml:3, sweep.grid"),
        ("bottleneck.rank", "4", "experiments/x.yaml:3, sweep.cases.a"),
        ("train.max_steps", "7", "experiments/base/short.yaml:1"),
        ("model.visual_input", "noise", "experiments/x.yaml:2"),
        ("bottleneck.routing", "none", "default"),
    ):
        assert found[key].split("#")[0].strip() == f"{key}: {value}"
        assert found[key].rpartition("  # ")[2] == origin
    line = next(
        s
        for s in vlrouting("show", "x", "p", "train.eps=1e-4", cwd=here).stdout.splitlines()
        if s.startswith("train.eps")
    )
    assert line.split() == ["train.eps:", "0.0001", "#", "command", "line"]
    whole = vlrouting("show", "x", cwd=here).stdout
    assert "# differs: seed: [5, 6, 1]" in whole and "model.visual_input: noise" in whole
    for point in ("q", "seed=55", "lr=5"):
        assert vlrouting("show", "x", point, cwd=here).returncode == (0 if point == "seed=55" else 2)
    assert "no point 'lr=5'" in vlrouting("show", "x", "lr=5", cwd=here).stderr
    assert "train.lr" in vlrouting("show", "x", "tran.lr=5", cwd=here).stderr


def test_what_show_prints_is_an_experiment(experiments: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISK", "/secret")
    text = "extends: [base/short]\ndata.root: ${oc.env:DISK}/x\ndata.prompt: 'é: \\${text} # {text}'\n"
    write(experiments, "x", f"{text}bottlenecks: {{a: {{kind: adapter}}, b: {{tower: vision}}}}\n")
    shown = vlrouting("show", "x", cwd=experiments.parent).stdout
    assert "/secret" not in shown
    write(experiments, "again", shown)
    assert load("again").points[0].config == load("x").points[0].config
    assert len(yaml.safe_load(shown)) == len(settings(load("x"), load("x").points))


def test_the_guide(experiments: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, _, _, _, sweep, tuning, references = re.findall(
        r"```yaml\n(.*?)```", (REPOSITORY / "docs" / "experiments.md").read_text(), flags=re.DOTALL
    )
    shutil.copytree(REPOSITORY / "experiments" / "base", experiments / "base", dirs_exist_ok=True)
    write(experiments, "mine", keys + sweep)
    points = load("mine").points
    assert len(points) == 13 and {"lora,routing=mul,seed=0", "text_only"} <= {point.name for point in points}
    assert points[0].config.train.lr == 1e-3
    assert [point.name for point in load("mine", ["sweep=null"]).points] == ["default"]
    assert vlrouting("list", cwd=experiments.parent).stdout.startswith("mine  LoRA with and without the image\n")
    write(experiments, "study", keys.replace("data: {root: /data/vqav2}", "data.root: /data/vqav2") + tuning)
    study = load("study")
    assert (len(study.trials), len(study.points)) == (6 * 3, 6 * 5)
    assert "text_only,seed=4" in {point.name for point in study.points}
    monkeypatch.delenv("DATA", raising=False)
    write(experiments, "mine", "extends: [base/short]\n" + references)
    config = load("mine").points[0].config
    assert (config.data.root, config.vision.cache_dir) == ("/data/vqav2", "/data/vqav2/features")
    assert (config.evaluate.batch_size, config.data.prompt) == (config.train.batch_size, "${text}")


def test_every_key_has_a_manual() -> None:
    for key in schema.all_keys():
        entry = explain(key)
        assert entry.text, key
        if not schema.is_section(schema.hint_of(key)):
            assert entry.facts["type"] and entry.facts["default"], key
    for name in hints_of(ClusterConfig):
        assert explain(f"cluster.{name}").text, name


def test_a_key_that_variants_mean_differently_is_explained_for_each() -> None:
    entry = explain("bottleneck.tokens")
    assert [paragraph.partition(":")[0] for paragraph in entry.text.split("\n\n")] == ["prompt", "prefix", "vfpt"]
    assert entry.facts["default"] == "prompt, prefix: 40; vfpt: 10"
    assert "adapeft: Most trainable parameters" in vlrouting("explain", "select.budget").stdout


def test_explain() -> None:
    out = vlrouting("explain", "bottleneck.rank").stdout
    for fact in ("Width R", "a whole number", "at least 1", "default: 64", "lora, adapter"):
        assert fact in out
    assert "one_cycle" in vlrouting("explain", "train.schedule").stdout
    assert "cross_attention" in vlrouting("explain", "bottleneck.routing").stdout
    assert {"position", "alpha"} <= {
        line.split()[0] for line in vlrouting("explain", "bottleneck").stdout.splitlines() if line
    }
    assert "oc.env" in vlrouting("explain", "data.root").stdout
    assert "questions" in vlrouting("explain", "data.splits.mine").stdout
    assert (
        "max_points" in vlrouting("explain", "sweep").stdout
        and "10,000" in vlrouting("explain", "sweep.max_points").stdout
    )
    assert "sweep" in vlrouting("explain").stdout and "train" in vlrouting("explain").stdout
    for wrong, near in (("train.lrr", "train.lr"), ("mul", "bottleneck.routing"), ("cluster.partitoin", "partition")):
        done = vlrouting("explain", wrong)
        assert done.returncode == 2 and near in done.stderr
    with pytest.raises(UserError):
        explain("sweep.gird")


def test_documentation_is_that_of_the_class_itself() -> None:
    class Plain:
        """No dataclass, and no fields."""

    assert documentation(Plain) == {}


def test_completion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert [name for name, _ in completion.experiments("demo_ca")] == ["demo_caption", "demo_caption_study"]
    assert completion.settings("bottleneck.ro") == ["bottleneck.routing="]
    assert completion.settings("bottleneck.routing=gr") == ["bottleneck.routing=gram", "bottleneck.routing=gram_relu"]
    assert completion.settings("vision.cache=") == ["vision.cache=true", "vision.cache=false"]
    assert "bottleneck" in completion.keys("bott") and "bottleneck=" not in completion.settings("bott")
    context = typer.Context(typer.main.get_command(app))
    context.params.update(experiment="demo_vqa", overrides=None)
    assert completion.points(context, "routing=") == ["routing=none", "routing=mul"]
    context.params.update(experiment="nowhere")
    assert completion.points(context, "") == []


def test_the_shell_asks_for_it() -> None:
    asked = {
        **os.environ,
        "_VLROUTING_COMPLETE": "complete_bash",
        "COMP_WORDS": "vlrouting train demo_vq",
        "COMP_CWORD": "2",
    }
    done = CliRunner().invoke(app, [], env=asked, prog_name="vlrouting")
    assert done.stdout.split() == ["demo_vqa", "demo_vqa_study"]


def test_version() -> None:
    done = vlrouting("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "vlrouting") and done.stdout.strip()[-1].isdigit()


def test_every_command_has_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    own = ("validate", "train", "doctor", "sweep", "status", "cancel", "evaluate", "compare", "list", "show", "explain")
    for command in own:
        assert f"\n  vlrouting {command}" in vlrouting(command, "--help").stdout, command
    assert train.__doc__ and "vlrouting data make shapes" in vlrouting("data", "make", "--help").stdout


def test_quiet_and_verbose(
    experiments: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vlrouting.progress_bar import bars, say

    monkeypatch.setenv(VARIABLE, "")
    write(experiments, "x", "extends: [base/short]\n")
    assert vlrouting("-q", "show", "x", cwd=experiments.parent).returncode == 0
    assert is_quiet() and bars().disable
    say("not shown")
    assert capsys.readouterr().err == ""
    assert "contradict" in vlrouting("-q", "-v", "list", cwd=experiments.parent).stderr
    monkeypatch.setenv(VARIABLE, "")
    done = vlrouting("-v", "show", "x", cwd=experiments.parent)
    assert done.returncode == 0 and not is_quiet()


@pytest.mark.parametrize(
    "command", ["validate", "train", "sweep", "status", "cancel", "evaluate", "compare", "doctor", "show"]
)
def test_without_an_experiment_the_known_ones_are_listed(command: str) -> None:
    for arguments in ((command,), (command, "")):
        done = vlrouting(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "which experiment?" in done.stderr and "demo_vqa" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("status", "docs"), "docs is a folder"),
        (("status", "demo_vqaa"), "Did you mean 'demo_vqa'?"),
        (("compare", "../data"), "letters, digits"),
        (("compare", "a\nb"), "letters, digits"),
        (("validate", "demo_vqa", "seed=1", "seed=2"), "'seed=1' and 'seed=2'"),
        (("sweep", "demo_vqa", "train.nodes=2", "--nodes", "3", "--dry-run"), "'train.nodes=2' and 'train.nodes=3'"),
        (("train", "demo_vqa", "-p", "routing=none", "bottleneck.routing=mul"), "leave one out"),
        (("train", "demo_vqa", "-p", "text_only", "model.visual_input=image"), "leave one out"),
        (("train", "demo_vqa", "-p", "routing=noen"), "Did you mean 'routing=none'?"),
        (("status", "demo_vqa", "--runs", "a\nb"), "--runs"),
        (("status", "demo_vqa", "--runs=-x"), "--runs"),
        (("sweep", "demo_vqa", "--cluster", "x"), "--launcher slurm"),
        (("data", "make", "circles", "--root", "x"), "shapes"),
        (("validate", "experiments"), "experiments is a folder"),
    ],
)
def test_what_is_wrong_with_a_command_line(arguments: tuple[str, ...], said: str) -> None:
    done = vlrouting(*arguments)
    assert done.returncode == 2 and said in done.stderr
    assert "Traceback" not in done.stderr and done.stderr.startswith("vlrouting:")


def test_every_kind_of_end_has_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    from vlrouting.data.example import DataError
    from vlrouting.training.interruption import Cancelled

    def ending(error: BaseException) -> int:
        def stop(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("vlrouting.experiment.load", stop)
        return vlrouting("validate", "demo_vqa").returncode

    assert ending(UserError("x")) == ending(DataError("x")) == 2
    assert ending(KeyboardInterrupt()) == 130
    cancelled = Cancelled(15)
    assert ending(cancelled) == int(cancelled.exit_status) != 0
    with pytest.raises(ZeroDivisionError):
        ending(ZeroDivisionError())
    assert vlrouting("validate", "--nope").returncode == 2
    assert vlrouting("validat").returncode == 2
