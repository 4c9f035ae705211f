"""What an epoch of text generation goes through."""

from __future__ import annotations

import pickle
from pathlib import Path

from vlrouting.data.datasets.stored_examples import StoredExamples, pack
from vlrouting.data.example import Example
from vlrouting.tasks.text_generation import CAPTIONING, VQA_GENERATION

EXAMPLES = [
    Example(number, (Path(f"{number}.png"),), f"what {number}?", {}, ("red", "blue")[: number % 3], answer=answer)
    for number, answer in enumerate(["red", "", "blue", "red", ""])
]
STORED = StoredExamples(pack(iter(EXAMPLES), Path("data")), Path("data"))


def test_questions_with_an_answer_train() -> None:
    wanted = [example for example in EXAMPLES if example.answer]
    for examples in (EXAMPLES, STORED):
        found = VQA_GENERATION.training_examples(examples)
        assert list(found) == wanted and len(found) == 3 and found[-1] == wanted[-1]
        assert list(pickle.loads(pickle.dumps(found))) == wanted
    assert VQA_GENERATION.training_examples(wanted) is wanted


def test_every_caption_trains_by_itself() -> None:
    for examples in (EXAMPLES, STORED):
        found = CAPTIONING.training_examples(examples)
        assert [example.id for example in found] == ["1#0", "2#0", "2#1", "4#0"]
        assert [example.answer for example in found] == ["red", "red", "blue", "red"]
        assert [example.text for example in found] == ["what 1?", "what 2?", "what 2?", "what 4?"]
        assert found[1].images == (Path("2.png"),) and found[1].answers == () and len(found) == 4
    assert len(CAPTIONING.training_examples([])) == 0
