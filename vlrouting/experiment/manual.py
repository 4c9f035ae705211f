"""What a key means: its documentation, type, default and choices, read off the config dataclasses."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import textwrap
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

from vlrouting.config import ExperimentConfig
from vlrouting.config.cluster import ClusterConfig
from vlrouting.config.fit import describe, hints_of, mark_of, spelled, without_none
from vlrouting.config.limits import MayUseEnvironment, OneOf, Range
from vlrouting.experiment import schema
from vlrouting.experiment.errors import UserError
from vlrouting.experiment.sweep_section import MOST_POINTS
from vlrouting.experiment.trials import SEED

CLUSTER = "cluster"
"""Keys of a cluster file are asked for with this in front: `cluster.partition`."""
FILE_KEYS = {
    "extends": "Files of experiments/ that this one builds on, as a list of names such as base/vqa. A later one is "
    "laid over an earlier one, and this file over all of them.",
    "sweep": "The points: every case times every combination of the grid, and the points named one by one, each with "
    "every seed. null drops what the extended files sweep; so does null for a part of it.",
    "sweep.grid": "Key -> list of values; the points are all combinations.",
    "sweep.cases": "Name -> keys that belong together; each case is combined with the whole grid.",
    "sweep.points": "Name -> keys of one more point, beside the grid.",
    "sweep.seeds": "Seeds, such as [0, 1, 2]: every point of the grid, and every named one, is trained with each "
    "of them. seed=3 on the command line leaves the one.",
    "sweep.tune": "Settings that are chosen for each variant (the points that differ in nothing but the seed) on the "
    "validation split, before its points are trained. null drops what the extended files tune.",
    "sweep.tune.grid": "Key -> list of values, such as train.lr; every variant is tried with all combinations.",
    "sweep.tune.seed": f"Seed of the trials, which no point may have. Default: {SEED}.",
    "sweep.tune.max_steps": "Most steps of a trial. Default: those of the points.",
    "sweep.max_points": f"Most points and trials that the sweep may have. Default: {MOST_POINTS:,}.",
}


@dataclass(frozen=True)
class Entry:
    """The manual of one key, or of a section."""

    key: str
    text: str
    """Paragraphs, with an empty line between them."""
    facts: dict[str, str]
    """Type, default, choices and the like, in words."""
    below: dict[str, str]
    """Keys of a section, each with the first sentence on it."""


def explain(key: str) -> Entry:
    """The manual of a dotted key. Without a key, of a whole experiment.

    Raises:
        UserError: there is no such key; the text has a did-you-mean.
    """
    if key in FILE_KEYS:
        return Entry(key, FILE_KEYS[key], {}, _first_sentences(FILE_KEYS, f"{key}."))
    if not key:
        return Entry("an experiment", "", {}, _section(ExperimentConfig) | _first_sentences(FILE_KEYS, ""))
    root, inside = (ClusterConfig, key.removeprefix(CLUSTER)) if key.partition(".")[0] == CLUSTER else (None, key)
    if root is not None and not inside:
        return Entry(key, inspect.getdoc(root) or "", {}, _section(root))
    return _entry(key, inside.removeprefix("."), root or ExperimentConfig)


def _entry(key: str, inside: str, root: type) -> Entry:
    parent, _, name = inside.rpartition(".")
    hint = schema.hint_of(inside, root)
    if hint is None:
        raise UserError(f"{key}: {''.join(schema.unknown_key(inside, root)[:2])}{_as_value(key)}")
    section = schema.section_of(parent, root)
    owners = _owners(section, name)
    text = _by_variant(section, {owner: documentation(owner).get(name, "") for owner in owners}, "\n\n")
    if not schema.is_section(hint):
        return Entry(key, text, _facts(inside, root, owners), {})
    inside_hint = without_none(hint)
    named = get_origin(inside_hint) is dict
    inner = get_args(inside_hint)[1] if named else inside_hint
    below = _section(inner) if dataclasses.is_dataclass(inner) else {}
    facts = {"form": "names of your own, each with the keys below"} if named and below else {}
    return Entry(key, text or inspect.getdoc(inner) or "", facts, below)


def _owners(section: type | None, name: str) -> list[type]:
    """The classes that have a field: the section, or the variants of it."""
    if section is None:
        return []
    return [owner for owner in (section, *schema.variants(section)) if name in hints_of(owner)]


def _by_variant(section: type | None, texts: dict[type, str], between: str) -> str:
    """The text that all variants of a section have for a key; where they differ, each with its variants in front.

    Args:
        section: that has the key, or whose variants do.
        texts: of each variant, or of the section.
        between: one text and the next.
    """
    different = list(dict.fromkeys(filter(None, texts.values())))
    if len(different) < 2 or section is None or section in texts or section not in schema.CHOICES:
        return different[0] if different else ""
    known, _ = schema.CHOICES[section]
    names = {text: [name for name in known if texts.get(known.facts(name)) == text] for text in different}
    return between.join(f"{', '.join(names[text])}: {text}" for text in different)


def _facts(key: str, root: type, owners: list[type]) -> dict[str, str]:
    hint, section = schema.hint_of(key, root), schema.section_of(key.rpartition(".")[0], root)
    allowed = mark_of(hint, Range)
    facts = {"type": ", ".join(filter(None, (describe(hint), str(allowed or ""))))}
    facts |= {"choices": ", ".join(choices(key, root))} if choices(key, root) else {}
    if section in schema.CHOICES and section not in owners:
        known, chooser = schema.CHOICES[section]  # type: ignore[index]
        having = [name for name in known if known.facts(name) in owners]
        facts[f"for {chooser or known.what}"] = ", ".join(having)
    if owners:
        defaults = {owner: _default(owner, key.rpartition(".")[2]) for owner in owners}
        facts["default"] = _by_variant(section, defaults, "; ")
    if mark_of(hint, MayUseEnvironment) is not None:
        facts["environment"] = "${oc.env:NAME} is read here, and is not written to files"
    return facts


def choices(key: str, root: type = ExperimentConfig) -> tuple[str, ...]:
    """The values that a key can have, where they can be counted."""
    hint = schema.hint_of(key, root)
    registry, fixed = schema.registry_of(key) if root is ExperimentConfig else None, mark_of(hint, OneOf)
    if registry is not None:
        return registry.names()
    if fixed is not None:
        return fixed.names
    return ("true", "false") if hint is bool else ()


def _default(owner: type, name: str) -> str:
    default = schema.default_of(owner, name)
    return "none: it has to be given" if default is dataclasses.MISSING else _shown(default)


def _shown(value: object) -> str:
    return '""' if value == "" else spelled(value)


def _as_value(word: str) -> str:
    """What a word is when it is no key: `mul` is a choice of bottleneck.routing."""
    for key in schema.all_keys():
        registry = schema.registry_of(key)
        if registry is not None and word in registry:
            return f" '{word}' is a value of {key}: vlrouting explain {key}"
    return ""


def _section(section: Any) -> dict[str, str]:
    """Keys of a section, those of its variants included, with the first sentence on each."""
    found: dict[str, str] = {}
    for owner in (section, *schema.variants(section)):
        docs = documentation(owner)
        found |= {name: _sentence(docs.get(name, "")) for name in hints_of(owner) if name not in found}
        for name, hint in hints_of(owner).items():
            inner = without_none(hint)
            found[name] = found[name] or _sentence(inspect.getdoc(inner) or "" if isinstance(inner, type) else "")
    return found


@cache
def documentation(section: type) -> dict[str, str]:
    """Field -> the text below it in the class's source, base classes included."""
    found: dict[str, str] = {}
    for owner in reversed(section.__mro__[:-1]):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
        except (OSError, TypeError, SyntaxError):  # a class that was defined in an interpreter has no source
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for field, after in itertools.pairwise(body):
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
                found[field.target.id] = inspect.cleandoc(str(after.value.value)).replace("\n", " ")  # type: ignore[attr-defined]
    return found


def _first_sentences(texts: dict[str, str], prefix: str) -> dict[str, str]:
    below = {key.removeprefix(prefix): text for key, text in texts.items() if key.startswith(prefix)}
    return {key: _sentence(text) for key, text in below.items() if "." not in key}


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text.partition(". ")[0].removesuffix(".") + "." if text else ""
