"""What is wrong with the points of a sweep, each problem at its place in the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import is_dataclass, replace
from fnmatch import fnmatchcase

from vlrouting.config import ExperimentConfig, Problem
from vlrouting.config.effect import IDLE_RULES, IdleRule
from vlrouting.config.experiment import SINGLE
from vlrouting.experiment import schema
from vlrouting.experiment.compose import STORED, Composition
from vlrouting.experiment.document import Leaf
from vlrouting.experiment.draft import Draft
from vlrouting.experiment.errors import Diagnostic
from vlrouting.experiment.typed import value_at

CheckFiles = Callable[[ExperimentConfig], list[Problem]]


def validate(
    composition: Composition, drafts: Sequence[Draft], check_files: CheckFiles | None = None
) -> Iterator[Diagnostic]:
    """Each error of the points once; one that only some of the points with the given value share says for which.

    Args:
        composition: what the points were made of.
        drafts: the points.
        check_files: what is wrong with the files that a configuration needs.
    """
    points: dict[Diagnostic, dict[str, None]] = {}
    about: dict[Diagnostic, dict[str, Counter[int]]] = {}
    count = Counter(map(id, (leaf for draft in drafts for leaf in draft.leaves.values())))  # of points with a value
    for draft in drafts:
        for diagnostic, leaves in _of_point(composition, draft, check_files):
            points.setdefault(diagnostic, {})[draft.point.name] = None
            by_key = about.setdefault(diagnostic, {})
            for leaf in leaves:
                by_key.setdefault(leaf.key, Counter())[id(leaf)] += 1
    for diagnostic, names in points.items():
        # Where all points with one of the values have the error, the place of that value tells enough.
        keys = about[diagnostic].values()
        everywhere = not keys or any(all(seen[i] == count[i] for i in seen) for seen in keys)
        yield diagnostic if everywhere else replace(diagnostic, points=tuple(names))
    if composition.source.name != STORED:  # which has every key, also those that have no effect in its point
        told = {number for by_key in about.values() for seen in by_key.values() for number in seen}
        yield from _without_effect(composition, drafts, count, told)


def _without_effect(
    composition: Composition, drafts: Sequence[Draft], count: Counter[int], told: Collection[int]
) -> Iterator[Diagnostic]:
    """Values that a user gave, that change nothing in any point that has them, and of which nothing is told yet.

    Where a later file decides that, what an earlier one gave for its own purpose is no error.
    """
    given = {leaf.key for leaf in composition.every_leaf()}
    rules = {key: found for key in given if (found := [rule for rule in IDLE_RULES if rule.is_about(key)])}
    idle: dict[int, tuple[Leaf, IdleRule, list[Draft]]] = {}
    for draft in drafts:
        for key in rules.keys() & draft.leaves.keys():
            rule = next((rule for rule in rules[key] if _is_idle(rule, key, draft)), None)
            if rule is not None:
                idle.setdefault(id(draft.leaves[key]), (draft.leaves[key], rule, []))[2].append(draft)
    for leaf, rule, where in idle.values():
        if len(where) == count[id(leaf)] and id(leaf) not in told:
            yield leaf.diagnostic(f"has no effect, because {rule.reason}", "; take it out")


def _is_idle(rule: IdleRule, key: str, draft: Draft) -> bool:
    section, _, name = key.rpartition(".")
    deciders = {section + decider if decider.startswith(".") else decider for decider in rule.decided_by}
    patterns = [decider for decider in deciders if "*" in decider] if draft.point.config.datasets else []
    deciders |= {other for other in draft.leaves if any(fnmatchcase(other, pattern) for pattern in patterns)}
    if draft.failed.keys() & {key, *deciders}:
        return False
    if any(draft.leaves[other].layer > draft.leaves[key].layer for other in deciders & draft.leaves.keys()):
        return False
    config = draft.point.config
    parent = value_at(config, section)
    is_default = is_dataclass(parent) and getattr(parent, name) == schema.default_of(type(parent), name)
    return not is_default and rule.is_idle(config, key)


def _of_point(
    composition: Composition, draft: Draft, check_files: CheckFiles | None
) -> Iterator[tuple[Diagnostic, list[Leaf]]]:
    """The errors of one point, with the values that each is about."""
    for key, diagnostic in draft.failed.items():
        yield diagnostic, _given(draft.leaves, [key])
    suggested = {key for found in (*composition.diagnostics, *draft.failed.values()) for key in found.suggested}
    config = draft.point.config
    problems = [*_two_forms(draft.leaves), *config.problems()]
    wrong = {key for problem in problems for key in problem.keys}
    # Without a file that is extended, what it sets is not known: neither is where the data are.
    files = check_files(config) if check_files and not composition.incomplete else []
    for problem in [*problems, *files]:
        about = {*problem.keys, *problem.depends_on}
        if about & draft.failed.keys() or wrong & set(problem.depends_on):
            continue  # it follows from another error
        out_of_sight = composition.incomplete or about & suggested
        if out_of_sight and not _given(draft.leaves, problem.keys):
            continue  # the value was meant to be given
        yield _placed(problem, draft.leaves, str(composition.source))


def _two_forms(leaves: Mapping[str, Leaf]) -> list[Problem]:
    """`bottleneck` is the short form of `bottlenecks` with one entry, which takes its place in an extending file; and
    `data` that of `datasets`."""
    found = []
    for keys in (("bottlenecks", SINGLE), ("datasets", "data")):
        layers = ([leaf.layer for leaf in leaves.values() if _below(leaf, key)] for key in keys)
        several, single = (max(given, default=0) for given in layers)
        if several and single and single >= several:
            remedy = f"name every {keys[0].removesuffix('s')} under {keys[0]}"
            found.append(Problem(keys, "give one of the two sections", remedy))
    return found


def _below(leaf: Leaf, section: str) -> bool:
    return leaf.key.startswith(f"{section}.")


def _placed(problem: Problem, leaves: Mapping[str, Leaf], source: str) -> tuple[Diagnostic, list[Leaf]]:
    """A problem at the first of the values that it is about; the file `source` where none is given."""
    own = _given(leaves, problem.keys)
    given = own or _given(leaves, problem.depends_on)[:1]
    if not given:
        return Diagnostic(source, ", ".join(problem.keys), problem.message, advice=problem.advice), []
    first = given[0]
    elsewhere = tuple(f"{leaf.path}: {leaf.place}" for leaf in given[1:] if leaf.place != first.place)
    message = problem.message if own else problem.message_with_keys
    path = ", ".join(leaf.path for leaf in given)
    return Diagnostic(first.file, path, message, first.line, problem.advice, elsewhere=elsewhere), given


def _given(leaves: Mapping[str, Leaf], keys: Sequence[str]) -> list[Leaf]:
    """The values that are given for some keys; for a section, the first below it."""
    found = (leaves.get(key) or next((leaves[k] for k in leaves if k.startswith(f"{key}.")), None) for key in keys)
    return [leaf for leaf in found if leaf is not None]
