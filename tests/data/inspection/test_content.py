"""What is counted of a split."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from vlrouting.data.example import Example
from vlrouting.data.inspection.content import SplitContent


def test_captions_and_questions() -> None:
    image, pair = (Path("a.png"),), (Path("a.png"), Path("b.png"))
    content = SplitContent.of(
        [
            Example(1, image, "", {}, ("a red circle", "a circle")),
            Example(2, image, "what is it ?", {"a circle": 1.0}, ("a circle",), answer="a circle"),
            Example(3, pair, "both are red", {}),
            Example(4, pair, "", {}),
            Example(5, image, "and this ?", {}, ("a",) * 10),
        ]
    )
    assert (content.examples, content.questions, content.captions, content.unanswered) == (5, 3, 2, 1)
    assert content.images == {"a.png", "b.png"} and content.images_per_example == 2
    assert content.words == {3: 3, 2: 1, 4: 1} and content.answers == {"a circle": 1}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["", "is it ?", "IS  it ?", "what ?"])), max_size=12))
@settings(derandomize=True, max_examples=50)
def test_repeated_questions_are_those_of_a_slow_search(asked: list[tuple[str, str]]) -> None:
    content = SplitContent.of(Example(n, (Path(image),), text, {}) for n, (image, text) in enumerate(asked))
    seen: dict[tuple[str, str], int] = {}
    expected = []
    for position, (image, text) in enumerate(asked):
        key = image, " ".join(text.lower().split())
        if text and key in seen:
            expected.append((seen[key], position))
        seen.setdefault(key, position)
    assert content.repeated() == expected
