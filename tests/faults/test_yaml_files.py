"""YAML files from strangers: one sentence, at once, and nothing is built but plain values."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.command_line import REPOSITORY
from tests.experiment.writing import error_lines, write
from tests.faults.test_run_directory_files import edited
from vlrouting.experiment import UserError, load, safe_yaml

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MAPS = "a0: &a0 {questions: q}\n" + "".join(
    f"a{n}: &a{n} {{{', '.join(f'k{i}: *a{n - 1}' for i in range(9))}}}\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "values, aliases followed"),
        (MAPS, "values, aliases followed"),
        (f"bottleneck.targets: &t [{'a, ' * 20000}a]\nplugins: [{'*t, ' * 20}*t]\n", "values, aliases followed"),
        ("bottleneck.targets: " + "[" * 100_000, "levels deep"),
        ("data: " + "{a: " * 5000, "levels deep"),
        ("bottleneck.targets: " + "[" * 60 + "]" * 60, "levels deep"),
        ("data.splits: &a {b: *a}", "an alias contains itself"),
        ("x" * 3_000_000, "larger than 2,000,000 bytes"),
    ],
    ids=["lists", "maps", "wide", "open lists", "open maps", "deep", "circle", "huge"],
)
def test_what_grows_ends_at_once(experiments: Path, text: str, said: str) -> None:
    write(experiments, "x", text)
    started = time.process_time()
    (line,) = error_lines()
    assert said in line and line.startswith("x.yaml")
    assert len(line) < 300
    assert time.process_time() - started < 2


def test_on_the_command_line_too(experiments: Path) -> None:
    write(experiments, "x", "train.max_steps: 1\n")
    for value in ("[" * 3000, "&a [*a]"):
        (line,) = error_lines(overrides=(f"bottleneck.targets={value}",))
        assert line.startswith("command line: bottleneck.targets: ")


@pytest.mark.parametrize(
    "given",
    [
        "data: !!python/object/apply:os.system {args: [touch executed]}",
        "data.root: !!python/object/apply:os.system ['touch executed']",
        "bottleneck.targets: !!python/tuple [a]",
        "seed: !!python/name:os.system ''",
        "data.root: !!binary aGVsbG8=",
        "bottleneck.targets: !!set {a}",
        "train: !mine {lr: 1}",
        "sweep: !mine {grid: {seed: [1]}}",
    ],
)
def test_tags_are_refused(experiments: Path, given: str) -> None:
    write(experiments, "x", f"train.max_steps: 1\n{given}\n")
    found = error_lines()
    assert found[0].startswith(f"x.yaml:2: {given.partition(':')[0]}: ")
    assert not (experiments.parent / "executed").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("train: {max_steps: 1}\n".encode("utf-16"), "UTF-16"),
        ("# größe\n".encode("latin-1") + b"seed: 1\n", "x.yaml:1: is not UTF-8"),
        (b"seed: 1\n# \xe9\n", "x.yaml:2: is not UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "is not UTF-8"),
    ],
)
def test_another_encoding_is_named(experiments: Path, content: bytes, said: str) -> None:
    (experiments / "x.yaml").write_bytes(content)
    (line,) = error_lines()
    assert said in line and "save it as UTF-8" in line


def test_a_byte_order_mark_is_no_error(experiments: Path) -> None:
    (experiments / "x.yaml").write_bytes(b"\xef\xbb\xbf" + b"train: {max_steps: 1}\nseed: 5\n")
    assert load("x").points[0].config.seed == 5


def test_a_folder_is_no_experiment(experiments: Path) -> None:
    (experiments / "y.yaml").mkdir()
    run = experiments.parent / "runs" / "x" / "default"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("train: {max_steps: 1}\n")
    with pytest.raises(UserError, match="is a folder, not an experiment: give a YAML file or a name"):
        load(str(experiments / "y.yaml"))
    with pytest.raises(UserError, match=r"is a folder, not an experiment: give its file .*config\.yaml"):
        load(str(run))
    write(experiments, "x", "extends: [y]\n")
    (line,) = error_lines()
    assert line.startswith("x.yaml:1: extends: there is no experiments/y.yaml")
    with pytest.raises(safe_yaml.Unreadable, match="folder"):
        safe_yaml.read_text(experiments)


@pytest.mark.parametrize("extends", ["[base/gone]", "[x]", "[../x]", "[/etc/passwd]", "['a\\nb']", "[-x]"])
def test_a_wrong_extends_is_not_drowned_in_missing_files(experiments: Path, extends: str) -> None:
    from vlrouting.training.user_errors import missing_files_of

    write(experiments, "x", f"extends: {extends}\ndata: {{root: nowhere, answers: a.json}}\n")
    (line,) = error_lines(missing=missing_files_of)
    assert line.startswith("x.yaml:1: extends: ")


@pytest.mark.parametrize("name", ["a\nb", "-x", "..", "a/../b", "a b", "a;b", "$(id)", "x" * 5000])
def test_a_name_that_is_not_safe_is_refused(experiments: Path, name: str) -> None:
    with pytest.raises(UserError) as caught:
        load(name)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    file = experiments.parent / f"{name.replace('/', '')[:100]}.yaml"
    file.write_text("train: {max_steps: 1}\n")
    if file.stem not in ("..", "xx", "a..b") and not file.stem.startswith("xxx"):
        with pytest.raises(UserError, match="letters, digits"):
            load(str(file))


@pytest.mark.parametrize("name", ["'a\\nb'", "-x", "..", "a/b", "'a b'", "''"])
def test_a_points_name_that_is_not_safe_is_refused(experiments: Path, name: str) -> None:
    quoted = name.replace("'", '"')
    write(experiments, "x", f"train.max_steps: 1\nsweep: {{points: {{{quoted}: {{}}}}}}\n")
    (line,) = error_lines()
    assert line.startswith("x.yaml:2: sweep.points.") and "letters, digits" in line


@pytest.mark.parametrize(
    "given",
    [
        "data.prompt: '{text:>9999999999}'",
        "data.prompt: '{text.__class__}'",
        "data.prompt: '{text[0]}'",
        "data.prompt: '{0}'",
        "data.splits.val.images: '{image_id:0999999999d}'",
        "data.splits.val.images: '{image_id.__class__}'",
        "data.splits.val.images: '{'",
    ],
)
def test_a_template_that_reads_attributes_or_fills_the_memory(experiments: Path, given: str) -> None:
    write(experiments, "x", f"train.max_steps: 1\n{given}\n")
    (line,) = error_lines()
    assert line.startswith(f"x.yaml:2: {given.partition(':')[0]}: ") and "template" in line


@pytest.mark.parametrize("name", ["demo_vqa", "coco_gpt2_routing", "demo_two_towers", "base/vqa"])
def test_random_edits_of_a_shipped_experiment(experiments: Path, name: str) -> None:
    original = (REPOSITORY / "experiments" / f"{name}.yaml").read_bytes()
    shutil.copytree(REPOSITORY / "experiments" / "base", experiments / "base", dirs_exist_ok=True)
    ended: set[bool] = set()
    for seed in range(50):
        (experiments / "x.yaml").write_bytes(edited(original, seed))
        try:
            load("x")
            ended.add(True)
        except UserError as error:
            assert "x" in str(error)
            ended.add(False)
    assert False in ended
