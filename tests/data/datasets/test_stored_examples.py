"""Examples in packed columns are the examples that were stored, whatever they hold, in every process."""

from __future__ import annotations

import pickle
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlrouting.data.array_file import ArrayFile, write_arrays
from vlrouting.data.datasets.stored_examples import StoredExamples, pack
from vlrouting.data.example import Example

ROOT = Path("data/vqa")
TEXT = st.text(st.characters(exclude_categories=()), max_size=6)  # half of a surrogate pair too
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=4)
PATHS = st.one_of(
    NAMES.map(lambda name: ROOT / "images" / name),
    NAMES.map(lambda name: Path("/elsewhere") / name),
    NAMES.map(Path),
    st.just(ROOT),
)
EXAMPLES = st.builds(
    Example,
    id=st.one_of(st.integers(), TEXT),
    images=st.lists(PATHS, max_size=3).map(tuple),
    text=TEXT,
    labels=st.dictionaries(TEXT, st.floats(0, 1), max_size=4),
    answers=st.lists(TEXT, max_size=4).map(tuple),
    answer_type=TEXT,
    question_type=TEXT,
    answer=TEXT,
)


def stored(examples: list[Example], root: Path = ROOT) -> StoredExamples:
    return StoredExamples(pack(iter(examples), root), root)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(EXAMPLES, max_size=8), st.sampled_from([ROOT, Path("."), Path("/")]))
def test_any_examples_come_back(examples: list[Example], root: Path) -> None:
    found = stored(examples, root)
    assert list(found) == examples and len(found) == len(examples)
    for one, other in zip(found, examples, strict=True):
        assert type(one.id) is type(other.id) and list(one.labels.items()) == list(other.labels.items())
        assert list(map(str, one.images)) == list(map(str, other.images))
    assert list(found.texts()) == [example.text for example in examples]
    assert list(found.answers()) == [example.answer for example in examples]
    assert found.images() == {path for example in examples for path in example.images}
    assert found.references().tolist() == [len(example.answers) for example in examples]
    assert list(pickle.loads(pickle.dumps(found))) == examples


def test_through_a_file(tmp_path: Path) -> None:
    examples = [
        Example(f"0{n}", (ROOT / f"{n % 7}.jpg",), f"is it \u732b {n}?", {"yes": 0.3, "no": 1.0}, ("no",) * (n % 4))
        for n in range(500)
    ]
    write_arrays(tmp_path / "examples", pack(examples, ROOT))
    found = StoredExamples(ArrayFile(tmp_path / "examples"), ROOT)
    assert list(found) == examples and found[-1] == examples[-1] and found[3:5] == examples[3:5]
    assert len(pickle.dumps(found)) < 1000
    moved = StoredExamples(ArrayFile(tmp_path / "examples"), Path("/mnt"))
    assert moved[8].images == (Path("/mnt/1.jpg"),)
    for start in ("fork", "spawn"):
        with get_context(start).Pool(1) as pool:
            assert pool.apply(list, (found,)) == examples


def test_labelled_answers_are_counted() -> None:
    examples = [
        Example(number, (), "?", {answer: 1.0} if answer else {}, answer=answer or "maybe")
        for number, answer in enumerate(["yes", "no", "yes", ""])
    ]
    assert stored(examples).answer_counts() == {"yes": 2, "no": 1}
    assert stored([*examples, examples[0]]).answer_counts() is None  # an id twice


def test_a_change_of_anything_is_another_digest() -> None:
    example = Example(1, (ROOT / "1.jpg",), "is it?", {"yes": 1.0}, ("yes",), answer="yes")
    changes = [{"id": 2}, {"id": "1"}, {"text": "is it"}, {"labels": {"yes": 0.9}}, {"answers": ()}, {"answer": "no"}]
    changes.append({"images": (ROOT / "2.jpg",)})
    found = {stored([replace(example, **change)]).content for change in [{}, *changes]}  # type: ignore[arg-type]
    assert len(found) == 8


def test_there_is_no_other() -> None:
    with pytest.raises(IndexError, match="no example 1 among 1"):
        stored([Example(1, (), "", {})])[1]
