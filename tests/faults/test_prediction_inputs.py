"""What is wrong with the arguments of predict, caption, evaluate, score and compare is told in a sentence, at once."""

from __future__ import annotations

import json
import subprocess
import sys
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest
from PIL import Image

from tests.command_line import REPOSITORY, vlrouting
from tests.trained_artifacts import captions, pairs, picture, questions  # noqa: F401
from vlrouting.experiment import RunDirectory

ONE, TWO, CAPTION = "{one}", "{two}", "{caption}"
"""Stand for run directories of a model for single images, for pairs, and for captions."""


def refused(*arguments: str | Path, stdin: str | None = None, cwd: Path = REPOSITORY) -> str:
    """What a command says that must fail as a user error, in one sentence."""
    with pytest.MonkeyPatch.context() as patch:
        if stdin is not None:
            patch.setattr(sys, "stdin", StringIO(stdin))
        done = vlrouting(*arguments, cwd=cwd)
    assert done.returncode == 2 and done.stdout == "", done.stdout
    assert "Traceback" not in done.stderr and done.stderr.startswith("vlrouting:"), done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def places(questions: Path, pairs: Path, captions: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:  # noqa: F811
    folder = tmp_path_factory.mktemp("images")
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no image")
    (folder / "cut.png").write_bytes(picture(captions).read_bytes()[:40])
    Image.new("RGB", (8, 8)).save(folder / "ok.png")
    (folder / "notes.txt").write_text("hello")
    return {
        "one": str(questions / "runs" / "tiny" / "routing=mul"),
        "two": str(pairs / "runs" / "pairs" / "default"),
        "caption": str(captions / "runs" / "tiny" / "default"),
        "dir": str(folder),
        "ok": str(folder / "ok.png"),
    }


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (("{one}", "{ok}", "{ok}", "is it?"), "one image per example, two images were given, with -q"),
        (("{two}", "{ok}", "is it?"), "two images per example, and one image was given"),
        (("{two}", "{ok}", "{ok}", "{ok}", "-q", "is it?"), "two images, 3 images"),
        (("{one}", "{ok}", ""), "empty"),
        (("{one}", "{ok}", "-q", "  "), "empty"),
        (("{one}", "{ok}", "a\udcffb"), "position 1, UTF-8"),
        (("{one}", "{ok}"), "predict, IMAGE QUESTION"),
        (("{one}",), "predict, IMAGE QUESTION"),
        (("{one}", "-", "-q", "a?"), "standard input"),
        (("{one}", "{dir}", "a?"), "{dir}, folder"),
        (("{one}", "{dir}/none.png", "a?"), "{dir}/none.png: there is no such image"),
        (("{one}", "{dir}/no/where.png", "a?"), "there is no folder {dir}/no"),
        (("{one}", "{dir}/text.png", "a?"), "{dir}/text.png, no image"),
        (("{one}", "{dir}/empty.png", "a?"), "{dir}/empty.png, no image"),
        (("{one}", "{dir}/cut.png", "a?"), "{dir}/cut.png"),
        (("{one}", "https://example.org/a.png", "a?"), "https://example.org/a.png, no URLs"),
        (("{caption}", "{ok}", "a?"), "captioning, vlrouting caption"),
        (("{one}", "{ok}", "a?", "--device", "cuda:99"), "'cuda:99', cpu"),
        (("https://example.org/artifact", "{ok}", "a?"), "no URLs, download"),
        (("{dir}", "{ok}", "a?"), "{dir}, adapter_config.json"),
        (("{dir}/notes.txt", "{ok}", "a?"), "{dir}/notes.txt, is a file"),
        (("{one}/artifact/nope", "{ok}", "a?"), "no folder 'nope'"),
        (("{one}/../routing=mull", "{ok}", "a?"), "no folder 'routing=mull', routing=mul"),
        (("{one}/..", "{ok}", "a?"), "several artifacts, routing=mul, routing=none"),
        (("{one}/../..", "{ok}", "a?"), "several artifacts, routing=mul, routing=none"),
        (("gqa_roberta_routing", "{ok}", "a?"), "no runs, vlrouting train gqa_roberta_routing"),
    ],
)
def test_predict(arguments: tuple[str, ...], facts: str, places: dict[str, str]) -> None:
    said = refused("predict", *(argument.format(**places) for argument in arguments))
    for fact in facts.split(", "):
        assert fact.format(**places) in said, said


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ("{ok}", "line 2, tab"),
        ('{{"image": "{ok}"}}', "line 2, question"),
        ('{{"image": "{ok}", "question": 3}}', "line 2, question"),
        ('{{"image": "{ok}", "question": "a\\u0000b"}}', "line 2, NUL"),
        ('{{"image": "{ok}", "question": "a\\ud800b"}}', "line 2, surrogate"),
        ('{{"image": "{ok}", "images": ["{ok}"], "question": "a"}}', "line 2, image and images"),
        ('{{"question": "a"}}', "line 2, image and images"),
        ('{{"images": [], "question": "a"}}', "line 2, images"),
        ('{{"image": {{}}, "question": "a"}}', "line 2, image"),
        ('{{"image": "{ok}\\u0000", "question": "a"}}', "line 2"),
        ('{{"imge": "{ok}", "question": "a"}}', "line 2, imge"),
        ('{{"image": "{ok}", "question": ', "line 2, JSON"),
        ('{{"a": ' * 100_000, "line 2, JSON"),
        ("{dir}/none.png\twhat?", "line 2, none.png"),
    ],
)
def test_a_line_of_standard_input(line: str, facts: str, places: dict[str, str]) -> None:
    lines = f"{places['ok']}\twhat?\n{line.format(**places)}\n"
    said = refused("predict", places["one"], "-", stdin=lines)
    for fact in facts.split(", "):
        assert fact in said, said


