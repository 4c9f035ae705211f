"""A diagnostic: what is wrong with a configuration, as an object from where it is found to where it is printed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from vlrouting.config.names import did_you_mean


@dataclass(frozen=True)
class Problem:
    """One thing that a user has to correct."""

    keys: tuple[str, ...]
    """The keys that it is about, dotted; relative to a section while that section is checked (see `below`)."""
    message: str
    """What is wrong, without the keys."""
    remedy: str = ""
    """What to do, where the message does not say so itself."""
    word: str = ""
    """The value that is none of `choices`, for a did-you-mean."""
    choices: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    """Further keys that the message rests on: where one of them has an error of its own, this problem is moot. Where
    none of `keys` is given, the problem is placed at the first of these that is."""

    def below(self, section: str) -> Problem:
        """The same problem with keys seen from outside of the section."""
        return replace(
            self,
            keys=tuple(f"{section}.{key}" if key else section for key in self.keys),
            depends_on=tuple(f"{section}.{key}" for key in self.depends_on),
        )

    def placed(self, key_of: Callable[[str], str]) -> Problem:
        """The same problem with every key as `key_of` has it: see `ExperimentConfig.key_of`."""
        return replace(self, keys=tuple(map(key_of, self.keys)), depends_on=tuple(map(key_of, self.depends_on)))

    @property
    def advice(self) -> str:
        """Remedy and did-you-mean, as they follow the message."""
        hint = did_you_mean(self.word, self.choices) if self.word else ""
        return (f"; {self.remedy}" if self.remedy else "") + (f".{hint}" if hint else "")

    @property
    def message_with_keys(self) -> str:
        """`q.json is missing (data.splits.val.questions)`: for a place that is not the keys' own."""
        return f"{self.message} ({', '.join(self.keys)})" if self.keys else self.message

    @property
    def sentence(self) -> str:
        """Everything, for an error that is read without an experiment file."""
        return self.message_with_keys + self.advice

    def __str__(self) -> str:
        return (f"{', '.join(self.keys)}: " if self.keys else "") + self.message + self.advice


def one_of(key: str, value: str, known: tuple[str, ...]) -> list[Problem]:
    """A problem when `value` is not among `known`."""
    if value in known:
        return []
    return [Problem((key,), f"'{value}' is not one of {', '.join(known)}", word=value, choices=known)]
