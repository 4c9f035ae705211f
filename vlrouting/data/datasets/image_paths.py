"""Where an image lies: the split's template, with the placeholders that its dataset knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from string import Formatter

from vlrouting.config import SplitConfig
from vlrouting.data.example import DataError

_COMMON = SplitConfig().images
"""What a split has when the experiment says nothing."""


@dataclass(frozen=True)
class Placeholders:
    """What a dataset's templates may name."""

    sample: Mapping[str, int | str]
    """A value of each placeholder, to try a template with."""
    identify: tuple[frozenset[str], ...]
    """Sets of placeholders; a template must name all of one of them, or several images would share a path."""
    default: str = _COMMON
    """Template of a split that names none."""

    def chosen(self, split: SplitConfig) -> str:
        """The template of a split: the one that it names, or this dataset's."""
        return self.default if split.images == _COMMON else split.images

    def problem(self, template: str) -> str | None:
        """What is wrong with a template; None when it is sound."""
        known = ", ".join(f"{{{name}}}" for name in self.sample)
        try:
            used = _used(template)
            template.format(**self.sample)
        except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
            return f"'{template}' is no valid template ({error}); placeholders are {known}"
        if any(names <= used for names in self.identify):
            return None
        ways = " or ".join(" and ".join(f"{{{name}}}" for name in sorted(names)) for names in self.identify)
        return f"'{template}' does not name {ways}, so that several records get the same image"


class ImageTemplate:
    """The template of one split, found to be sound."""

    def __init__(self, split_name: str, split: SplitConfig, placeholders: Placeholders) -> None:
        """
        Raises:
            DataError: the template is not sound; names its place in the configuration.
        """
        self.template = placeholders.chosen(split)
        problem = placeholders.problem(self.template)
        if problem is not None:
            raise DataError.about(image_key(split_name), problem)
        self.used = frozenset(_used(self.template))
        """Names of the placeholders that it has."""

    def fill(self, **values: int | str) -> str:
        """The path of one image below the data root."""
        return self.template.format(**values)

    def folder(self, **known: int | str) -> str:
        """The folder above the first part that names anything else than `known`: `train2014`, or `.` for the root."""
        parts: list[str] = []
        for part in self.template.split("/")[:-1]:
            if not _used(part) <= known.keys():
                break
            parts.append(part.format(**known))
        absolute = self.template.startswith("/")
        return str(PurePosixPath("/" if absolute else ".", *parts))


def image_key(split_name: str) -> str:
    """Where a split's template stands in the configuration."""
    return f"data.splits.{split_name}.images"


def _used(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}
