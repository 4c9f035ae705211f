"""Fonts for texts in any script: what is installed, how wide a text is, and where its lines break."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache

from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.ft2font import FT2Font

from vlrouting.config.names import printable

_BASE = "DejaVu Sans"
"""Comes with matplotlib."""
_WORLD = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK KR", "Source Han Sans", "WenQuanYi Micro Hei"),
    *("WenQuanYi Zen Hei", "Droid Sans Fallback", "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic"),
    *(
        "Noto Sans",
        "Noto Sans Arabic",
        "Noto Sans Hebrew",
        "Noto Sans Devanagari",
        "Noto Sans Thai",
        "Arial Unicode MS",
    ),
    *("Noto Sans Symbols2", "Noto Emoji", "Symbola", "Segoe UI Emoji"),
)
"""Fonts for what DejaVu Sans lacks, in the order in which a glyph is looked for."""

_NO_GLYPH = 1.3
"""Width in em, at most, of the box in place of a character that no font has."""


@cache
def families() -> list[str]:
    """DejaVu Sans, and the fonts for other scripts that this machine has."""
    installed = {entry.name for entry in fontManager.ttflist}
    return [_BASE, *(name for name in _WORLD if name in installed)]


def missing_glyphs(texts: Iterable[str]) -> str:
    """The distinct characters that no font here has."""
    letters = {letter for text in texts for letter in printable(text)}
    return "".join(sorted(letter for letter in letters if not _is_mark(letter) and _font(letter, "normal") is None))


def wrap(text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """The lines of a text, broken between words, and inside of a word that is wider than a line.

    Args:
        text: white space counts as blanks; control characters are replaced.
        width: of a line, in points.
        size: of the font, in points.
        weight: of the font.
    """
    lines, line = [], ""
    for word in _words(" ".join(printable(text).split())):
        if line and width_of(line + word.rstrip(), size, weight) > width:
            lines.append(line.rstrip())
            line = ""
        line += word
        while width_of(line.rstrip(), size, weight) > width and len(line) > 1:
            cut = _fitting(line, width, size, weight)
            lines.append(line[:cut])
            line = line[cut:]
    return [*lines, line.rstrip()]


def width_of(text: str, size: float, weight: str = "normal") -> float:
    """Points that a line takes, without kerning."""
    return size * sum(_advance(letter, weight) for letter in text)


def _words(text: str) -> list[str]:
    """Words with the blank after them; in scripts without blanks each character is one."""
    words: list[str] = []
    for letter in text:
        if not words or (letter != " " and (words[-1].endswith(" ") or _is_wide(letter) or _is_wide(words[-1][-1]))):
            words.append(letter)
        else:
            words[-1] += letter
    return words


def _fitting(text: str, width: float, size: float, weight: str) -> int:
    """How many characters fit on a line; one at least."""
    fitting = 1
    while fitting < len(text) and width_of(text[: fitting + 1], size, weight) <= width:
        fitting += 1
    return fitting


@cache
def _advance(letter: str, weight: str) -> float:
    """Width of a character, in em."""
    if _is_mark(letter):
        return 0.0
    font = _font(letter, weight)
    if font is None:
        return _NO_GLYPH
    font.set_size(100, 72)
    return float(font.load_char(ord(letter)).linearHoriAdvance) / 65536 / 100


def _font(letter: str, weight: str) -> FT2Font | None:
    """The first font that has the character."""
    fonts = (get_font(findfont(FontProperties(family=[name], weight=weight))) for name in families())
    return next((font for font in fonts if font.get_char_index(ord(letter))), None)


def _is_mark(letter: str) -> bool:
    """Whether it has no width of its own: an accent, a joiner, a variation selector."""
    return unicodedata.category(letter) in ("Mn", "Me", "Cf")


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in ("W", "F")
