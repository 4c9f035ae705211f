"""The sentences on what is wrong with a sweep's points, turned into findings that know their place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from vlrouting.config import DataConfig, ExperimentConfig
from vlrouting.experiment import schema
from vlrouting.experiment.compose import Composition
from vlrouting.experiment.document import Leaf
from vlrouting.experiment.errors import Finding, UserError
from vlrouting.experiment.sweep import Draft

CheckFiles = Callable[[ExperimentConfig], list[str]]

_NOT_ONE_OF = re.compile(r"'(?P<word>.*)' is not one of (?P<known>.*)", re.DOTALL)
_KEY_IN_BRACKETS = re.compile(r" \((?P<key>[^()\s]+)\)")
_DATA_ROOT = "data.root"
_DATA_FORMAT = ("data.name", "data.prepare")
"""What decides which files there are at all."""
_BEHIND_DATA_FILES = (_DATA_ROOT, *_DATA_FORMAT, "data.train", "data.validation", "data.test")


@dataclass(frozen=True)
class _Sentence:
    """What is wrong, and with which keys; none when the sentence names none."""

    keys: tuple[str, ...]
    message: str
    on_data_file: bool = False

    @classmethod
    def read(cls, text: str) -> _Sentence:
        """`train.epochs, max_steps: give one` is about train.epochs and train.max_steps, `… (data.answers) …` about
        that file."""
        head, colon, message = text.partition(": ")
        first, *others = head.split(", ")
        keys = (first, *(f"{first.rpartition('.')[0]}.{other}" for other in others))
        if colon and all(schema.hint_of(key) is not None for key in keys):
            return cls(keys, message)
        for match in _KEY_IN_BRACKETS.finditer(text):
            if schema.hint_of(match["key"]) is not None:
                return cls((match["key"],), text, on_data_file=match["key"].startswith("data."))
        return cls((), text)

    def follows_from(self, key: str) -> bool:
        """Whether the sentence rests on a key that failed, and so was judged by its default."""
        if self.on_data_file:
            return key in (*self.keys, *_BEHIND_DATA_FILES)
        name = re.escape(key.rpartition(".")[2])
        return key in self.keys or re.search(rf"(?<!\w){name}(?!\w)", self.message) is not None


class Judge:
    """Finds what is wrong with the points of a sweep, beyond the types of their values."""

    def __init__(self, composition: Composition, check_files: CheckFiles | None) -> None:
        self.composition = composition
        self.check_files = check_files

    def findings(self, drafts: list[Draft]) -> Iterator[Finding]:
        """Each mistake once; one that only some of the points with the given value share says for which."""
        points: dict[Finding, dict[str, None]] = {}
        holders: dict[Finding, set[str]] = {}
        for draft in drafts:
            for text in self.sentences(draft):
                sentence = _Sentence.read(text)
                finding, leaves = self.place(sentence, draft)
                if finding is not None:
                    points.setdefault(finding, {})[draft.point.name] = None
                    # The command that fetches a file stays fit to be copied: nothing is put behind it.
                    held = set() if sentence.on_data_file else _holding(leaves, drafts)
                    holders.setdefault(finding, set()).update(held)
        for finding, names in points.items():
            everywhere = holders[finding] <= names.keys()
            yield finding if everywhere else replace(finding, message=f"{finding.message} (in {_listed([*names])})")

    def sentences(self, draft: Draft) -> list[str]:
        """Everything that is wrong with one point."""
        config = draft.point.config
        problems = [str(problem) for problem in config.problems()]
        return problems + self.on_files(config, problems)

    def on_files(self, config: ExperimentConfig, problems: list[str]) -> list[str]:
        """What `check_files` says; nothing on the files of a dataset that is not known."""
        if self.check_files is None:
            return []
        unknown = any(key in _DATA_FORMAT for text in problems for key in _Sentence.read(text).keys)
        try:
            found = self.check_files(replace(config, data=DataConfig()) if unknown else config)
        except UserError as error:
            found = [str(error)]
        return [text for text in found if not (unknown and _is_on_data(text))]

    def place(self, sentence: _Sentence, draft: Draft) -> tuple[Finding | None, list[Leaf]]:
        """A sentence with its place, and the leaves it is about; None if it only follows from another mistake."""
        if any(sentence.follows_from(key) for key in draft.failed):
            return None, []
        leaves = _given(sentence, draft)
        if not leaves and (self.composition.incomplete or self.meant(sentence)):
            return None, []
        message = sentence.message
        path = ", ".join(leaf.path for leaf in leaves) or ", ".join(sentence.keys)
        if sentence.on_data_file and path == sentence.keys[0]:
            message = message.replace(f" ({path})", "", 1)
        if not leaves:
            return Finding(str(self.composition.source), path, message), []
        elsewhere = [f"{leaf.path}: {leaf.place}" for leaf in leaves[1:] if leaf.place != leaves[0].place]
        message += f" ({', '.join(elsewhere)})" if elsewhere else ""
        return Finding(leaves[0].file, path, message, leaves[0].line), leaves

    def meant(self, sentence: _Sentence) -> bool:
        """Whether one of the keys is what a misspelt key should have been."""
        keys = (*sentence.keys, _DATA_ROOT) if sentence.on_data_file else sentence.keys
        return any(f"'{key}'" in finding.message for finding in self.composition.findings for key in keys)


def _given(sentence: _Sentence, draft: Draft) -> list[Leaf]:
    """The leaves that a sentence is about."""
    leaves = [draft.leaves[key] for key in sentence.keys if key in draft.leaves]
    if leaves:
        return leaves
    if sentence.on_data_file:  # its path begins with the folder
        return [draft.leaves[_DATA_ROOT]] if _DATA_ROOT in draft.leaves else []
    # `data: the split 'x' is not known` is about whatever below data has the value x.
    below = tuple(f"{key}." for key in sentence.keys)
    about = (leaf for key, leaf in draft.leaves.items() if below and key.startswith(below))
    return [leaf for leaf in about if isinstance(leaf.value, str) and f"'{leaf.value}'" in sentence.message][:1]


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:3]) + (" …" if len(names) > 3 else "")


def _holding(leaves: list[Leaf], drafts: list[Draft]) -> set[str]:
    """The points in which these leaves are in effect."""
    return {draft.point.name for draft in drafts if all(draft.leaves.get(leaf.key) is leaf for leaf in leaves)}


def _is_on_data(text: str) -> bool:
    return any(key.split(".")[0] == "data" for key in _Sentence.read(text).keys)
