"""Scoring a predictions file, and the errors for an invalid one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlrouting.metrics.caption_file import score_file
from vlrouting.metrics.caption_scores import score
from vlrouting.metrics.predictions_file import PredictionsError

RECORDS: list[dict[str, Any]] = [
    {"id": 391895, "prediction": "a red circle", "references": ["one red circle", "a circle"], "image": "1.jpg"},
    {"id": "007", "prediction": "a blue square", "references": ["the blue square is left of a star"]},
    {"references": ["a star"], "id": 7, "prediction": "", "cluster": "?"},
]


@pytest.fixture(autouse=True)
def no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The captions here are plain: scoring them needs no Java."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def write(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def test_a_file_scores_like_its_captions(tmp_path: Path) -> None:
    scores = score_file(write(tmp_path / "predictions.jsonl", *RECORDS))[""]
    expected = score(
        {record["id"]: record["prediction"] for record in RECORDS},
        {record["id"]: record["references"] for record in RECORDS},
    )
    assert scores == expected
    assert list(scores.per_image) == [391895, "007", 7]
    assert scores.corpus["CIDEr"] > 0


def test_missing_scores_are_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "predictions.jsonl", *RECORDS)
    assert set(score_file(path)[""].not_computed) == {"METEOR"}
    assert set(score_file(path, spice=True)[""].not_computed) == {"METEOR", "SPICE"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n  \n", ""], ids=ascii)
def test_line_endings_and_blank_lines_do_not_matter(end: str, tmp_path: Path) -> None:
    lines = [json.dumps(record) for record in RECORDS]
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + ((end or "\n").join(lines) + end).encode())
    assert score_file(path) == score_file(write(tmp_path / "same.jsonl", *RECORDS))


def test_unicode_line_separators_in_a_caption_do_not_split_a_line(tmp_path: Path) -> None:
    records = [{"id": 1, "prediction": "a\u2028b\u0085c\u2029d", "references": ["a b"]}, RECORDS[0]]
    path = write(tmp_path / "predictions.jsonl", *records)
    assert "needs the official tokenizer" in score_file(path)[""].not_computed["CIDEr"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": 1, "prediction": "a", "refer', "invalid JSON .*; repair or remove the line"),
        ("[1, 2]", r"no JSON object but \[1, 2\]"),
        ('{"prediction": "a", "references": ["a"]}', r"has no 'id' \(its keys: prediction, references\); add it"),
        ('{"id": 1, "answer": "a", "references": ["a"]}', "has no 'prediction'"),
        ('{"id": 1, "prediction": "a"}', "has no 'references'"),
        ('{"id": 1.5, "prediction": "a", "references": ["a"]}', "'id' must be an integer or a string, not 1.5"),
        ('{"id": true, "prediction": "a", "references": ["a"]}', "'id' must be an integer or a string, not True"),
        ('{"id": null, "prediction": "a", "references": ["a"]}', "'id' must be an integer or a string, not None"),
        ('{"id": 1, "prediction": ["a"], "references": ["a"]}', "'prediction' must be a string"),
        ('{"id": 1, "prediction": "a", "references": "a"}', "'references' must be a list of strings, not 'a'"),
        ('{"id": 1, "prediction": "a", "references": ["a", null]}', "'references' must be a list of strings"),
        ('{"id": 1, "prediction": "a", "references": []}', "has no references to score against"),
        ('{"id": 1, "question": "?", "prediction": "a", "references": ["a"]}', "is the answer to a question"),
        ("[" * 100_000, "invalid JSON"),
        ('{"id": "007", "prediction": "a", "references": ["a"]}', "id '007' occurs in line 2 already; remove one"),
    ],
)
def test_an_invalid_line_is_reported_with_its_remedy(line: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "predictions.jsonl", *RECORDS)
    path.write_text(path.read_text() + "\n" + line + "\n")
    with pytest.raises(PredictionsError, match=f"predictions.jsonl: line 5: {message}"):
        score_file(path)


def test_a_line_that_is_not_utf8_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "predictions.jsonl", *RECORDS)
    path.write_bytes(path.read_bytes() + b'{"id": 1, "prediction": "caf\xe9", "references": ["a"]}\n')
    with pytest.raises(PredictionsError, match=r"predictions\.jsonl: line 4: no text in UTF-8"):
        score_file(path)


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PredictionsError, match=r"nowhere: cannot be read \(No such file or directory\)"):
        score_file(tmp_path / "nowhere")
    with pytest.raises(PredictionsError, match=r"cannot be read \(Is a directory\); name a runs"):
        score_file(tmp_path)


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file(content: str, tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_text(content)
    with pytest.raises(PredictionsError, match="the file is empty; make it again"):
        score_file(path)
