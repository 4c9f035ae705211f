"""Reading a JSON object entry by entry: equal to reading it at once, for every block size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlrouting.data.datasets import json_stream
from vlrouting.data.datasets.json_stream import stream_entries
from vlrouting.data.example import DataError

CONTENT = {
    "0001": {"question": 'Is "this" a brace: } or {?', "types": {"a": [1, 2.5, None, True]}, "words": "café 🐈 \\"},
    "002": {},
    "03": ["]", {"x": "y"}],
    "4": "text, with : and }",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "questions.json"


def small_blocks(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(json_stream, "BLOCK", size)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("size", [9, 10, 17, 64, 1 << 20])
def test_equal_to_json_loads(path: Path, size: int, indent: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch, size)
    path.write_text(json.dumps(CONTENT, indent=indent, ensure_ascii=indent is None) + "\n", encoding="utf-8-sig")
    assert list(stream_entries(path)) == list(CONTENT.items())


def test_a_duplicate_key_is_yielded_twice(path: Path) -> None:
    path.write_text('{"1": 2, "1": 3}')
    assert list(stream_entries(path)) == [("1", 2), ("1", 3)]


@pytest.mark.parametrize("text", ["{}", " { \n } \n"])
def test_an_empty_object(path: Path, text: str) -> None:
    path.write_text(text)
    assert list(stream_entries(path)) == []


@pytest.mark.parametrize("size", [16, 1 << 20])
def test_every_truncation_is_an_error(path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch, size)
    text = json.dumps(CONTENT)
    for length in range(1, len(text)):
        path.write_text(text[:length])
        with pytest.raises(DataError, match=rf"^{path}: the JSON breaks off at character .*fetch it again"):
            list(stream_entries(path))


def test_the_entry_before_the_error_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps({f"{number:03d}": {"question": "Is it?"} for number in range(100)})
    broken = text.replace('"050": {', '"050": {{')
    for size in (64, 1 << 20):
        small_blocks(monkeypatch, size)
        path.write_text(broken)
        with pytest.raises(DataError, match=r"after the record '049'") as caught:
            list(stream_entries(path))
        assert f"character {broken.index('{{') + 1} " in str(caught.value)


def test_an_error_does_not_read_the_rest_of_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gigabyte may follow an invalid entry; it must not be read into memory."""
    small_blocks(monkeypatch, 64)
    monkeypatch.setattr(json_stream, "LONGEST", 256)
    path.write_text('{"1": [nonsense], ' + " " * 100_000)
    seen: list[int] = []
    original = json_stream._entry

    def counted(text: str, position: int) -> tuple[str, object, int, bool]:
        seen.append(len(text))
        return original(text, position)

    monkeypatch.setattr(json_stream, "_entry", counted)
    with pytest.raises(DataError, match="breaks off at character 7"):
        list(stream_entries(path))
    assert max(seen) <= 256 + 64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty; the file was cut short"),
        (b" \n", "the file is empty"),
        (b"[1, 2]", "holds no JSON object of records by id; compare"),
        (b"<html>", "holds no JSON object of records by id"),
        (b"PK\x03\x04\xff\xfe", "holds no JSON object of records by id"),
        ('{"1": 2}'.encode("utf-16"), "in another encoding than UTF-8"),
        (b'{"1": 2, "a\xff": 4}', "bytes that are not UTF-8"),
        (b'{"1": 2} {"3": 4}', "something behind the end"),
        (b"{1: 2}", "breaks off at character 1 "),
        (b'{"1": 2 "3": 4}', "breaks off at character 7 "),
    ],
)
def test_another_file(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"questions\.json: .*{message}"):
        list(stream_entries(path))


def test_no_file(path: Path) -> None:
    with pytest.raises(DataError, match=r"questions\.json: cannot be read \(No such file.*\); check the path"):
        list(stream_entries(path))