def test_names_that_no_file_can_have(places: dict[str, str]) -> None:
    assert "cannot be read" in refused("predict", "x" * 5000, places["ok"], "a?")
    assert "cannot be read" in refused("predict", places["one"], "x" * 5000, "a?")


def test_standard_input_in_another_encoding(places: dict[str, str]) -> None:
    latin = TextIOWrapper(BytesIO(f"{places['ok']}\tcafé?\n".encode("latin-1")), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", latin)
        done = vlrouting("predict", places["one"], "-")
    assert done.returncode == 2 and "UTF-8" in done.stderr and "Traceback" not in done.stderr


def test_caption_and_standard_input_without_lines(places: dict[str, str]) -> None:
    assert "vlrouting predict" in refused("caption", places["one"], places["ok"])
    assert "caption" in refused("caption", places["caption"])
    assert "no lines" in refused("caption", places["caption"], "-", stdin="\n \n")
    assert "two images" in refused("predict", places["two"], "-", stdin=f"{places['ok']}\tis it?\n")


def test_a_run_that_is_not_complete(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "runs" / "x" / "lr=1")
    run.update_run(status="failed")
    assert "failed" in refused("predict", run.path, "a.png", "b?")
    for name in ("runs/x", "x", "runs"):
        assert "no artifact yet" in refused("predict", name, "a.png", "b?", cwd=tmp_path)
    run.artifact.mkdir()
    (run.artifact / "adapter_config.json").write_text("{}")
    assert "adapter_model.safetensors is missing" in refused("predict", run.path, "a.png", "b?")


def test_compare_without_runs(tmp_path: Path) -> None:
    (tmp_path / "runs" / "empty" / "notes").mkdir(parents=True)
    said = refused("compare", "empty", cwd=tmp_path)
    assert "runs/empty/ holds no runs" in said and "vlrouting train empty" in said
    assert "Did you mean 'empty'?" in refused("compare", "emty", cwd=tmp_path)
    assert not (tmp_path / "runs" / "empty" / "comparison.md").exists()


def test_score_of_a_file_that_is_none_of_captions(places: dict[str, str], tmp_path: Path) -> None:
    answers = Path(places["one"]) / "predictions.jsonl"
    assert "predictions.jsonl: line 1" in refused("score", answers)
    for other in (Path(places["one"]) / "run.json", Path(places["ok"]), Path(places["dir"]), tmp_path / "none"):
        assert str(other) in refused("score", other)


WITHOUT_TORCH = """
import contextlib, io, json, sys
from vlrouting.cli import main
for arguments in json.load(open(sys.argv[1])):
    sys.argv = ["vlrouting", *arguments]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            main()
    except SystemExit as end:
        assert end.code == 2, (arguments, end.code, said.getvalue())
    heavy = {"torch", "transformers", "timm", "lightning", "matplotlib"} & set(sys.modules)
    assert not heavy, (arguments, heavy)
"""


def test_no_is_said_without_torch(places: dict[str, str], questions: Path, tmp_path: Path) -> None:  # noqa: F811
    one, ok = places["one"], places["ok"]
    yaml = str(questions / "tiny.yaml")
    commands = [
        ["predict", "nowhere", ok, "a?"],
        ["predict", one, "none.png", "a?"],
        ["predict", one, ok],
        ["predict", one, ok, ok, "a?"],
        ["predict", places["two"], ok, "a?"],
        ["predict", places["caption"], ok, "a?"],
        ["predict", one, ok, ""],
        ["caption", places["caption"], "none.png"],
        ["caption", one, ok],
        ["caption", places["caption"]],
        ["evaluate", yaml, "--runs", str(tmp_path)],
        ["evaluate", "nothing"],
        ["score", "none.jsonl"],
        ["score", f"{one}/predictions.jsonl"],
        ["compare", "nothing"],
    ]
    (tmp_path / "commands.json").write_text(json.dumps(commands))
    command = [sys.executable, "-c", WITHOUT_TORCH, str(tmp_path / "commands.json")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
