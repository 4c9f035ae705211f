"""One YAML file (or one `key=value` of the command line) taken apart into leaves that remember their place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import NoneType
from typing import Any, get_origin

import yaml
from yaml.constructor import SafeConstructor
from yaml.error import MarkedYAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from vlrouting.config import ExperimentConfig
from vlrouting.config.fit import options, without_none
from vlrouting.experiment import schema
from vlrouting.experiment.errors import Diagnostic, place_name
from vlrouting.experiment.safe_yaml import Unreadable, compose, read_text
from vlrouting.experiment.sweep_section import Sweep, read_sweep

COMMAND_LINE = "command line"
_NULL, _MAP = "tag:yaml.org,2002:null", "tag:yaml.org,2002:map"


@dataclass(frozen=True)
class Leaf:
    """One given value."""

    key: str
    """Dotted key of the configuration, such as `bottleneck.routing`."""
    value: object
    file: str
    line: int | None
    path: str
    """Where it stands in the YAML: the key, or `sweep.grid.` and the key."""
    layer: int = field(default=0, compare=False)
    """Number of its file among those that the experiment is composed of; a later one is laid over the earlier."""

    @property
    def place(self) -> str:
        """`experiments/demo_vqa.yaml:7`, or `command line`."""
        return place_name(self.file, self.line)

    def with_value(self, value: object) -> Leaf:
        """The same leaf with another value."""
        return replace(self, value=value)

    def diagnostic(self, message: str, advice: str = "", suggested: tuple[str, ...] = ()) -> Diagnostic:
        """An error in this value."""
        return Diagnostic(self.file, self.path, message, self.line, advice, suggested)


@dataclass
class Document:
    """What one file gives, and what is wrong with it."""

    file: str
    leaves: dict[str, Leaf] = field(default_factory=dict)
    extends: list[Leaf] = field(default_factory=list)
    sweep: Sweep = field(default_factory=Sweep)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    readable: bool = True
    """False when the file could not be read as YAML at all."""


def read_document(path: Path, root_type: type = ExperimentConfig) -> Document:
    """A YAML file; nothing is raised, errors are in `diagnostics`.

    Args:
        path: the file.
        root_type: the dataclass whose keys it has; `extends` and `sweep` belong to an experiment alone.
    """
    document = Document(str(path))
    text = ""
    try:
        text = read_text(path)
        root = compose(text)
    except Unreadable as error:
        document.diagnostics.append(Diagnostic(document.file, "", str(error), error.line))
        document.readable = False
    except yaml.YAMLError as error:
        document.diagnostics.append(_syntax_error(document.file, error, text))
        document.readable = False
    else:
        if isinstance(root, MappingNode):
            Reader(document, root_type).read(root)
        elif root is not None:
            expected = "sections such as `train:`" if root_type is ExperimentConfig else "keys with values"
            document.diagnostics.append(Diagnostic(document.file, "", f"expected {expected}", _line(root)))
            document.readable = False
    return document


def read_override(text: str) -> Document:
    """`key=value` of the command line, the value as in YAML; `sweep.grid.seed=[1, 2]` reaches into the sweep."""
    document = Document(COMMAND_LINE)
    key, equals, value = text.partition("=")
    if not equals or not key:
        document.diagnostics.append(Diagnostic(COMMAND_LINE, "", f"expected key=value, got '{text}'"))
        return document
    if key == "extends":
        document.diagnostics.append(Diagnostic(COMMAND_LINE, "extends", "belongs in the experiment file"))
        return document
    try:
        node = compose(value) or ScalarNode(_NULL, "")
    except Unreadable as error:
        document.diagnostics.append(Diagnostic(COMMAND_LINE, key, str(error)))
        return document
    except yaml.YAMLError as error:
        document.diagnostics.append(_syntax_error(COMMAND_LINE, error, value, key))
        return document
    Reader(document).read(_nested(_levels(key), node))
    return document


def _nested(levels: list[str], value: Node) -> MappingNode:
    """`{first: {second: value}}`."""
    inner = _nested(levels[1:], value) if len(levels) > 1 else value
    return MappingNode(_MAP, [(ScalarNode("tag:yaml.org,2002:str", levels[0]), inner)])


def _levels(key: str) -> list[str]:
    """The mappings that an override stands for: below `sweep`, the rest of the key is one dotted key."""
    if not key.startswith("sweep."):
        return [key]
    return key.split(".", 2 if key.startswith("sweep.grid.") else 3)


def _syntax_error(file: str, error: yaml.YAMLError, text: str, key: str = "") -> Diagnostic:
    if isinstance(error, ReaderError):
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        problem = f"the character #x{error.character:04x} is not allowed"
    elif isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        line, column = error.problem_mark.line + 1, error.problem_mark.column + 1
        problem = _problem(error, line)
    else:
        return Diagnostic(file, key, f"not valid YAML: {error}")
    return Diagnostic(file, key, f"not valid YAML: {problem} (column {column})", None if file == COMMAND_LINE else line)


def _problem(error: MarkedYAMLError, line: int) -> str:
    """A bracket that is never closed is noticed lines later: where it was opened is what helps."""
    problem = str(error.problem)
    if error.context is None or error.context_mark is None:
        return problem
    if problem.startswith("but "):
        return f"{error.context}, {problem}"
    begun = error.context_mark.line + 1
    return problem if begun == line else f"{problem}, {error.context} that begins in line {begun}"


def _can_be_empty(hint: Any) -> bool:
    """Whether nothing is something that a section can be: named entries, or a section that is optional."""
    return get_origin(without_none(hint)) is dict or NoneType in options(hint)


def _line(node: Node) -> int | None:
    return node.start_mark.line + 1 if node.start_mark else None


class Reader:
    """Walks the nodes of one document, so that every leaf and every error knows its line."""

    def __init__(self, document: Document, root_type: type = ExperimentConfig) -> None:
        self.document = document
        self.root_type = root_type
        self.constructor = SafeConstructor()
        self.reported_twice: set[str] = set()

    def report(self, node: Node, path: str, message: str, advice: str = "", suggested: tuple[str, ...] = ()) -> None:
        line = None if self.document.file == COMMAND_LINE else _line(node)
        self.document.diagnostics.append(Diagnostic(self.document.file, path, message, line, advice, suggested))

    def read(self, root: MappingNode) -> None:
        """The top level of a file."""
        settings: list[tuple[Node, Node]] = []
        is_experiment = self.root_type is ExperimentConfig
        for name, key_node, node in self.pairs(root, ""):
            if is_experiment and name == "extends":
                self.read_extends(node)
            elif is_experiment and name == "sweep":
                read_sweep(self, node)
            else:
                settings.append((key_node, node))
        for key, path, node in self.leaves(settings, "", ""):
            self.add(self.document.leaves, key, path, node)

    def read_extends(self, node: Node) -> None:
        items = node.value if isinstance(node, SequenceNode) else [node]
        if not items:
            self.report(node, "extends", "is empty", "; name the files to extend, or take it out")
        for item in items:
            if isinstance(item, ScalarNode) and item.value:
                self.document.extends.append(Leaf("extends", item.value, self.document.file, _line(item), "extends"))
            else:
                self.report(item, "extends", "expected a list of names such as base/vqa")

    def leaves(self, pairs: list[tuple[Node, Node]], prefix: str, path: str) -> Iterator[tuple[str, str, Node]]:
        """(key, YAML path, value) of everything below a mapping; an unknown key is reported, not gone into."""
        for name, key_node, node in self.pairs(MappingNode("", pairs), path.rstrip(".")):
            key = prefix + name
            hint = schema.hint_of(key, self.root_type)
            if hint is None and not schema.is_variant(key.rpartition(".")[0], self.root_type):
                self.report(key_node, path + name, *schema.unknown_key(key, self.root_type))
            elif not schema.is_section(hint):
                yield key, path + name, node  # a plug-in that is still to be imported may have the key
            elif self.is_mapping(node, path + name) and node.value:
                yield from self.leaves(node.value, f"{key}.", f"{path}{name}.")
            elif self.is_empty(node) and (schema.is_named(key, self.root_type) or _can_be_empty(hint)):
                yield key, path + name, node  # `language.transforms.NAME: {}` says something, and `select: null`
            elif node.tag == _NULL:
                self.report(key_node, path + name, "is empty", "; write keys below it, or take it out")

    def pairs(self, node: Node, path: str) -> Iterator[tuple[str, Node, Node]]:
        """(name, key node, value) of a mapping; a name given twice is reported."""
        if not self.is_mapping(node, path):
            return
        seen: dict[str, str] = {}
        for key_node, value in node.value:
            name = key_node.value if isinstance(key_node, ScalarNode) else str(key_node.tag)
            full = f"{path}.{name}".lstrip(".")
            if name in seen and full not in self.reported_twice:
                self.reported_twice.add(full)
                self.report(key_node, full, f"given twice{seen[name]}")
            seen.setdefault(name, f", first in line {_line(key_node)}" if key_node.start_mark else "")
            yield name, key_node, value

    def is_mapping(self, node: Node, path: str) -> bool:
        """Whether a section holds keys. An empty one holds none, which is no error."""
        if isinstance(node, MappingNode) and node.tag not in (_MAP, ""):
            self.report(node, path, f"the YAML tag {node.tag} is not allowed", "; take it out")
        elif not isinstance(node, MappingNode) and node.tag != _NULL:
            self.report(node, path, "is a section: expected keys below it")
        return isinstance(node, MappingNode)

    def is_empty(self, node: Node) -> bool:
        """Whether it is null or {}."""
        return node.tag == _NULL or (isinstance(node, MappingNode) and not node.value)

    def add(self, into: dict[str, Leaf], key: str, path: str, node: Node) -> None:
        # The same key once nested and once dotted (`train: {lr: 1}` and `train.lr: 1`).
        if key in into and path not in self.reported_twice:
            self.report(node, path, "given twice")
        leaf = self.leaf(key, path, node)
        if leaf is not None:
            into[key] = leaf

    def leaf(self, key: str, path: str, node: Node) -> Leaf | None:
        try:
            value = self.constructor.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError) as error:
            self.report(node, path, f"cannot be read: {getattr(error, 'problem', None) or error}")
            return None
        except (KeyError, AttributeError):  # `!!bool maybe`, `!!timestamp soon`
            self.report(node, path, f"cannot be read as {node.tag.rpartition(':')[2]}")
            return None
        return replace(self.place(node, path), key=key, value=value)

    def place(self, node: Node, path: str) -> Leaf:
        """A leaf without a key or value, for errors in what stands there."""
        line = None if self.document.file == COMMAND_LINE else _line(node)
        return Leaf("", None, self.document.file, line, path)
