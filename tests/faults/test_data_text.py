"""Encodings, nesting, and texts that no model was trained for: one sentence that names file and record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.data_formats import Format, formats, replaced
from vlrouting.data.example import DataError

FILES = {"vqav2": "q.json", "list": "list.json", "karpathy": "k.json", "captions": "c.json", "gqa": "g.json"} | {
    "nlvr2": "n.json"
}
"""Format -> its main file."""


@pytest.fixture(scope="module")
def known(shapes_world: Path) -> dict[str, Format]:
    return formats(shapes_world)


ENCODINGS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "UTF-16": (lambda whole: whole.decode().encode("utf-16"), "UTF-"),
    "UTF-16, no mark": (lambda whole: whole.decode().encode("utf-16-le"), "UTF-8"),
    "Latin-1": (lambda whole: whole[:-300] + whole[-300:].replace(b"a", b"\xe9"), "UTF-8"),
    "zeros": (lambda whole: bytes(len(whole)), "UTF-8|no JSON object"),
    "a web page": (lambda whole: b"<!DOCTYPE html><html><body>404</body></html>", "JSON"),
    "nested": (lambda whole: b"[" * 200_000, "JSON"),
    "nested objects": (lambda whole: b'{"1": ' * 100_000, "nested too deeply"),
    "closed nesting": (lambda whole: b'{"1":' + b"[" * 90_000 + b"]" * 90_000 + b"}", "nested too deeply"),
    "twice": (lambda whole: whole + whole.splitlines()[0], "behind the end|occurs twice"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_json_in_utf_8(encoding: str, name: str, known: dict[str, Format], tmp_path: Path) -> None:
    change, words = ENCODINGS[encoding]
    known[name].write(tmp_path, FILES[name], change(known[name].bytes_of(FILES[name])))
    with pytest.raises(DataError, match=words) as caught:
        known[name].use(tmp_path, tmp_path / "results")
    assert str(caught.value).startswith(str(tmp_path / FILES[name])) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_a_byte_order_mark_is_no_fault(name: str, known: dict[str, Format], tmp_path: Path) -> None:
    known[name].write(tmp_path, FILES[name], b"\xef\xbb\xbf" + known[name].bytes_of(FILES[name]))
    assert known[name].use(tmp_path, tmp_path / "results")


BROKEN_TEXTS: dict[str, tuple[str, str, tuple[Any, ...], Any, str]] = {
    "no question": ("vqav2", "q.json", ("questions", 1, "question"), "", "question_id 20000101: 'question'"),
    "an invisible one": ("vqav2", "q.json", ("questions", 1, "question"), "\u200b \ufeff", "question_id 20000101: "),
    "half a pair": (
        "vqav2",
        "q.json",
        ("questions", 1, "question"),
        "is \ud83d it",
        r"question_id 20000101: .*\\ud83d",
    ),
    "no ten answers": ("vqav2", "a.json", ("annotations", 1, "answers"), [{"answer": ""}] * 10, "20000101: all 10 "),
    "half a pair in a list": ("list", "list.json", (2, "sent"), "\udc00", r"question_id 5000002: .*\\udc00"),
    "in a label": ("list", "list.json", (2, "label"), {"a\ud800": 1}, r"question_id 5000002: .*\\ud800"),
    "in the vocabulary": ("list", "answers.json", (2,), "a\ud800", r"at index 2: .*\\ud800"),
    "no split": ("karpathy", "k.json", ("images", 2, "split"), "tset", "200003: .*'tset'.*mean 'test'"),
    "no caption": ("karpathy", "k.json", ("images", 2, "sentences", 0, "raw"), " \n", "cocoid 200003: caption 1"),
    "half a caption": (
        "karpathy",
        "k.json",
        ("images", 2, "sentences", 0, "raw"),
        "\ud800",
        "cocoid 200003: caption 1",
    ),
    "another number": (
        "karpathy",
        "k.json",
        ("images", 2, "filename"),
        "COCO_val2014_000000000007.jpg",
        "200003: .*image",
    ),
    "a caption of nothing": ("captions", "c.json", ("annotations", 3, "caption"), "\t", "id .*'caption'"),
    "no question of GQA": ("gqa", "g.json", ("20000101", "question"), "", "question 20000101: 'question'"),
    "half a pair in GQA": ("gqa", "g.json", ("20000101", "answer"), "\ud800", "question 20000101: 'answer'"),
    "choices": ("gqa", "choices.json", ("20000101", "valid"), ["yes", 7], "question 20000101: valid .* 7"),
    "no statement": ("nlvr2", "n.json", (4, "sentence"), "\u2063", "line 5: 'sentence'"),
    "an identifier": ("nlvr2", "n.json", (4, "identifier"), "test-0-1-1\n", "line 5: identifier"),
}


@pytest.mark.parametrize("case", BROKEN_TEXTS)
def test_a_text_that_is_none(case: str, known: dict[str, Format], tmp_path: Path) -> None:
    name, file, place, value, words = BROKEN_TEXTS[case]
    whole = known[name]
    documents = {**whole.documents, file: replaced(whole.documents[file], place, value)}
    broken = Format(whole.dataset, whole.split, documents, answers=whole.answers)
    broken.write(tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        broken.use(tmp_path, tmp_path / "results")
    assert str(caught.value).startswith(str(tmp_path / file)) and "\n" not in str(caught.value)
    str(caught.value).encode()


def test_a_key_twice(known: dict[str, Format], tmp_path: Path) -> None:
    """Other programs take the first value, Python the last."""
    whole = known["vqav2"].bytes_of("q.json")
    record = json.dumps(known["vqav2"].documents["q.json"]["questions"][1]).encode()
    assert record in whole
    known["vqav2"].write(tmp_path, "q.json", whole.replace(record, record[:-1] + b', "question": "Is it?"}'))
    with pytest.raises(
        DataError, match=r"q\.json: record 2 is no JSON object but an object with the key 'question' twice"
    ):
        known["vqav2"].use(tmp_path, tmp_path / "results")
