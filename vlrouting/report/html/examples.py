"""The browser of test examples: which examples a page shows, and the data that its script takes."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from vlrouting.config.names import counted
from vlrouting.report.comparison import Variant
from vlrouting.report.html.outputs import RIGHT, Key, TestOutputs, read_outputs
from vlrouting.report.html.thumbnails import Thumbnails

LONGEST = 1_000
"""Characters of a text that are shown: a model may not know when to stop."""


@dataclass(frozen=True)
class Browser:
    """What the page needs.

    Attributes:
        data: JSON for the script: `variants`, `images`, `examples`.
        choices: value and text of each variant, for a filter.
        kinds: field -> value and text of each of its values, for a filter each.
        knows_right: whether answers are right or wrong.
        has_scores: whether outputs have scores.
        shown: how many test examples of how many the page has, and how they were chosen.
        seeds: whose outputs the page has, where variants have several seeds.
        notes: what could not be read.
    """

    data: dict[str, Any]
    choices: list[list[str]]
    kinds: dict[str, list[list[str]]]
    knows_right: bool
    has_scores: bool
    shown: str
    seeds: str
    notes: tuple[str, ...]


def browser(variants: Sequence[Variant], count: int, most_characters: int) -> Browser:
    """Choose test examples and collect what the variants predicted for them.

    All examples on which variants disagree come first, then others, evenly spaced over the test set.

    Args:
        variants: of the comparison.
        count: most examples.
        most_characters: of all examples with their images; where they exceed it, fewer examples are shown.
    """
    outputs = read_outputs(variants)
    has_scores = any(of.scores for of in outputs.variants)
    knows_right = has_scores and any(example.question for example in outputs.examples.values())
    disagreements = {key for key in outputs.examples if _disagree(outputs, key, knows_right)}
    thumbnails = Thumbnails(most_characters)
    records: dict[Key, dict[str, Any]] = {}
    for key in _of_each_dataset(outputs, disagreements, count):
        numbers = thumbnails.add(outputs.examples[key].images)
        if numbers is None:
            break
        records[key] = _record(outputs, key, numbers, knows_right)
        thumbnails.most -= len(json.dumps(records[key]))
    in_order = [key for key in outputs.examples if key in records]
    images = [{"name": name, "uri": uri} for name, uri in zip(thumbnails.names, thumbnails.uris, strict=True)]
    named = [{"label": of.label, "seed": of.seed, "seeds": of.seeds} for of in outputs.variants]
    notes = list(outputs.notes)
    if thumbnails.missing:
        notes.append(f"{thumbnails.missing:,} of {counted(len(images), 'image')} cannot be opened on this machine.")
    return Browser(
        data={"variants": named, "images": images, "examples": [records[key] for key in in_order]},
        choices=[[str(place), of.label] for place, of in enumerate(outputs.variants)],
        kinds=_kinds(outputs, in_order),
        knows_right=knows_right,
        has_scores=has_scores,
        shown=_shown(outputs, records.keys(), disagreements),
        seeds=_seeds(outputs),
        notes=tuple(notes),
    )


def _disagree(outputs: TestOutputs, key: Key, knows_right: bool) -> bool:
    """Whether some variants are right and others wrong; without right and wrong, whether the outputs differ."""
    if knows_right and outputs.examples[key].is_question:
        return len({of.scores[key] >= RIGHT for of in outputs.variants if key in of.scores}) > 1
    return len({" ".join(of.texts[key].casefold().split()) for of in outputs.variants if key in of.texts}) > 1


def _of_each_dataset(outputs: TestOutputs, disagreements: set[Key], count: int) -> list[Key]:
    """Keys of every dataset in turn, so that each has its share, also where a limit on the images cuts off the rest."""
    of_dataset: dict[str, list[Key]] = {}
    for key, example in outputs.examples.items():
        of_dataset.setdefault(example.dataset, []).append(key)
    parts = [_chosen(keys, disagreements, share) for keys, share in zip(*_shares(of_dataset, count), strict=True)]
    return [key for turn in zip_longest(*parts) for key in turn if key is not None]


def _shares(of_dataset: Mapping[str, list[Key]], count: int) -> tuple[list[list[Key]], list[int]]:
    """The keys of each dataset, the smallest first, and how many of them are shown: what a small one does not need is
    for the others."""
    ordered = sorted(of_dataset.values(), key=len)
    shares, left = [], count
    for place, keys in enumerate(ordered):
        shares.append(min(len(keys), left // (len(ordered) - place)))
        left -= shares[-1]
    return ordered, shares


def _chosen(keys: Sequence[Key], disagreements: set[Key], count: int) -> list[Key]:
    """Keys in a mixed order within each part, so that a limit on the images cuts off a random rest."""
    first = _evenly_spaced([key for key in keys if key in disagreements], count)
    then = _evenly_spaced([key for key in keys if key not in disagreements], count - len(first))
    draw = random.Random(0)
    return [*draw.sample(first, len(first)), *draw.sample(then, len(then))]


def _evenly_spaced(keys: Sequence[Key], count: int) -> list[Key]:
    number = min(count, len(keys))
    return [keys[index * len(keys) // number] for index in range(number)]


def _record(outputs: TestOutputs, key: Key, images: list[int], knows_right: bool) -> dict[str, Any]:
    example = outputs.examples[key]
    has_right = knows_right and example.is_question
    return {
        "id": str(example.id),
        "question": _cut(example.question),
        "references": [[_cut(text), times] for text, times in Counter(example.references).most_common()],
        "images": images,
        "kinds": example.kinds,
        "outputs": [
            None
            if key not in of.texts
            else {
                "text": _cut(of.texts[key]),
                "score": round(of.scores[key], 2) if key in of.scores else None,
                "right": of.scores[key] >= RIGHT if has_right and key in of.scores else None,
                "rightSeeds": of.right.get(key, 0) if has_right and key in of.scores else None,
            }
            for of in outputs.variants
        ],
    }


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def _kinds(outputs: TestOutputs, keys: Sequence[Key]) -> dict[str, list[list[str]]]:
    found: dict[str, set[str]] = {}
    for key in keys:
        for kind, value in outputs.examples[key].kinds.items():
            found.setdefault(kind, set()).add(value)
    return {
        kind: [[value, value] for value in sorted(values)] for kind, values in sorted(found.items()) if len(values) > 1
    }


def _seeds(outputs: TestOutputs) -> str:
    if all(of.seeds < 2 for of in outputs.variants):
        return ""
    seeds = {of.seed for of in outputs.variants}
    which = f"seed {seeds.pop()}" if len(seeds) == 1 else "each variant's first seed"
    return f" The outputs are those of {which}; where other seeds differ in being right, a note says so."


def _shown(outputs: TestOutputs, shown: Set[Key], disagreements: set[Key]) -> str:
    total = counted(len(outputs.examples), "test example")
    several = len(outputs.variants) > 1
    if len(shown) == len(outputs.examples):
        return f"All {total}; the variants disagree on {len(disagreements):,}." if several else f"All {total}."
    if not several:
        return f"{len(shown):,} of {total}, evenly spaced over the test set."
    return (
        f"{len(shown):,} of {total}: {len(shown & disagreements):,} of {len(disagreements):,} on which the variants "
        f"disagree, and {len(shown - disagreements):,} others, evenly spaced over the test set."
    )
