"""YAML from strangers: nothing is built but plain values, and a small file cannot become a large value."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, SequenceNode

MOST_BYTES = 2_000_000
"""Of a file. Ten thousand named points take a megabyte."""
MOST_VALUES = 200_000
"""Of a file, each counted as often as aliases repeat it."""
MOST_LEVELS = 40
"""Lists and mappings inside one another."""
MOST_OPEN = 300
"""Brackets that are open at the same time, those in texts and comments counted too."""
_BRACKET = re.compile(r"[\[\]{}]")
_FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Unreadable(Exception):
    """A file that is not read as YAML, and why."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def read_text(path: Path) -> str:
    """The text of a YAML file.

    Raises:
        Unreadable: it is a folder, too large, not in UTF-8, or the system does not let it be read.
    """
    if path.is_dir():
        raise Unreadable("is a folder, not a YAML file")
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}") from None
    if len(content) > MOST_BYTES:
        raise Unreadable(f"is larger than {MOST_BYTES:,} bytes, so it is no file of settings")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        guess = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "Latin-1 or another old encoding"
        line = content[: error.start].count(b"\n") + 1
        message = f"is not UTF-8 text but looks like {guess} (byte 0x{content[error.start]:02x}); save it as UTF-8"
        raise Unreadable(message, None if guess == "UTF-16" else line) from None


def compose(text: str) -> Node | None:
    """The nodes of a text; None for an empty one.

    Raises:
        yaml.YAMLError: a syntax error.
        Unreadable: it is nested too deeply, or aliases make it too large.
    """
    _refuse_deep(text)
    try:
        root = yaml.compose(text, Loader=_FAST)
    except yaml.YAMLError:  # the other one says better what is wrong
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError:
        raise Unreadable(f"is nested more than {MOST_LEVELS} levels deep") from None
    if root is not None:
        _measure(root)
    return root


def load_mapping(path: Path) -> dict[Any, Any]:
    """The content of a YAML file that holds a mapping.

    Raises:
        Unreadable: it does not, or is no YAML.
    """
    return load_text(read_text(path))


def load_text(text: str) -> dict[Any, Any]:
    """The same of a text."""
    try:
        root = compose(text)
        if not isinstance(root, MappingNode):
            raise Unreadable("expected sections such as `train:`")
        tree = SafeConstructor().construct_document(root)
    except yaml.YAMLError as error:
        raise Unreadable(str(error).splitlines()[0]) from None
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise Unreadable(f"a value cannot be read: {error}") from None
    assert isinstance(tree, dict)
    return tree


def _refuse_deep(text: str) -> None:
    """Refuses what the parsers would take long for, or run out of stack: thousands of open brackets."""
    depth = 0
    for bracket in _BRACKET.finditer(text):
        depth = max(0, depth + (1 if bracket[0] in "[{" else -1))
        if depth > MOST_OPEN:
            line = text.count("\n", 0, bracket.start()) + 1
            raise Unreadable(f"is nested more than {MOST_LEVELS} levels deep", line)


def _measure(root: Node) -> None:
    """Refuses what grows, or never ends, when aliases are followed. Takes time in proportion to the text."""
    sizes: dict[int, tuple[int, int]] = {}  # of a node, by id: values in it, levels
    inside: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, done = stack.pop()
        children = _children(node)
        if done:
            inside.discard(id(node))
            below = [sizes[id(child)] for child in children]
            sizes[id(node)] = 1 + sum(size for size, _ in below), 1 + max((deep for _, deep in below), default=0)
            _refuse_large(node, *sizes[id(node)])
        elif id(node) in inside:
            raise Unreadable("an alias contains itself", _line(node))
        elif id(node) not in sizes:
            inside.add(id(node))
            stack.append((node, True))
            stack += [(child, False) for child in children]


def _refuse_large(node: Node, values: int, levels: int) -> None:
    if levels > MOST_LEVELS:
        raise Unreadable(f"is nested more than {MOST_LEVELS} levels deep", _line(node))
    if values > MOST_VALUES:
        raise Unreadable(f"holds more than {MOST_VALUES:,} values, aliases followed", _line(node))


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, SequenceNode) else []


def _line(node: Node) -> int | None:
    return node.start_mark.line + 1 if node.start_mark else None
