"""Caption scores as the COCO evaluation counts them: BLEU, METEOR, ROUGE-L, CIDEr-D, and SPICE where it can run.

The numbers are pycocoevalcap's, computed scorer by scorer, so that what one scorer needs is not missed by the others.
All are fractions of 1, except that CIDEr is ten times its mean cosine, as everywhere. Some peculiarities, kept because
published numbers have them:

- BLEU and METEOR of the corpus are pooled over its images, and so differ from the mean of the images' scores.
- CIDEr weighs n-grams by the images that are scored together: it depends on the split, and with a single image every
  weight, and so CIDEr, is 0.
- A final abbreviation ("St.") may keep its period depending on the next caption, so the order of images can matter.

Source: https://github.com/tylin/coco-caption, packaged as pycocoevalcap.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from vlrouting.metrics.caption_java import JavaError, java_version
from vlrouting.metrics.caption_meteor import meteor_scores
from vlrouting.metrics.caption_spice import require_spice, spice_scores
from vlrouting.metrics.caption_tokens import TokenLists, tokenize_officially, tokenize_without_java

_BLEU = ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4")
SCORE_NAMES = (*_BLEU, "METEOR", "ROUGE_L", "CIDEr")
"""What `score` computes unasked, in the order of tables."""

_LISTED_IDS = 5


@dataclass(frozen=True)
class CaptionScores:
    """Scores of a set of captions."""

    corpus: dict[str, float] = field(default_factory=dict)
    """Score name to the value over all images."""
    per_image: dict[Any, dict[str, float]] = field(default_factory=dict)
    """Image id to score name to the image's value."""
    not_computed: dict[str, str] = field(default_factory=dict)
    """Score name to the reason why it is not among the others, with the remedy."""


# A scorer takes the tokens of references and hypotheses, and gives for each of its names the value over all images and
# the list of the images' values.
Scorer = Callable[[TokenLists, TokenLists], list[tuple[float, Sequence[float]]]]


def score(hypotheses: Mapping[Any, str], references: Mapping[Any, Sequence[str]], spice: bool = False) -> CaptionScores:
    """Score one caption per image against its references.

    Every score is computed or listed in `not_computed`: a missing or failing program is no error here. Without Java,
    METEOR is not computed, and the others only where all captions are plain (`caption_plain`).

    Args:
        hypotheses: image id to the caption to score.
        references: the same ids to at least one reference each.
        spice: also compute SPICE.

    Raises:
        ValueError: no image, ids that differ, an image without references, or a caption that is no string.
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
    """Tokens, and why Java failed ("" where it did not).

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
        values = scorer(references, hypotheses)
    except JavaError as error:
        scores.not_computed.update(dict.fromkeys(names, str(error)))
    except Exception as error:  # a run of hours must not end because of one scorer
        reason = f"its scorer failed ({type(error).__name__}: {error}); check the captions and references"
        scores.not_computed.update(dict.fromkeys(names, reason))
    else:
        for name, (corpus, images) in zip(names, values, strict=True):
            scores.corpus[name] = float(corpus)
            for image, value in zip(references, images, strict=True):
                scores.per_image[image][name] = float(value)


def _bleu(references: TokenLists, hypotheses: TokenLists) -> list[tuple[float, Sequence[float]]]:
    corpus, per_image = Bleu(len(_BLEU)).compute_score(references, hypotheses, verbose=0)
    return list(zip(corpus, per_image, strict=True))


def _cider(references: TokenLists, hypotheses: TokenLists) -> list[tuple[float, Sequence[float]]]:
    if not any(text.split() for texts in references.values() for text in texts):
        raise ValueError("no reference has a word")
    return [Cider().compute_score(references, hypotheses)]


_SCORERS: dict[tuple[str, ...], Scorer] = {
    _BLEU: _bleu,
    ("METEOR",): lambda references, hypotheses: [meteor_scores(references, hypotheses)],
    ("ROUGE_L",): lambda references, hypotheses: [Rouge().compute_score(references, hypotheses)],
    ("CIDEr",): _cider,
    ("SPICE",): lambda references, hypotheses: [spice_scores(references, hypotheses)],
}
_NEED_JAVA = {("METEOR",), ("SPICE",)}


def missing_requirements(spice: bool = False) -> dict[str, str]:
    """Scores that this machine cannot give, or not always, to the reason and the remedy; {} where nothing is missing.

    A check before training: it asks for the version of Java, once per process, and starts no scorer.
    """
    missing: dict[str, str] = {}
    try:
        java_version()
    except JavaError as error:
        for name in SCORE_NAMES:
            only_plain = "" if name == "METEOR" else " (without it, it is computed only where all captions are plain)"
            missing[name] = f"{error}{only_plain}"
    if spice:
        try:
            require_spice()
        except JavaError as error:
            missing["SPICE"] = str(error)
    return missing


def check_captions(hypotheses: Mapping[Any, str], references: Mapping[Any, Sequence[str]]) -> None:
    """Check what `score` is given.

    Raises:
        ValueError: see `score`; counts the ids and lists the first five.
    """
    check_references(references)
    _refuse("references but no caption to score", references.keys() - hypotheses.keys(), references)
    _refuse("a caption to score but no references", hypotheses.keys() - references.keys(), hypotheses)
    _refuse("a caption that is no string", {image for image, text in hypotheses.items() if type(text) is not str})


def check_references(references: Mapping[Any, Sequence[str]]) -> None:
    """Check references.

    Raises:
        ValueError: there are none, or an image has none, or has anything else than strings.
    """
    if not references:
        raise ValueError("there is no caption to score: the references are empty")
    # A string is a sequence of strings too, and each of its letters would count as a reference.
    _refuse(
        "references that are no list of strings",
        {
            image
            for image, texts in references.items()
            if isinstance(texts, str) or not isinstance(texts, Sequence) or any(type(text) is not str for text in texts)
        },
        references,
    )
    _refuse("an empty list of references", {image for image, texts in references.items() if not texts}, references)


def _refuse(what: str, images: set[Any], order: Iterable[Any] = ()) -> None:
    if images:
        listed = [image for image in order if image in images] or list(images)
        named = ", ".join(map(repr, listed[:_LISTED_IDS])) + (", …" if len(listed) > _LISTED_IDS else "")
        raise ValueError(f"{what}: {len(images)} {'image' if len(images) == 1 else 'images'} ({named})")
