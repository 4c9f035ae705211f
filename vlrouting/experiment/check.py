"""An experiment checked as a whole: all mistakes are told at once, before anything heavy is imported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlrouting.config import BUILTIN_ROUTINGS, CROSS_ATTENTION, ExperimentConfig
from vlrouting.experiment import schema
from vlrouting.experiment.compose import EXPERIMENTS, Composition, compose
from vlrouting.experiment.document import Leaf
from vlrouting.experiment.errors import ExperimentErrors, Finding, UserError, did_you_mean
from vlrouting.experiment.plugins import is_there, load_plugins
from vlrouting.experiment.sweep import Draft, Point, expand

CheckFiles = Callable[[ExperimentConfig], list[str]]
LoadPlugins = Callable[[Sequence[str]], tuple[str, ...]]
_NOT_ONE_OF = re.compile(r"'(?P<word>.*)' is not one of (?P<known>.*)")


@dataclass(frozen=True)
class Experiment:
    """A checked experiment."""

    name: str
    """Names the folder of its runs."""
    points: tuple[Point, ...]
    source: Path
    left_out: tuple[str, ...] = ()
    """Cases and named points of the sweep that contradict the command line."""

    def point(self, name: str) -> Point:
        """One point by name.

        Raises:
            UserError: there is no such point; the text lists the known ones.
        """
        known = [point.name for point in self.points]
        if name not in known:
            listing = ", ".join(f"'{point}'" for point in known)
            raise UserError(f"{self.name} has no point '{name}'.{did_you_mean(name, known)} Its points: {listing}.")
        return self.points[known.index(name)]


def load(
    name: str,
    overrides: Sequence[str] = (),
    experiments_dir: Path = EXPERIMENTS,
    check_files: CheckFiles | None = None,
    load_plugins: LoadPlugins = load_plugins,
) -> Experiment:
    """Reads, composes, expands and checks an experiment.

    Args:
        name: an experiment's name, or a path that ends in .yaml.
        overrides: `key=value`, each holding for every point.
        experiments_dir: where names and `extends` are looked up.
        check_files: sentences `key: what is wrong` on the files that a configuration needs, empty when all are there.
        load_plugins: imports modules and returns all registered routing names. Called only when a routing is not
            built in and there are plugins, because it imports torch.

    Raises:
        ExperimentErrors: all mistakes, each with file, line and YAML path.
        UserError: there is no such experiment.
    """
    composition = compose(name, overrides, experiments_dir)
    expansion = expand(composition)
    findings = [*composition.findings, *expansion.findings]
    judge = _Judge(composition, check_files, load_plugins)
    findings += judge.findings(expansion.drafts)
    if findings:
        raise ExperimentErrors(findings)
    points = tuple(draft.point for draft in expansion.drafts)
    return Experiment(composition.name, points, composition.source, tuple(expansion.left_out))


class _Judge:
    """Turns the sentences on every point into findings with a place."""

    def __init__(self, composition: Composition, check_files: CheckFiles | None, load_plugins: LoadPlugins) -> None:
        self.composition = composition
        self.check_files = check_files
        self.load_plugins = load_plugins
        self.registered: dict[str, tuple[str, ...]] = {}
        self.broken_plugins: dict[str, str] = {}

    def findings(self, drafts: list[Draft]) -> Iterator[Finding]:
        """What is wrong with the points; what holds for some points only says for which."""
        points_of: dict[tuple[Finding, bool], list[str]] = {}
        for draft in drafts:
            for sentence in self.sentences(draft):
                if placed := self.place(sentence, draft):
                    points_of.setdefault(placed, []).append(draft.point.name)
        for (finding, swept), points in points_of.items():
            everywhere = swept or len(points) == len(drafts)
            where = "" if everywhere else f" (in {', '.join(points[:3])}{' …' if len(points) > 3 else ''})"
            yield Finding(finding.file, finding.key, finding.message + where, finding.line)

    def sentences(self, draft: Draft) -> list[str]:
        config = draft.point.config
        known = self.known_routings(config)
        found = [f"plugins: {self.broken_plugins[name]}" for name in config.plugins if name in self.broken_plugins]
        found += config.problems(known)
        if self.check_files is not None:
            try:
                found += self.check_files(config)
            except UserError as error:
                found.append(str(error))
        return found

    def known_routings(self, config: ExperimentConfig) -> tuple[str, ...]:
        builtin = config.bottleneck.routing in (*BUILTIN_ROUTINGS, CROSS_ATTENTION)
        known = dict.fromkeys(BUILTIN_ROUTINGS)
        for plugin in config.plugins:
            if not is_there(plugin):
                self.broken_plugins[plugin] = f"there is no module '{plugin}', neither here nor installed"
            elif not builtin:
                known |= dict.fromkeys(self.names_with(plugin))
        return tuple(known)

    def names_with(self, plugin: str) -> tuple[str, ...]:
        if plugin not in self.registered:
            try:
                self.registered[plugin] = self.load_plugins([plugin])
            except UserError as error:
                self.registered[plugin] = ()
                self.broken_plugins[plugin] = str(error)
        return self.registered[plugin]

    def place(self, sentence: str, draft: Draft) -> tuple[Finding, bool] | None:
        """A sentence with its place, and whether the sweep gave the value; None if it only follows from a mistake."""
        keys, message = _split(sentence)
        if any(_mentions(key, keys, message) for key in draft.failed):
            return None
        leaf = _given(keys, draft)
        if leaf is None and (self.composition.incomplete or self.meant(keys)):
            return None
        if misspelt := _NOT_ONE_OF.fullmatch(message):
            message += "." + did_you_mean(misspelt["word"], misspelt["known"].split(", "))
        if leaf is None:
            return Finding(str(self.composition.source), ", ".join(keys), message), False
        path = leaf.path if len(keys) == 1 else ", ".join(keys)
        return Finding(leaf.file, path, message, leaf.line), leaf.path != leaf.key

    def meant(self, keys: list[str]) -> bool:
        """Whether one of the keys is what a misspelt key should have been."""
        return any(f"'{key}'" in finding.message for finding in self.composition.findings for key in keys)


def _split(sentence: str) -> tuple[list[str], str]:
    """`train.epochs, max_steps: give one` -> ([train.epochs, train.max_steps], give one). No keys: all is message."""
    head, colon, message = sentence.partition(": ")
    first, *others = head.split(", ")
    section = first.rpartition(".")[0]
    keys = [first, *(f"{section}.{other}" for other in others)]
    if not colon or any(schema.hint_of(key) is None for key in keys):
        return [], sentence
    return keys, message


def _given(keys: list[str], draft: Draft) -> Leaf | None:
    return next((draft.leaves[key] for key in keys if key in draft.leaves), None)


def _mentions(failed: str, keys: list[str], message: str) -> bool:
    """Whether a sentence rests on a leaf that failed, and so was judged by its default."""
    name = re.escape(failed.rpartition(".")[2])
    return failed in keys or re.search(rf"(?<!\w){name}(?!\w)", message) is not None
