"""The scores of each example in predictions.jsonl: a number, or a part of the sums that a corpus score is made of.

A record has

- `score`: the main metric's number of the example, in the unit of metrics.json; the mean is the number of the test set.
  A GQA question that is not balanced has none: it is not scored.
- `scores`: name -> number, whose mean is the number of the test set, or a list of numbers to add up over the examples,
  from whose sums `statistic(name)` makes the number of the test set. `Bleu` is the list of all four BLEU scores.
- `cluster`: what examples have in common that are not independent.

CIDEr of an image depends on the document frequencies of the whole reference set. They are those of the whole set also
where examples are resampled: they belong to the metric, and the sets that could have been drawn would not change them
by much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Record = Mapping[str, Any]

LISTED_AS = {f"Bleu_{n}": "Bleu" for n in (1, 2, 3, 4)}
"""Metric -> name of its list in `scores`, where it is another."""
_RATIOS = ("consistency", "open", "binary")
"""Percentages: the first sum of the second. NLVR2's consistency is of statements, not of pairs."""


def scored(records: Sequence[Record]) -> list[Record]:
    """The records that are scored; none of an older run, which has no scores of examples."""
    return [record for record in records if "score" in record]


def values(records: Sequence[Record], name: str) -> Array | None:
    """The examples' values of a metric, in their order.

    Args:
        records: lines of a predictions.jsonl that are `scored`.
        name: of a number in metrics.json, with or without its split: `test/vqa_accuracy`, `Bleu_4`.

    Returns:
        (N,), whose mean is the number; or (N, K) of what `statistic(name)` makes the number of, zeros where an example
        adds nothing. None where the examples have no such values.
    """
    name = _metric(name)
    key = LISTED_AS.get(name, name)
    found = [record.get("scores", {}).get(key) for record in records]
    present = [value for value in found if value is not None]
    if not present:
        return None
    if isinstance(present[0], list):
        nothing = [0.0] * len(present[0])
        return np.array([nothing if value is None else value for value in found], dtype=np.float64)
    return np.array([np.nan if value is None else value for value in found], dtype=np.float64)


def statistic(name: str) -> Callable[[Array], Array] | None:
    """Makes the number in metrics.json of the examples' sums, (..., K) -> (...), as `vlrouting.statistics` takes it.
    None where the number is the mean."""
    name = _metric(name)
    if name in LISTED_AS:
        return partial(bleu, order=int(name[-1]))
    if name == "METEOR":
        return meteor
    return ratio if name in _RATIOS else None


def ratio(sums: Array) -> Array:
    """(..., 2) -> (...): the first sum in percent of the second."""
    share: Array = 100 * sums[..., 0] / sums[..., 1]
    return share


def bleu(sums: Array, order: int = 4) -> Array:
    """Corpus BLEU times 100 of summed counts (..., 10), as pycocoevalcap computes it.

    Args:
        sums: matches of 1..4-grams, guesses of 1..4-grams, length of the hypotheses, length of the closest references.
        order: longest n-grams.

    Source: Papineni et al., ACL 2002, https://aclanthology.org/P02-1040; the two constants are pycocoevalcap's.
    """
    tiny, small = 1e-15, 1e-9  # of pycocoevalcap, so that nothing is divided by 0
    precisions = (sums[..., :order] + tiny) / (sums[..., 4 : 4 + order] + small)
    lengths = (sums[..., 8] + tiny) / (sums[..., 9] + small)
    brevity = np.exp(np.minimum(0, 1 - 1 / lengths))
    score: Array = 100 * precisions.prod(-1) ** (1 / order) * brevity
    return score


def meteor(sums: Array) -> Array:
    """Corpus METEOR 1.5 (English) times 100 of summed counts (..., 23), as METEOR itself gives them.

    Args:
        sums: length of hypothesis and of reference, function words of both; for each kind of match (exact, stem,
            synonym, paraphrase) the matched content words of both and function words of both; chunks (0 where a caption
            equals a reference), matched words of both.

    Source: Denkowski and Lavie, WMT 2014, https://aclanthology.org/W14-3348, with its parameters for English.
    """
    alpha, beta, gamma, delta = 0.85, 0.2, 0.6, 0.75
    weights = np.array([1.0, 0.6, 0.8, 0.6])
    lengths, function_words = sums[..., 0:2], sums[..., 2:4]
    matches = sums[..., 4:20].reshape(*sums.shape[:-1], 4, 2, 2)  # kind, content or function words, side
    content, function = np.moveaxis((matches * weights[:, None, None]).sum(-3), -2, 0)
    matched = delta * content + (1 - delta) * function
    possible = delta * (lengths - function_words) + (1 - delta) * function_words
    chunks, words = sums[..., 20], sums[..., 21:23]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = np.moveaxis(matched / possible, -1, 0)
        mean = 1 / ((1 - alpha) / precision + alpha / recall)
        fragmentation = chunks / words.mean(-1)
        score = mean * (1 - gamma * fragmentation**beta)
    found: Array = 100 * np.where(words.sum(-1) > 0, score, 0)
    return found


def _metric(name: str) -> str:
    return name.removeprefix("test/").removeprefix("validation/")
