"""Figures as SVG inside a page: their colours follow the page's light or dark theme, their ids clash with no others."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from vlrouting.report.plots.style import BLUE, GRID, INK, MUTED, ORANGE, PAPER, styled

_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper", BLUE: "blue", ORANGE: "orange"}
"""Colours of the plots -> CSS variables of the page."""
_COLOR = re.compile(r"#[0-9a-f]{6}")
_REFERENCE = re.compile(r"(url\(#|^#)([^)]+)")


def inline_svg(figure: Figure, name: str, label: str) -> str:
    """The `<svg>` element.

    Args:
        figure: drawn in the colours of `vlrouting.report.plots.style`.
        name: unique in the page.
        label: what a screen reader says.
    """
    FigureCanvasSVG(figure)
    with styled(), io.StringIO() as out:
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
        # The text of matplotlib itself, which ElementTree may therefore parse.
        root = ElementTree.fromstring(out.getvalue())
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    _rename(root, name)
    for size in ("width", "height"):  # viewBox says both; the page scales the figure
        del root.attrib[size]
    root.attrib |= {"role": "img", "aria-label": label}
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _LINK)
    return ElementTree.tostring(root, encoding="unicode")


def _rename(root: ElementTree.Element, name: str) -> None:
    """Give the ids that something refers to the prefix `name`, remove the others, and name the colours."""
    used: set[str] = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "style":
                value = _COLOR.sub(lambda found: _variable(found[0]), value)
            element.set(key, _REFERENCE.sub(lambda found: f"{found[1]}{name}-{found[2]}", value))
            used |= {reference for _, reference in _REFERENCE.findall(value)}
    for element in root.iter():
        identity = element.attrib.pop("id", None)
        if identity in used:
            element.set("id", f"{name}-{identity}")


def _variable(color: str) -> str:
    return f"var(--{_VARIABLES[color]}, {color})" if color in _VARIABLES else color
