"""Caption scores of the COCO evaluation: BLEU, METEOR, ROUGE-L, CIDEr-D, and SPICE if it can run.

The numbers are those of pycocoevalcap. Each scorer runs separately, so that a failing scorer does not affect the
others. All scores are in [0, 1], except CIDEr, which is ten times a mean cosine, as usual. Some peculiarities are kept,
because published numbers have them:

- BLEU and METEOR of the corpus are pooled over its images, so they differ from the mean of the images' scores.
- CIDEr weights n-grams by their frequency in the images that are scored together, so it depends on the split. With a
  single image all weights are 0, and CIDEr is 0.
- A final abbreviation ("no.") may keep its period depending on the next caption, so the order of images can matter.
  `CaptionScore` takes them in the order of their ids.

Source: https://github.com/tylin/coco-caption, packaged as pycocoevalcap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pycocoevalcap.bleu.bleu_scorer import BleuScorer
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from vlrouting.metrics.caption_java import JavaError, java_version
from vlrouting.metrics.caption_meteor import meteor_scores
from vlrouting.metrics.caption_spice import require_spice, spice_scores
from vlrouting.metrics.caption_tokens import TokenLists, tokenize_officially, tokenize_without_java
from vlrouting.metrics.results_file import named

_BLEU = ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4")
_BLEU_LENGTH = "closest"
"""The reference whose length counts: the one whose length is closest to the hypothesis's."""
SCORE_NAMES = (*_BLEU, "METEOR", "ROUGE_L", "CIDEr")
"""The scores that `score` computes by default, in the order of tables."""


@dataclass(frozen=True)
class CaptionScores:
    """Scores of a set of captions."""

    corpus: dict[str, float] = field(default_factory=dict)
    """Score name -> value over all images."""
    per_image: dict[Any, dict[str, float]] = field(default_factory=dict)
    """Image id -> score name -> value of the image."""
    summands: dict[str, dict[Any, list[float]]] = field(default_factory=dict)
    """`Bleu`, `METEOR` -> image id -> the image's part of the sums that the pooled score is made of (`per_example`)."""
    not_computed: dict[str, str] = field(default_factory=dict)
    """Score name -> why it could not be computed, with the remedy."""


