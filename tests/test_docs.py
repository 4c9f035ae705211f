"""Every block of the guides is run, in the order in which a reader types it."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import runpy
import shlex
import shutil
import sys
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from tests.command_line import REPOSITORY, vlrouting
from tests.starter.folders import write_pictures

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.(?:py|yaml))\n")
SECONDS = "seconds.txt"
"""Written beside what a guide writes: how long each of its bash blocks took."""
SHOWN = ("", "text", "csv")
"""Blocks that a reader only looks at."""


def follow(guide: str, folder: Path, *commands: str) -> list[str]:
    """Do what a guide says in a folder: write its files, run its commands. Then run further commands there.

    All in one process, forked from a server that has imported everything; a program for each takes seconds to.

    Returns:
        What each of the guide's bash blocks, and each further command, prints.
    """
    shutil.copytree(REPOSITORY / "experiments" / "base", folder / "experiments" / "base")
    printed = folder / "printed.json"
    process = multiprocessing.get_context("forkserver").Process(target=_follow, args=(guide, folder, commands, printed))
    process.start()
    process.join()
    assert process.exitcode == 0  # its errors are on the standard error
    found: list[str] = json.loads(printed.read_text())
    return found


def _follow(guide: str, folder: Path, commands: tuple[str, ...], printed: Path) -> None:
    os.chdir(folder)
    sys.path.insert(0, "")
    found = []
    for language, text in BLOCK.findall((REPOSITORY / "docs" / guide).read_text(encoding="utf-8")):
        if language == "bash":
            start = time.monotonic()
            found.append(run(text))
            with (folder / SECONDS).open("a", encoding="utf-8") as log:
                log.write(f"{time.monotonic() - start:6.1f} s  {text}")
        elif language not in SHOWN:
            name = FILE.match(text)
            assert name is not None, f"{guide}: a block without the name of its file: {text[:60]}"
            Path(name[1]).parent.mkdir(parents=True, exist_ok=True)
            Path(name[1]).write_text(text, encoding="utf-8")
    printed.write_text(json.dumps([*found, *map(run, commands)]))


def run(commands: str) -> str:
    """What lines that begin with `vlrouting` or `python` print."""
    printed = ""
    for line in commands.replace("\\\n", "").splitlines():
        program, *arguments = shlex.split(line, comments=True) or [""]
        if program == "vlrouting":
            done = vlrouting(*arguments, cwd=Path.cwd())
            assert done.returncode == 0, f"{line}\n{done.stderr[-3000:]}"
            printed += done.stdout
        elif program == "python":
            sys.argv = arguments
            with redirect_stdout(StringIO()) as out:
                runpy.run_path(arguments[0], run_name="__main__")
            printed += out.getvalue()
        else:
            assert not program, f"neither vlrouting nor python: {line}"
    return printed


@pytest.mark.slow
def test_adding_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "check_wrong.py").write_text(CHECK_WRONG)
    _, printed, told = follow("adding-a-dataset.md", tmp_path, f"python check_wrong.py {' '.join(WRONG)}")
    assert "experiments/flags.yaml: 2 points" in printed
    assert "flags accuracy" in (tmp_path / "runs" / "flags" / "comparison.md").read_text()
    done = tmp_path / "runs" / "flags" / "routing=mul"
    records = [json.loads(line) for line in (done / "predictions.jsonl").read_text().splitlines()]
    assert len(records) == 90
    right = sum(record["prediction"] == record["references"][0] for record in records)
    assert json.loads((done / "metrics.json").read_text())["test/accuracy"] == pytest.approx(100 * right / 90)
    assert json.loads((done / "flags_results.json").read_text()).keys() == {record["id"] for record in records}
    answers = json.loads((done / "artifact" / "adapter_config.json").read_text())["answers"]
    assert sorted(answers) == ["blue", "green", "red", "white"]
    for override, sentence in WRONG.items():
        assert sentence in told, f"{override}: {told}"


WRONG = {
    "data.name=flagz": "'flagz' is not one of vqav2, coco, gqa, nlvr2, jsonl, flags. Did you mean 'flags'?",
    "task=captioning": "captioning is for coco, jsonl, not for flags",
    "data.root=elsewhere": "elsewhere/train.csv is missing (data.splits.train.questions); put it there, or correct",
    "data.train=trian": "Did you mean 'train'?",
}
"""Override -> part of what is said."""
CHECK_WRONG = """
import sys
from vlrouting.experiment import ExperimentErrors, load
from vlrouting.training.user_errors import missing_files_of
for override in sys.argv[1:]:
    try:
        load("flags", [override], check_files=missing_files_of)
    except ExperimentErrors as error:
        print(error)
