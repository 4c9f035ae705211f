"""What is known of a dataset, filled in check by check: valid also where it is interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vlrouting.config.finding import Finding, Level
from vlrouting.data.inspection.content import SplitContent
from vlrouting.data.inspection.subject import Subject


@dataclass(frozen=True)
class AnswerShares:
    """The answers of a split beside those of the vocabulary and of the training split.

    Attributes:
        in_vocabulary: share of the answered questions whose most common answer is in the vocabulary, 0 to 1; None
            without a vocabulary.
        unseen: distinct answers that no training question has; None for the training split, and without one.
        unseen_share: share of the answered questions that have such an answer.
    """

    in_vocabulary: float | None
    unseen: int | None
    unseen_share: float | None


@dataclass
class InspectedSplit:
    """What is known of one split.

    Attributes:
        name: of the split.
        role: see `Subject.role`.
        content: its counts.
        official: what is counted -> the number that the manifest states.
        repeated: questions that repeat an earlier one about the same images.
        missing: images that are not there; None where that was not looked at.
        opened: images that were opened.
        broken: those among them that do not open.
        answers: None where it has none.
    """

    name: str
    role: str
    content: SplitContent
    official: Mapping[str, int] = field(default_factory=dict)
    repeated: int = 0
    missing: int | None = None
    opened: int = 0
    broken: int = 0
    answers: AnswerShares | None = None


@dataclass
class Inspection:
    """What was found so far.

    Attributes:
        subject: what was looked at.
        splits: those that could be read.
        findings: what is wrong.
        vocabulary: number of answers that a classifier would choose among; None where that is not known.
        unnamed: files in the image folders that no record of these splits names; None where that was not looked at.
        is_complete: nothing interrupted it.
    """

    subject: Subject
    splits: list[InspectedSplit] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    vocabulary: int | None = None
    unnamed: int | None = None
    is_complete: bool = False

    @property
    def training(self) -> InspectedSplit | None:
        """The split to train on, where it could be read."""
        return next((split for split in self.splits if split.name == self.subject.training), None)

    def count(self, level: Level) -> int:
        """Number of findings of a level."""
        return sum(finding.level == level for finding in self.findings)
