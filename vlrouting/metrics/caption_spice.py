"""SPICE as in pycocoevalcap, if the jars of its parser are installed; no Python package contains them.

pycocoevalcap's own class is not used, because it downloads missing jars and writes into its package.
Source: https://github.com/peteanderson80/SPICE (Anderson et al., ECCV 2016).
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from pycocoevalcap.spice import spice

from vlrouting.metrics.caption_java import JavaError, java_version, run_java
from vlrouting.metrics.caption_tokens import TokenLists

JARS = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")
JAVA_VERSIONS = (8, 11)
"""Later versions have no JavaScript engine and deny access to classes that SPICE's serializer needs."""

_START_SECONDS = 600
_SECONDS_PER_IMAGE = 2


def _folder() -> Path:
    return Path(spice.__file__).parent


def require_spice() -> None:
    """Check that SPICE can run here.

    Raises:
        JavaError: a jar of its parser is missing, or there is no Java 8 or 11.
    """
    library = _folder() / "lib"
    missing = [jar for jar in JARS if not (library / jar).is_file()]
    if missing:
        raise JavaError(
            f"SPICE: {' and '.join(missing)} not found; put them, from stanford-corenlp-full-2015-12-09.zip of "
            f"https://nlp.stanford.edu/software, into {library}"
        )
    version = java_version()
    if version not in JAVA_VERSIONS:
        raise JavaError(f"SPICE: runs on Java 8 or 11, not on {version}; put one of them first on PATH")


def spice_scores(references: TokenLists, hypotheses: TokenLists) -> tuple[float, list[float]]:
    """SPICE, an F-score over scene graphs: the mean over images, and per image in the order of `references`.

    Args:
        references: image -> tokens of its references.
        hypotheses: the same images -> a list of one entry.

    Raises:
        JavaError: SPICE cannot run here (`require_spice`), failed, or took too long.
    """
    require_spice()
    # Numbers instead of ids, because SPICE's JSON reader may change an id.
    records = [
        {"image_id": number, "test": hypotheses[image][0], "refs": references[image]}
        for number, image in enumerate(references)
    ]
    with tempfile.TemporaryDirectory(prefix="vlrouting-spice-") as temporary:
        question, answer = Path(temporary, "captions.json"), Path(temporary, "scores.json")
        question.write_text(json.dumps(records), encoding="utf-8")
        arguments = ["-Xmx8G", "-jar", spice.SPICE_JAR, str(question), "-out", str(answer), "-subset", "-silent"]
        run_java("SPICE", arguments, _folder(), _START_SECONDS + _SECONDS_PER_IMAGE * len(records))
        scores = _read_scores(answer)
    per_image = [scores[number] for number in range(len(records))]
    return float(np.mean(per_image)), per_image


def _read_scores(path: Path) -> dict[int, float]:
    try:
        answers = json.loads(path.read_text(encoding="utf-8"))
        return {int(answer["image_id"]): _number(answer["scores"]["All"]["f"]) for answer in answers}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JavaError(f"SPICE: its scores cannot be read ({error!r}); check its jars and `java -version`") from error


def _number(value: float | None) -> float:
    """Not a number if SPICE gives no value, as in pycocoevalcap; `caption_scores` then lists SPICE as not computed."""
    return float("nan") if value is None else float(value)