"""


@pytest.mark.slow
def test_adding_a_routing_function(tmp_path: Path) -> None:
    _, printed = follow("adding-a-routing-function.md", tmp_path)
    assert "experiments/gated.yaml: 2 points" in printed
    for routing in ("none", "gated"):
        assert (tmp_path / "runs" / "gated" / f"routing={routing}" / "artifact" / "adapter_config.json").is_file()
    assert re.search(r"^ *\d+\.\d%  \w+$", printed, re.MULTILINE)


def trained_parameters(run: Path) -> int:
    return int(json.loads((run / "run.json").read_text())["trained_parameters"])


@pytest.mark.slow
def test_adding_a_bottleneck_kind(tmp_path: Path) -> None:
    printed = follow("adding-a-bottleneck-kind.md", tmp_path)[-1]
    assert "experiments/ssf.yaml: 3 points" in printed
    runs = tmp_path / "runs" / "ssf"
    assert trained_parameters(runs / "ssf") > trained_parameters(runs / "scale_only")
    stored = json.loads((runs / "ssf" / "artifact" / "adapter_config.json").read_text())
    assert stored["experiment"]["bottleneck"]["kind"] == "ssf" and stored["experiment"]["bottleneck"]["shift"] is True


@pytest.mark.slow
def test_adding_a_transform(tmp_path: Path) -> None:
    (printed,) = follow("adding-a-transform.md", tmp_path)
    assert "experiments/sparse.yaml: 2 points" in printed
    stored = json.loads((tmp_path / "runs/sparse/sparsity=0.6/artifact/adapter_config.json").read_text())
    assert stored["experiment"]["language"]["transforms"] == {"magnitude": {"sparsity": 0.6}}


@pytest.mark.slow
def test_adding_a_selector(tmp_path: Path) -> None:
    (printed,) = follow("adding-a-selector.md", tmp_path)
    assert "experiments/selected.yaml: 2 points" in printed
    for count in (2, 4):
        stored = json.loads((tmp_path / f"runs/selected/count={count}/artifact/adapter_config.json").read_text())
        assert len(stored["places"]["bottleneck"]) == count


@pytest.mark.slow
def test_adding_a_task(tmp_path: Path) -> None:
    (printed,) = follow("adding-a-task.md", tmp_path)
    assert "experiments/yes_no.yaml: 2 points" in printed
    done = tmp_path / "runs" / "yes_no" / "routing=mul"
    records = [json.loads(line) for line in (done / "predictions.jsonl").read_text().splitlines()]
    assert {record["prediction"] for record in records} <= {"yes", "no"}
    assert {record["references"][0] for record in records} > {"yes", "no"}
    assert json.loads((done / "artifact" / "adapter_config.json").read_text())["answers"] == ["yes", "no"]
    shares = [float(share) for share in re.findall(r"^ *(\d+\.\d)%  (?:yes|no)$", printed, re.MULTILINE)]
    assert len(shares) == 2 and sum(shares) == pytest.approx(100, abs=0.11)
    plugin = re.search(r"```python\n(.*?)```", (REPOSITORY / "docs" / "adding-a-task.md").read_text(), re.DOTALL)
    assert plugin is not None and len(plugin[1].splitlines()) <= 40


@pytest.mark.slow
def test_predicting(tmp_path: Path) -> None:
    one, several, notebook = follow("predicting.md", tmp_path)
    assert len(re.findall(r"^ *\d+\.\d%  \w+$", one, re.MULTILINE)) == 3
    found = [json.loads(line) for line in several.splitlines()]
    assert [each["question"] for each in found] == ["Is there a circle?", "What color is the square?"] * 2
    shown, first, *answers = notebook.splitlines()
    assert "runs/colors/default" in shown and "vqa_classification" in shown
    assert first.split()[0] == answers[0] == found[0]["answer"] and answers[1] == found[3]["answer"]
    assert len((REPOSITORY / "docs" / "predicting.md").read_text().splitlines()) <= 60


@pytest.mark.slow
def test_your_own_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, told, checked, _, predicted, asked = follow("your-own-data.md", tmp_path)
    with capsys.disabled():  # for the log of the tests; nothing is asserted of it
        print(f"\ndocs/your-own-data.md:\n{(tmp_path / SECONDS).read_text()}")
    guide = (REPOSITORY / "docs" / "your-own-data.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```text\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    assert told == shown
    (head,) = re.findall(r"^```csv\n(image,question,answer\n000.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    assert (tmp_path / "my_data" / "data.csv").read_text().startswith(head)
    scores = {
        run.parent.name: json.loads(run.read_text())["test/answer_accuracy"]
        for run in (tmp_path / "runs" / "my_data").glob("*/metrics.json")
    }
    assert "nothing is wrong" in checked and (tmp_path / "sheet.png").stat().st_size > 10_000
    assert scores["text_only"] < 60 and min(scores["routing=mul"], scores["routing=none"]) > scores["text_only"] + 15
    assert len(re.findall(r"^ *\d+\.\d%  \w+$", predicted, re.MULTILINE)) == 3
    first, *others = asked.splitlines()
    assert first.split()[0] in ("yes", "no") and set(others) <= {"yes", "no"} and len(others) == 2


def test_the_tables_of_the_page_on_your_own_data(tmp_path: Path) -> None:
    """Each is read, after its rows were repeated with other pictures, so that every split has some."""
    page = (REPOSITORY / "docs" / "your-own-data.md").read_text(encoding="utf-8")
    tables = [block.splitlines() for block in re.findall(r"```csv\n(.*?)```", page, re.DOTALL)]
    tasks = []
    for number, (header, *rows) in enumerate(tables):
        folder = tmp_path / str(number)
        repeated = [re.sub(r"([\w-]+\.(?:jpg|png))", rf"{n}-\1", row).split(",", 1) for n in range(40) for row in rows]
        write_pictures(folder, {image for images, _ in repeated for image in images.split("|")})
        (folder / "data.csv").write_text("\n".join([header, *map(",".join, repeated)]))
        done = vlrouting("init", folder, "--name", f"table{number}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        tasks += re.findall(r"task: (\w+)", done.stdout)
    assert tasks == ["vqa_classification"] * 2 + ["captioning"] + ["vqa_classification"] * 2


def test_every_file_that_a_guide_names_is_there() -> None:
    for guide in (REPOSITORY / "docs").glob("*.md"):
        for path in re.findall(r"`((?:vlrouting|experiments)/[\w/.]+)`", guide.read_text(encoding="utf-8")):
            written = path == "experiments/my_data.yaml"  # by a command of the guide
            assert written or (REPOSITORY / path).exists(), f"{guide.name}: {path}"


def test_every_test_that_the_page_on_reliability_names_is_there() -> None:
    page, file = (REPOSITORY / "docs" / "reliability.md").read_text(encoding="utf-8"), ""
    for path, test in re.findall(r"`(tests/[\w/.]+)?(?:::(\w+))?`", page):
        file = path or file
        assert (REPOSITORY / file).exists(), file
        if test:
            assert f"def {test}(" in (REPOSITORY / file).read_text(encoding="utf-8"), f"{file}::{test}"
