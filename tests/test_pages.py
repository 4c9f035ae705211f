"""Every command and block of README.md and docs/ runs here, in another test, or in `.ci/run`.

A guide that `tests/test_docs.py` follows is run there, word for word. Of the other pages, `.ci/run` runs a command,
which may add words that shorten it (`train.max_steps=4`), or here, if it is quick.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml

from tests.command_line import REPOSITORY, vlrouting
from vlrouting.cli import app
from vlrouting.experiment import load
from vlrouting.experiment.cluster import load_cluster

Command = tuple[str, ...]

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
FOLLOWED = set(re.findall(r'follow\("([\w-]+\.md)"', (REPOSITORY / "tests" / "test_docs.py").read_text("utf-8")))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`((?:make|vlrouting|\.venv/bin/\w+) [^`]+)`")
PROGRAMS = ("make", "vlrouting", "python")
QUICK = {"list", "show", "params", "explain", "validate", "status", "cancel", "power"}
"""Commands that are run here."""
_LAYOUT = "tests/data/fetch/test_official_layout.py"
ELSEWHERE = {
    "make doctor EXP=coco_gpt2_routing LAUNCHER=slurm": "tests/doctor/test_slurm.py",  # the data are not in a clone
    "make sweep EXP=coco_gpt2_routing LAUNCHER=slurm NODES=2 GPUS=4 CLUSTER=gpu": "tests/slurm/test_sweep_on_slurm.py",
    **{f"make data DATASET={name}": _LAYOUT for name in ("coco", "vqav2", "gqa", "nlvr2")},  # gigabytes
    "vlrouting data fetch nlvr2 --from ~/Downloads": _LAYOUT,
    "ln -s /data/coco/train2014 data/vqav2/train2014": "tests/data/fetch/test_fetch.py",
    "vlrouting data check coco": _LAYOUT,
    "vlrouting data show coco --out coco.png": _LAYOUT,
    "vlrouting data show coco --split val --out coco.png": _LAYOUT,
    "vlrouting --install-completion": "tests/test_explore.py",  # writes to the user's shell files
    "source .venv/bin/activate": ".ci/run",  # which names the program by its path
}
"""Command -> the test of the same with other data, or in another place."""
BASES = {"coco": "[base/captioning, base/gpt2_vit_b16]"}
"""`data.name` -> what an example of a section is completed with."""


def _blocks(page: Path, *languages: str) -> list[str]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [text for language, text in found if language in languages]


def _commands(text: str) -> Iterator[Command]:
    """The commands of a script, without comments."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            program = words[0].removeprefix(".venv/bin/").replace("$run", "vlrouting")
            yield (program, *words[1:])


PAGE_COMMANDS = sorted(
    {
        command
        for page in PAGES
        if page.name not in FOLLOWED
        for text in _blocks(page, "bash", "")
        for command in _commands(text if "│" not in text and "/\n" not in text else "")
        if command[0] in PROGRAMS or text in _blocks(page, "bash")
    }
)


def _in_ci(command: Command) -> bool:
    """Whether CI runs it, perhaps with further words."""
    return any(
        made[:2] == other[:2] and set(_words(made)) <= set(_words(other))
        for made in (command, _made(command))
        for other in CI_COMMANDS
    )


def _words(command: Command) -> list[str]:
    """The words, those of `ARGS="…"` by themselves."""
    return [part for word in command for part in word.removeprefix("ARGS=").split(" ")]


def _made(command: Command) -> Command:
    """What `make TARGET …` runs, as `vlrouting …`; another command unchanged."""
    if command[0] != "make":
        return command
    printed = subprocess.run(["make", "-n", *command[1:]], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return next((made for made in _commands(printed.stdout) if made[0] == "vlrouting"), command)


CI = list(_commands((REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")))
CI_COMMANDS = [*CI, *map(_made, CI)]
FOLLOWED_COMMANDS = {
    command for page in PAGES if page.name in FOLLOWED for text in _blocks(page, "bash") for command in _commands(text)
}


@pytest.mark.parametrize(
    "command", [c for c in PAGE_COMMANDS if not _in_ci(c) and c not in FOLLOWED_COMMANDS], ids=" ".join
)
def test_a_command_that_ci_does_not_run(command: Command) -> None:
    elsewhere = ELSEWHERE.get(" ".join(command))
    if elsewhere is not None:
        assert (REPOSITORY / elsewhere).exists()
        return
    made = _made(command)
    assert made[0] == "vlrouting" and (made[1] in QUICK or "--dry-run" in made), "neither CI nor a test runs it"
    done = vlrouting(*made[1:])
    assert done.returncode == 0, done.stderr


def test_nothing_is_listed_that_no_page_has() -> None:
    assert set(ELSEWHERE) <= {" ".join(command) for command in PAGE_COMMANDS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_in_a_sentence_exist(page: Path) -> None:
    """A sentence may leave a part out (`…`) or use a name for any (`EXP`), so they are looked up, not run."""
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    group = typer.main.get_command(app)
    for span in SPAN.findall(page.read_text(encoding="utf-8")):
        program, *words = next(_commands(" ".join(span.split()).replace("'", "")))
        if program == "make":
            assert re.search(rf"^{re.escape(words[0])}:", makefile, re.MULTILINE), f"{page.name}: {span}"
        elif program == "vlrouting":
            command = group
            for word in words:
                if word.startswith("-"):
                    options = {option for parameter in command.params for option in parameter.opts}
                    assert word.partition("=")[0] in options, f"{page.name}: {span}"
                elif hasattr(command, "commands"):
                    if word == "…":
                        break
                    assert word in command.commands, f"{page.name}: {span}"
                    command = command.commands[word]


def _yaml_blocks() -> list[tuple[str, str]]:
    return [
        (f"{page.stem}-{number}", text)
        for page in PAGES
        if page.name not in FOLLOWED
        for number, text in enumerate(_blocks(page, "yaml"))
    ]


@pytest.mark.parametrize("text", [text for _, text in _yaml_blocks()], ids=[name for name, _ in _yaml_blocks()])
def test_a_block_of_yaml_is_valid(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(REPOSITORY / "experiments", tmp_path / "experiments")
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load(text)
    if not {"data", "sweep", "extends"} & content.keys():
        (tmp_path / "experiments" / "cluster" / "block.yaml").write_text(text)
        load_cluster("block")
        return
    name = (content.get("data") or {}).get("name", "vqav2")
    extends = "" if "extends" in content else f"extends: {BASES.get(name, '[base/vqa, base/roberta_vit_b16]')}\n"
    (tmp_path / "experiments" / "block.yaml").write_text(extends + text)
    assert load("block").points


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in FOLLOWED], ids=lambda page: page.name)
def test_a_block_of_python_compiles(page: Path) -> None:
    """README.md's and docs/evaluation.md's are run by tests of their own."""
    for text in _blocks(page, "python"):
        compile(text, page.name, "exec")
