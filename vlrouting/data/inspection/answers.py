"""The answer vocabulary, how many questions it can answer, and answers that training never shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from vlrouting.config.finding import FAULT, WARNING, Finding
from vlrouting.config.names import counted
from vlrouting.data.datasets.presence import answers_path
from vlrouting.data.datasets.registry import format_of
from vlrouting.data.example import DataError
from vlrouting.data.inspection.inspection import AnswerShares, Inspection
from vlrouting.data.loading.vocabulary import AnswerVocabulary

LEAST_SHARE = 0.8
"""Of a split's questions that a classifier should be able to answer; below it there is a warning."""
ABOUT = "answers"


class _Normalized:
    """Answers as entries of the vocabulary, each normalised once."""

    def __init__(self, inspection: Inspection) -> None:
        self._normalize = format_of(inspection.subject.data).normalize_answer
        self._known: dict[str, str] = {}

    def counts(self, answers: Counter[str]) -> Counter[str]:
        """Number of questions by normalised answer."""
        found: Counter[str] = Counter()
        for answer, count in answers.items():
            if answer not in self._known:
                self._known[answer] = self._normalize(answer)
            found[self._known[answer]] += count
        return found


def look_at_answers(inspection: Inspection) -> Iterator[Finding]:
    """Fill in the vocabulary's size and every split's shares.

    A vocabulary that cannot be built is a fault where a classifier is to be trained.
    """
    subject, training = inspection.subject, inspection.training
    normalized = _Normalized(inspection)
    counts = {split.name: normalized.counts(split.content.answers) for split in inspection.splits}
    seen = counts[training.name] if training is not None else None
    vocabulary: Collection[str] | None = None
    classifies = subject.config is not None and not subject.config.generates
    try:
        vocabulary = _vocabulary(inspection, seen)
    except DataError as error:
        if classifies:
            yield Finding(FAULT, ABOUT, str(error))
    inspection.vocabulary = None if vocabulary is None else len(vocabulary)
    for split in inspection.splits:
        total = counts[split.name].total()
        if not total:
            continue
        unseen = None if seen is None or split is training else counts[split.name].keys() - seen.keys()
        split.answers = AnswerShares(
            in_vocabulary=None if vocabulary is None else _share(counts[split.name], vocabulary),
            unseen=None if unseen is None else len(unseen),
            unseen_share=None if unseen is None else _share(counts[split.name], unseen),
        )
        share = split.answers.in_vocabulary
        if classifies and share is not None and share < LEAST_SHARE:
            known = counted(len(vocabulary or ()), "answer")
            found = f"{share:.1%} of the questions of '{split.name}' have an answer in the vocabulary of {known}"
            lower = subject.key_of("data.min_answer_count")
            remedy = f"no classifier scores higher; lower {lower}, or train on more questions"
            yield Finding(WARNING, ABOUT, found, remedy)


def _vocabulary(inspection: Inspection, training: Counter[str] | None) -> Collection[str] | None:
    """The answers to choose among; None where there is nothing to build them from."""
    data = inspection.subject.data
    path = answers_path(data)
    if path is not None:
        return frozenset(AnswerVocabulary.read(path).answers) if path.exists() else None
    return frozenset(AnswerVocabulary.common(training, data.min_answer_count or 1).answers) if training else None


def _share(counts: Counter[str], answers: Collection[str]) -> float:
    """Share of the questions that have one of these answers."""
    return sum(count for answer, count in counts.items() if answer in answers) / counts.total()
