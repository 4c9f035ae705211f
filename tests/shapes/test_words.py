"""English phrases."""

from __future__ import annotations

import pytest

from vlrouting.shapes.scene import COLORS, SHAPES, SIZES
from vlrouting.shapes.words import with_article


@pytest.mark.parametrize("word", [*COLORS, *SHAPES, *SIZES])
def test_an_article_goes_with_the_sound_of_the_word(word: str) -> None:
    assert with_article(f"{word} thing") == f"{'an' if word == 'orange' else 'a'} {word} thing"