@dataclass(frozen=True)
class Scored:
    """What a scorer gives."""

    values: list[tuple[float, Sequence[float]]]
    """For each name of the scorer, the value over all images and of each image, in the order of the references."""
    summands: dict[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    """As in `CaptionScores`, but in the order of the references."""


Scorer = Callable[[TokenLists, TokenLists], Scored]
"""Takes the tokens of references and hypotheses."""


def score(hypotheses: Mapping[Any, str], references: Mapping[Any, Sequence[str]], spice: bool = False) -> CaptionScores:
    """Score one caption per image against its references.

    Every score is either computed or listed in `not_computed`; a missing or failing program raises no error. Without
    Java, METEOR is not computed, and the others only if all captions are plain (`caption_plain`).

    Args:
        hypotheses: image id -> caption to score.
        references: the same ids -> at least one reference each.
        spice: also compute SPICE.

    Raises:
        ValueError: there is no image, the ids differ, an image has no references, or a caption is not a string.
    """
    check_captions(hypotheses, references)
    scorers = dict(_SCORERS) if spice else {names: scorer for names, scorer in _SCORERS.items() if "SPICE" not in names}
    scores = CaptionScores(per_image={image: {} for image in references})
    try:
        tokens, java_failure = _tokenize(references, {image: [text] for image, text in hypotheses.items()})
    except JavaError as error:
        scores.not_computed.update({name: str(error) for names in scorers for name in names})
        return scores
    for names, scorer in scorers.items():
        if java_failure and names in _NEED_JAVA:
            scores.not_computed.update(dict.fromkeys(names, java_failure))
        else:
            _add(scores, names, scorer, *tokens)
    return scores


def _tokenize(*captions: Mapping[Hashable, Sequence[str]]) -> tuple[list[TokenLists], str]:
    """Tokens, and the reason why Java failed ("" if it did not).

    Raises:
        JavaError: Java failed, and a caption is not plain.
    """
    try:
        return tokenize_officially(*captions), ""
    except JavaError as java_error:
        try:
            return tokenize_without_java(*captions), str(java_error)
        except ValueError as plain_error:
            raise JavaError(f"{java_error} ({plain_error})") from java_error


def _add(
    scores: CaptionScores, names: tuple[str, ...], scorer: Scorer, references: TokenLists, hypotheses: TokenLists
) -> None:
    try:
        found = scorer(references, hypotheses)
    except JavaError as error:
        scores.not_computed.update(dict.fromkeys(names, str(error)))
    except Exception as error:  # one failing scorer must not end a long run
        reason = f"its scorer failed ({type(error).__name__}: {error}); check the captions and references"
        scores.not_computed.update(dict.fromkeys(names, reason))
    else:
        for name, summands in found.summands.items():
            scores.summands[name] = {image: list(each) for image, each in zip(references, summands, strict=True)}
        for name, (corpus, images) in zip(names, found.values, strict=True):
            if not math.isfinite(corpus):  # SPICE gives no value for some captions
                image = next((image for image, value in zip(references, images, strict=True) if value != value), "?")
                scores.not_computed[name] = f"its scorer gave no number for image {image}; check that caption"
                continue
            scores.corpus[name] = float(corpus)
            for image, value in zip(references, images, strict=True):
                scores.per_image[image][name] = float(value)


def _bleu(references: TokenLists, hypotheses: TokenLists) -> Scored:
    scorer = BleuScorer(n=len(_BLEU))
    for image, texts in references.items():
        scorer += (hypotheses[image][0], texts)
    corpus, per_image = scorer.compute_score(option=_BLEU_LENGTH)
    counts = [_bleu_counts(image) for image in scorer.ctest]
    return Scored(list(zip(corpus, per_image, strict=True)), {"Bleu": counts})


def _bleu_counts(image: Mapping[str, Any]) -> list[int]:
    length = image["testlen"]
    closest = min(image["reflen"], key=lambda reference: (abs(reference - length), reference))
    return [*image["correct"], *image["guess"], length, closest]


def _meteor(references: TokenLists, hypotheses: TokenLists) -> Scored:
    corpus, per_image, counts = meteor_scores(references, hypotheses)
    return Scored([(corpus, per_image)], {"METEOR": counts})


def _cider(references: TokenLists, hypotheses: TokenLists) -> Scored:
    if not any(text.split() for texts in references.values() for text in texts):
        raise ValueError("no reference has a word")
    return Scored([Cider().compute_score(references, hypotheses)])


_SCORERS: dict[tuple[str, ...], Scorer] = {
    _BLEU: _bleu,
    ("METEOR",): _meteor,
    ("ROUGE_L",): lambda references, hypotheses: Scored([Rouge().compute_score(references, hypotheses)]),
    ("CIDEr",): _cider,
    ("SPICE",): lambda references, hypotheses: Scored([spice_scores(references, hypotheses)]),
}
_NEED_JAVA = {("METEOR",), ("SPICE",)}


def missing_requirements(spice: bool = False) -> dict[str, str]:
    """Scores that this machine cannot compute, or only for plain captions -> the reason and the remedy.

    For a check before training: it only runs `java -version`, once per process.
    """
    missing: dict[str, str] = {}
    try:
        java_version()
    except JavaError as error:
        for name in SCORE_NAMES:
            only_plain = "" if name == "METEOR" else " (without it, it is computed only if all captions are plain)"
            missing[name] = f"{error}{only_plain}"
    if spice:
        try:
            require_spice()
        except JavaError as error:
            missing["SPICE"] = str(error)
    return missing


def check_captions(hypotheses: Mapping[Any, str], references: Mapping[Any, Sequence[str]]) -> None:
    """Validate the arguments of `score`.

    Raises:
        ValueError: see `score`; the message has the number of ids and the first five.
    """
    check_references(references)
    _refuse("references but no caption to score", [image for image in references if image not in hypotheses])
    _refuse("a caption to score but no references", [image for image in hypotheses if image not in references])
    _refuse("a caption that is no string", [image for image, text in hypotheses.items() if type(text) is not str])


def check_references(references: Mapping[Any, Sequence[str]]) -> None:
    """Validate references.

    Raises:
        ValueError: there are none, an image has none, or a reference is not a string.
    """
    if not references:
        raise ValueError("there is no caption to score: the references are empty")
    # A string is also a sequence of strings, and each of its letters would count as a reference.
    invalid = [
        image
        for image, texts in references.items()
        if isinstance(texts, str) or not isinstance(texts, Sequence) or any(type(text) is not str for text in texts)
    ]
    _refuse("references that are no list of strings", invalid)
    _refuse("an empty list of references", [image for image, texts in references.items() if not texts])


def _refuse(what: str, images: list[Any]) -> None:
    if images:
        raise ValueError(f"{what}: {named(map(repr, images))}")
