"""Tokens in an index file: the same batches as without, written once, and another file for whatever changes them."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.data.loading.tiny_tokenizer import tiny_tokenizer
from vlrouting.config import DataConfig
from vlrouting.data import INDEX_FOLDER
from vlrouting.data.datasets.captions import TrainingPairs
from vlrouting.data.datasets.evenly_spaced import EvenlySpaced
from vlrouting.data.datasets.stored_examples import StoredExamples, pack
from vlrouting.data.datasets.with_answer import with_answer
from vlrouting.data.example import Example
from vlrouting.data.loading import tokens as module
from vlrouting.data.loading.batch import Collate, CollateFunction
from vlrouting.data.loading.text_batch import TextCollate
from vlrouting.data.loading.tokenizer_fingerprint import tokenizer_fingerprint
from vlrouting.data.loading.tokens import Tokens

WORDS = ["what", "color", "is", "the", "circle", "square", "red", "blue", "left", "of", "yes", "no"]


def made_up(count: int = 60) -> list[Example]:
    """Questions of different lengths, some of them equal and some without an answer."""
    return [
        Example(
            id=number,
            images=(Path(f"{number % 9}.png"),),
            text=" ".join(WORDS[(number * 5 + k) % len(WORDS)] for k in range(number % 7)) or "is",
            labels={"yes": 1.0} if number % 4 else {},
            answers=tuple(f"{WORDS[(number + k) % 5]} {'red ' * k}" for k in range(number % 4)),
            answer=WORDS[number % len(WORDS)] if number % 4 else "",
        )
        for number in range(count)
    ]


def stored(root: Path, examples: Sequence[Example], subject: str = "train") -> StoredExamples:
    return StoredExamples(pack(iter(examples), root), root, split=("made-up", subject))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "LEAST_KEPT", 10)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def files(root: Path) -> list[Path]:
    return sorted((root / INDEX_FOLDER).glob("*.tokens"))


def collates(root: Path, prompt: str) -> list[CollateFunction]:
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = "[SEP]"
    data = DataConfig(root=str(root), prompt=prompt, max_text_tokens=8, max_target_tokens=5)
    return [
        Collate(tokenizer, data),
        TextCollate(tokenizer, data, prefixed=False, targets=True),
        TextCollate(tokenizer, data, prefixed=True, targets=False),
    ]


@pytest.mark.parametrize("prompt", ["{text}", "question : {text} ?", ""])
@pytest.mark.parametrize("view", [lambda all: all, TrainingPairs, with_answer, lambda all: EvenlySpaced(all, 17)])
def test_batches_are_the_same_with_and_without_a_file(root: Path, prompt: str, view: Any) -> None:
    examples = made_up()
    plain, kept = view(examples), view(stored(root, examples))
    assert list(plain) == list(kept)
    for _ in range(2):
        for without, using in zip(collates(Path("/nowhere"), prompt), collates(root, prompt), strict=True):
            assert without.lengths(plain).tolist() == using.lengths(kept).tolist()
            counts = using.target_tokens(kept)
            assert (counts is None) or counts.tolist() == without.target_tokens(plain).tolist()  # type: ignore[union-attr]
            copy = pickle.loads(pickle.dumps(using))
            for part in (slice(0, 9), slice(9, 17)):
                expected, found, there = without(plain[part]), using(kept[part]), copy(kept[part])
                assert expected.tensors.keys() == found.tensors.keys()
                assert all(torch.equal(tensor, found[name]) for name, tensor in expected.tensors.items())
                assert all(torch.equal(tensor, there[name]) for name, tensor in expected.tensors.items())
    assert len(files(root)) == 3


class Watched:
    """Tokens whose tokenizer counts the texts that it is asked for."""

    def __init__(self, root: Path, most: int = 8, special: bool = True, words: Sequence[str] = ()) -> None:
        tokenizer = tiny_tokenizer()
        tokenizer.add_tokens(list(words))
        self.tokens, self.asked = Tokens(tokenizer, most, special, root), 0
        original = self.tokens._tokenize

        def counted(texts: list[str]) -> list[list[int]]:
            self.asked += len(texts)
            return original(texts)

        self.tokens._tokenize = counted  # type: ignore[method-assign]

    def lengths(self, examples: Sequence[Example], made: str = "text") -> list[int]:
        found: list[int] = self.tokens.lengths(examples.texts(), examples, made).tolist()  # type: ignore[attr-defined]
        return found


def test_every_text_is_tokenised_once_for_all_processes(root: Path) -> None:
    examples = stored(root, made_up())
    first, second = Watched(root), Watched(root)
    lengths = first.lengths(examples)
    assert first.asked == len(set(examples.texts())) and second.lengths(examples) == lengths and not second.asked
    assert second.tokens.of(examples[20].text) == first.tokens.of(examples[20].text) and not second.asked
    assert len(pickle.dumps(second.tokens._tables)) < 1000
    assert len(files(root)) == 1


def asked_in_process(root: Path) -> int:
    watched = Watched(root)
    watched.lengths(stored(root, made_up()))
    return watched.asked


def test_several_processes_tokenise_once(root: Path) -> None:
    with get_context("fork").Pool(3) as pool:
        asked = pool.map(asked_in_process, [root] * 6, chunksize=1)
    assert sorted(asked)[:-1] == [0] * 5 and max(asked) > 0


def test_whatever_changes_the_tokens_has_a_file_of_its_own(root: Path) -> None:
    examples = stored(root, made_up())
    expected = Watched(root).lengths(examples)
    for other in (Watched(root, most=5), Watched(root, special=False), Watched(root, words=["what color"])):
        assert other.lengths(examples) != expected and other.asked
    assert Watched(root).lengths(examples, "another prompt") == expected
    assert len(files(root)) == 5
    changed = stored(root, [replace(example, text="is") for example in made_up()])
    assert set(Watched(root).lengths(changed)) == {3}  # that of the older content is removed
    assert len(files(root)) == 5
    assert Watched(root).lengths(stored(root, made_up(), "val")) == expected and len(files(root)) == 6


def test_a_tokenizer_is_known_by_all_that_decides_its_tokens() -> None:
    known = tokenizer_fingerprint(tiny_tokenizer())
    assert known is not None and len(known) == 64
    used = tiny_tokenizer()
    used(["is it"], truncation=True, max_length=3, padding=True)
    assert tokenizer_fingerprint(used) == tokenizer_fingerprint(tiny_tokenizer("left")) == known
    changed = [tiny_tokenizer() for _ in range(3)]
    changed[0].add_tokens(["isit"])
    changed[1].truncation_side = "left"
    changed[2].backend_tokenizer.normalizer = None
    assert len({known, *map(tokenizer_fingerprint, changed)}) == 4

    class Own(type(tiny_tokenizer())):  # type: ignore[misc]
        """Whose code may change without a trace."""

    assert tokenizer_fingerprint(Own(tokenizer_object=tiny_tokenizer().backend_tokenizer)) is None
    assert tokenizer_fingerprint(object()) is None


def test_few_texts_and_unknown_tokenizers_get_no_file(root: Path) -> None:
    Watched(root).lengths(stored(root, made_up(9)))
    Watched(root).tokens.lengths(["is it"] * 50, [*made_up(50)], "text")
    Watched(root).lengths(StoredExamples(pack(made_up(), root), root))
    assert not (root / INDEX_FOLDER).exists()


@pytest.mark.parametrize("special", [True, False])
def test_many_texts_at_once_are_tokenised_as_one_by_one(special: bool) -> None:
    texts = [f"{' '.join(WORDS[n % 5 : n % 9])} {n} [SEP] caf\u00e9" for n in range(1000)]
    expected = [Tokens(tiny_tokenizer(), 6, special)._tokenize([text])[0] for text in texts]
    kept = Tokens(tiny_tokenizer(), 6, special)
    assert kept._quickly(texts) == expected and max(map(len, expected)) == 6
    assert kept.lengths(texts).tolist() == [len(row) for row in expected]


def test_a_tokenizer_that_adds_to_its_backend_is_asked_itself() -> None:
    class Adding(type(tiny_tokenizer())):  # type: ignore[misc]
        def __call__(self, text: list[str], **options: Any) -> dict[str, Any]:
            return {"input_ids": [[*row, 7] for row in super().__call__(text, **options)["input_ids"]]}

    tokenizer = Adding(tokenizer_object=tiny_tokenizer().backend_tokenizer)
    texts = [f"{'is ' * (n % 3)}it {n}" for n in range(300)]
    assert all(row[-1] == 7 for row in Tokens(tokenizer, 9)._quickly(texts))
