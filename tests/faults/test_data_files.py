"""Damaged dataset files: an error that names file and record, or the records of the original; never a traceback."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.data_formats import Format, formats, places, replaced, serialized
from vlrouting.data.datasets.json_text import ID_KEYS
from vlrouting.data.example import DataError

NAMES = ("vqav2", "list", "karpathy", "captions", "gqa", "nlvr2")
RAW = ("9" * 5000, "[" * 100_000, "NaN", "-Infinity", "1e999", '{"a": 1, "a": 2}', '"\\ud800"', "[" * 150 + "]" * 150)
"""Values as a file may have them, which `json.dumps` does not write."""
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=8),
    st.sampled_from(["", " ", "\u200b", "../../x", "/etc/passwd", "a\0b", "..", "x" * 5000, "test", "7", "\n"]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def known(shapes_world: Path) -> dict[str, Format]:
    return formats(shapes_world)


@pytest.mark.parametrize("name", NAMES)
def test_the_originals_are_read(name: str, known: dict[str, Format], tmp_path: Path) -> None:
    known[name].write(tmp_path)
    assert len(known[name].use(tmp_path, tmp_path / "results")) >= 3


def _name_the_record(document: Any, path: tuple[Any, ...]) -> list[str]:
    """What may stand in a message for the record that has the value at `path`; empty outside of the records."""
    inside = [part for part in path if part not in ("questions", "annotations", "images")]
    if len(inside) < 2 and not (inside and isinstance(document, list)):
        return []
    if isinstance(inside[0], str):  # GQA: an id
        return [f"question {inside[0]}"]
    record: Any = document
    for part in path[: path.index(inside[0]) + 1]:
        record = record[part]
    ids = [str(record[key]) for key in ("image_id", *ID_KEYS) if isinstance(record, dict) and key in record]
    return [*ids, f"record {inside[0] + 1}", f"line {inside[0] + 1}", f"at index {inside[0]}"]


@pytest.mark.parametrize("name", NAMES)
@settings(derandomize=True, deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_value_in_any_field(
    name: str, known: dict[str, Format], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    found, root = known[name], tmp_path_factory.getbasetemp() / f"any-{name}"
    file = data.draw(st.sampled_from(sorted(found.documents)))
    document = found.documents[file]
    path = data.draw(st.sampled_from(list(places(document))))
    raw = data.draw(st.one_of(st.none(), st.sampled_from(RAW)))
    value = data.draw(VALUES) if raw is None else "RAW"
    content = serialized(replaced(document, path, value), lines=name == "nlvr2")
    found.write(root, file, content if raw is None else content.replace(b'"RAW"', raw.encode()))
    try:
        examples = found.use(root, root / "results")
    except DataError as error:
        message = str(error)
        assert str(root) in message and len(message) < 1500
        message.encode()
        named = _name_the_record(document, path)
        named += [str(value)[:40]] if named and type(value) in (int, str) else []  # a new id
        assert not named or raw == RAW[1] or any(part in message for part in named), (message, named)
    else:
        for example in examples:
            assert example.text.strip() or name in ("karpathy", "captions")
            json.dumps(str(example.id)).encode()
            assert all(root in image.parents and ".." not in image.parts for image in example.images)


def _mutations(original: bytes, document: Any, lines: bool, draw: random.Random) -> tuple[str, bytes]:
    """A damaged copy, and how it was damaged."""
    kind = draw.choice(["flip", "flip", "cut", "swap", "swap", "rename"])
    if kind == "flip":
        position = draw.randrange(len(original))
        return kind, original[:position] + bytes([original[position] ^ 1 << draw.randrange(8)]) + original[
            position + 1 :
        ]
    if kind == "cut":
        return kind, original[: draw.randrange(len(original) - 2)]
    objects = [path for path in places(document) if path and isinstance(_at(document, path), dict)]
    objects = [path for path in objects if _at(document, path)]
    path = draw.choice(objects)
    record = dict(_at(document, path))
    one, other = draw.choice(sorted(record)), draw.choice(sorted(record))
    if kind == "swap":
        record[one], record[other] = record[other], record[one]
    else:
        record = {other if key == one else key: value for key, value in record.items()}
    return kind, serialized(replaced(document, path, record), lines)


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        document = document[part]
    return document


@pytest.mark.parametrize("name", NAMES)
def test_two_hundred_mutations(name: str, known: dict[str, Format], tmp_path: Path) -> None:
    """What is accepted has as many records as the original and differs from it in one record: there the damage is in
    a text, or in an id that the format has only once, where no reader can see it."""
    found, draw = known[name], random.Random(name)
    found.write(tmp_path)
    original = found.use(tmp_path, tmp_path / "results")
    refused, new_ids = 0, []
    for _ in range(200):
        file = draw.choice([file for file in sorted(found.documents) if file != "answers.json"])
        kind, content = _mutations(found.bytes_of(file), found.documents[file], name == "nlvr2", draw)
        found.write(tmp_path, file, content)
        try:
            examples = found.use(tmp_path, tmp_path / "results")
        except DataError as error:
            assert str(tmp_path) in str(error)
            refused += 1
            continue
        pairs = zip(original, examples, strict=name != "nlvr2" or kind != "cut")
        changed = [(before, after) for before, after in pairs if before != after]
        assert len(changed) <= 1, (kind, changed)
        new_ids += [after.id for before, after in changed if before.id != after.id]
    assert refused >= 80
    assert len(new_ids) <= {"vqav2": 0, "captions": 0}.get(name, 3)
