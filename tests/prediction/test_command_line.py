"""`vlrouting predict` and `caption`: one or many requests, from arguments or standard input, as text or JSON."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path

import pytest

from tests.command_line import Done, vlrouting
from tests.trained_artifacts import captions, pairs, picture, questions  # noqa: F401

COLOR, RED = "what color is it ?", "is it red ?"


def ran(*arguments: str | Path, stdin: str = "") -> Done:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", StringIO(stdin))
        done = vlrouting(*arguments)
    assert done.returncode == 0, done.stderr
    return done


def objects(done: Done) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_one_question_prints_the_best_answers(questions: Path) -> None:  # noqa: F811
    run, image = questions / "runs" / "tiny" / "routing=mul", picture(questions)
    lines = ran("predict", run, image, COLOR, "--top", "2").stdout.splitlines()
    assert len(lines) == 2 and all("%" in line for line in lines)
    (found,) = objects(ran("predict", run / "artifact", image, COLOR, "--top", "2", "--json"))
    assert (found["image"], found["question"], found["tokens"], found["tokens_cut"]) == (str(image), COLOR, 7, 0)
    ranked = found["answers"]
    assert isinstance(ranked, list) and [set(entry) for entry in ranked] == [{"answer", "probability"}] * 2
    assert ranked[0]["answer"] == found["answer"] == lines[0].split("%")[1].strip()


def test_every_question_about_every_image_in_order(questions: Path) -> None:  # noqa: F811
    run, first = questions / "runs" / "tiny" / "routing=mul", picture(questions)
    second = next(path for path in sorted(first.parent.iterdir()) if path != first)
    found = objects(ran("predict", run, first, second, "-q", COLOR, "--question", RED, "--json"))
    expected = [(str(image), question) for image in (first, second) for question in (COLOR, RED)]
    assert [(each["image"], each["question"]) for each in found] == expected
    text = ran("predict", run, first, second, "-q", COLOR, "--top", "1").stdout.splitlines()
    assert text[::2] == [f"{first}: {COLOR}", f"{second}: {COLOR}"]


def test_lines_of_standard_input(questions: Path) -> None:  # noqa: F811
    run, image = questions / "runs" / "tiny" / "routing=mul", picture(questions)
    lines = [
        f"{image}\t{COLOR}",
        "",
        json.dumps({"image": str(image), "question": RED, "id": 7}),
        json.dumps({"images": [str(image)], "question": COLOR}),
    ]
    found = objects(ran("predict", run, "-", "--json", stdin="\r\n".join(lines)))
    assert [each["question"] for each in found] == [COLOR, RED, COLOR]
    assert found[0] == found[2]


def test_pairs_of_neighbours(pairs: Path) -> None:  # noqa: F811
    run = pairs / "runs" / "pairs" / "default"
    record = json.loads((run / "predictions.jsonl").read_text().splitlines()[0])
    (once,) = objects(ran("predict", run, *record["images"], record["question"], "--json"))
    assert (once["images"], once["answer"]) == (record["images"], record["prediction"])
    both = [*record["images"], *record["images"][::-1]]
    found = objects(ran("predict", run, *both, "-q", record["question"], "--json"))
    assert [each["images"] for each in found] == [record["images"], record["images"][::-1]]
    (line,) = objects(ran("predict", run, "-", "--json", stdin="\t".join([*record["images"], record["question"]])))
    assert line == once


def test_captions_of_arguments_and_lines(captions: Path) -> None:  # noqa: F811
    run, image = captions / "runs" / "tiny" / "default", picture(captions)
    alone = ran("caption", run, image).stdout.rstrip("\n")
    assert ran("caption", run, image, image).stdout == f"{image}: {alone}\n" * 2
    found = objects(ran("caption", run, "-", "--json", stdin=f'{image}\n{{"image": "{image}"}}\n'))
    assert found == [{"image": str(image), "caption": alone}] * 2


def test_a_file_name_that_is_no_text_is_printed_escaped(questions: Path, tmp_path: Path) -> None:  # noqa: F811
    image = tmp_path / "caf\udce9.jpg"  # the byte E9
    image.write_bytes(picture(questions).read_bytes())
    run = questions / "runs" / "tiny" / "routing=mul"
    (found,) = objects(ran("predict", run, image, COLOR, "--json"))
    assert found["image"] == str(image)
    assert "caf\\udce9.jpg: " in ran("predict", run, image, "-q", COLOR, "-q", RED).stdout


def test_a_cut_question_is_a_line_on_standard_error(questions: Path) -> None:  # noqa: F811
    done = ran("predict", questions / "runs" / "tiny" / "routing=mul", picture(questions), "red " * 10_000, "--json")
    assert "10,002 tokens" in done.stderr and "first 19" in done.stderr
    (found,) = objects(done)
    assert (found["tokens"], found["tokens_cut"]) == (19, 9_983)
