"""Lines of text, measured with the fonts that draw them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vlrouting.report import fonts
from vlrouting.report.fonts import families, missing_glyphs, width_of, wrap
from vlrouting.report.plots.style import styled

TEXTS = (
    "What is the man in the red shirt holding?",
    "Pneumonoultramicroscopicsilicovolcanoconiosis" * 3,
    "这张图片里有什么东西在桌子上面漢字かな",
    "😀 emoji 👩‍👩‍👧 and é, ñ, ç",
    "ما هو لون السيارة؟ מה הצבע?",
    "$x^2$ and_under <b> \x1b[31m\x00",
)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("weight", ["normal", "bold"])
def test_no_line_is_drawn_wider_than_it_may_be(text: str, weight: str) -> None:
    lines = wrap(text, 100, 8, weight)
    figure = Figure(dpi=72)
    renderer = FigureCanvasAgg(figure).get_renderer()
    with styled():
        drawn = [figure.text(0, 0, line, fontsize=8, fontweight=weight, fontfamily=families()) for line in lines]
        widths = [text.get_window_extent(renderer).width for text in drawn]
    assert max(widths) <= 102, (lines, widths)
    assert len(lines) > 1 or max(widths) > 50


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.integers(5, 60))
@settings(derandomize=True, max_examples=25, deadline=None)
def test_nothing_is_lost_and_lines_are_short(text: str, width: int) -> None:
    lines = wrap(text, width, 8)
    assert "".join("".join(lines).split()) == "".join(wrap(text, 1e9, 8)[0].split())
    assert all(len(line) == 1 or width_of(line, 8) <= width for line in lines)


def test_characters_that_no_font_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "families", lambda: ["DejaVu Sans"])
    assert missing_glyphs(["plain text é ñ \x1b", "a\N{COMBINING ACUTE ACCENT}"]) == ""
    assert missing_glyphs(["漢字 and 漢", "字"]) == "字漢"
