"""METEOR 1.5 as in pycocoevalcap: one Java program per evaluation.

pycocoevalcap's own class is not used, because it deadlocks on its own lock after the program has failed.
Source: https://www.cs.cmu.edu/~alavie/METEOR (M. Denkowski, A. Lavie, WMT 2014).
"""

from __future__ import annotations

from pathlib import Path

from pycocoevalcap.meteor import meteor

from vlrouting.metrics.caption_java import JavaError, JavaProgram, java_program
from vlrouting.metrics.caption_tokens import TokenLists

_ARGUMENTS = ("-Xmx2G", "-jar", meteor.METEOR_JAR, "-", "-", "-stdio", "-l", "en", "-norm")

_START_SECONDS = 300
"""Usually 10, for loading the paraphrase table; longer on a machine that is busy training."""
_SECONDS_PER_IMAGE = 0.2
"""Twenty times the usual."""

_COUNTS = 23
"""Of an image; what they count is said in `per_example.meteor`."""
_CHUNKS = 20
"""Index of the number of chunks among the counts of an image; the matched words of both sides follow it."""
_SEPARATOR = " ||| "


def meteor_scores(references: TokenLists, hypotheses: TokenLists) -> tuple[float, list[float], list[list[float]]]:
    """METEOR in [0, 1]: pooled over all images (not the mean), and per image in the order of `references`; and the
    counts of each image, whose sums the pooled score is made of (`per_example`).

    Args:
        references: image -> tokens of its references.
        hypotheses: the same images -> a list of one entry.

    Raises:
        JavaError: Java is missing, or METEOR failed, took too long, or answered with something else than numbers.
    """
    # The tokenizers split a "|||" within a caption into "| | |", so a caption cannot break the protocol.
    questions = [_SEPARATOR.join(("SCORE", *references[image], hypotheses[image][0])) for image in references]
    seconds = _START_SECONDS + _SECONDS_PER_IMAGE * len(questions)
    folder = Path(meteor.__file__).parent  # METEOR finds its paraphrases beside its jar
    with java_program("METEOR", _ARGUMENTS, folder, seconds) as program:
        statistics = [_ask(program, question) for question in questions]
        program.write(_SEPARATOR.join(("EVAL", *statistics)))
        per_image = [_numbers(program.read())[0] for _ in questions]
        corpus = _numbers(program.read())[0]
    return corpus, per_image, [_summands(_numbers(line)) for line in statistics]


def _summands(counts: list[float]) -> list[float]:
    """What METEOR adds up: a caption that matches a reference word by word counts as no chunk at all."""
    lengths, chunks, matched = counts[:2], counts[_CHUNKS], counts[_CHUNKS + 1 :]
    if chunks == 1 and matched == lengths:
        counts[_CHUNKS] = 0.0
    return [int(count) if count.is_integer() else count for count in counts]


def _ask(program: JavaProgram, question: str) -> str:
    program.write(question)
    answer = program.read()
    if len(_numbers(answer)) != _COUNTS:
        raise _unexpected(answer)
    return answer


def _numbers(answer: str) -> list[float]:
    try:
        return [float(number) for number in answer.split()]
    except ValueError as error:
        raise _unexpected(answer) from error


def _unexpected(answer: str) -> JavaError:
    return JavaError(f"METEOR: unexpected answer {answer!r:.80}; check the installation of pycocoevalcap")
