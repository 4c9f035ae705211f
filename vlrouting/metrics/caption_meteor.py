"""METEOR 1.5 as pycocoevalcap runs it: one Java program over a whole evaluation.

pycocoevalcap's own class is not used: once its program has failed, it waits for its own lock and never comes back.
Source: https://www.cs.cmu.edu/~alavie/METEOR (M. Denkowski, A. Lavie, WMT 2014).
"""

from __future__ import annotations

from pathlib import Path

from pycocoevalcap.meteor import meteor

from vlrouting.metrics.caption_java import JavaError, JavaProgram
from vlrouting.metrics.caption_tokens import TokenLists

_ARGUMENTS = ("-Xmx2G", "-jar", meteor.METEOR_JAR, "-", "-", "-stdio", "-l", "en", "-norm")

_START_SECONDS = 300
"""Ten are usual: it reads a table of paraphrases first. A machine that is busy training takes longer."""
_SECONDS_PER_IMAGE = 0.2
"""Twenty times what is usual."""

_SEPARATOR = " ||| "


def meteor_scores(references: TokenLists, hypotheses: TokenLists) -> tuple[float, list[float]]:
    """METEOR over all images, which is no mean but pooled, and of each image, in 0..1, in the order of `references`.

    Args:
        references: tokens of each image's references.
        hypotheses: the same images, with one list entry each.

    Raises:
        JavaError: Java is missing, or METEOR failed, took too long, or answered with anything but numbers.
    """
    # The tokenizers part a "|||" within a caption into "| | |", so a caption cannot break the protocol.
    questions = [_SEPARATOR.join(("SCORE", *references[image], hypotheses[image][0])) for image in references]
    seconds = _START_SECONDS + _SECONDS_PER_IMAGE * len(questions)
    folder = Path(meteor.__file__).parent  # METEOR finds its paraphrases beside its jar
    with JavaProgram("METEOR", _ARGUMENTS, folder, seconds) as program:
        statistics = [_ask(program, question) for question in questions]
        program.write(_SEPARATOR.join(("EVAL", *statistics)))
        per_image = [_numbers(program.read())[0] for _ in questions]
        corpus = _numbers(program.read())[0]
    return corpus, per_image


def _ask(program: JavaProgram, question: str) -> str:
    program.write(question)
    answer = program.read()
    _numbers(answer)
    return answer


def _numbers(answer: str) -> list[float]:
    try:
        return [float(number) for number in answer.split()]
    except ValueError as error:
        raise JavaError(f"METEOR: it answered {answer!r:.80}; check that pycocoevalcap is installed whole") from error
