"""Names and texts in messages."""

from __future__ import annotations

import pytest

from vlrouting.config.names import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a cat", "a cat"),
        ("é 猫 🐈", "é 猫 🐈"),
        ("\x1b[2Jred", "�[2Jred"),
        ("a\nb\tc", "a b c"),
        ("\x9b1m\x07", "�1m�"),
    ],
)
def test_a_terminal_obeys_no_text(text: str, shown: str) -> None:
    assert printable(text) == shown
