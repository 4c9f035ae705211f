"""Image paths, from a split's template and the placeholders of its dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from string import Formatter

from vlrouting.config import SplitConfig
from vlrouting.data.example import DataError

_COMMON = SplitConfig().images
"""The template of a split that does not set one."""


@dataclass(frozen=True)
class Placeholders:
    """The placeholders that a dataset's templates may contain."""

    sample: Mapping[str, int | str]
    """Placeholder -> a value, to validate templates."""
    identify: tuple[frozenset[str], ...]
    """Sets of placeholders; a template must contain all of one set, or several images would have the same path."""
    default: str = _COMMON
    """The dataset's default template."""

    def problem(self, template: str) -> str | None:
        """What is wrong with a template; None if it is valid."""
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
    """The valid template of one split."""

    def __init__(self, split_name: str, split: SplitConfig, placeholders: Placeholders) -> None:
        """
        Raises:
            DataError: the template is invalid; names its configuration key.
        """
        self.key = f"data.splits.{split_name}.images"
        self.template = placeholders.default if split.images == _COMMON else split.images
        problem = placeholders.problem(self.template)
        if problem is not None:
            raise DataError.about(self.key, problem)
        self.used = frozenset(_used(self.template))
        """Names of the placeholders in the template."""

    def fill(self, **values: int | str) -> str:
        """The path of one image below the data root."""
        return self.template.format(**values)

    def folder(self, **known: int | str) -> str:
        """The parent folder of all images with these placeholder values: `train2014`, or `.` for the root."""
        parts: list[str] = []
        for part in self.template.split("/")[:-1]:
            if not _used(part) <= known.keys():
                break
            parts.append(part.format(**known))
        absolute = self.template.startswith("/")
        return str(PurePosixPath("/" if absolute else ".", *parts))

    def folders(self, placeholder: str, values: Callable[[], Iterable[str]]) -> dict[str, str]:
        """All image folders of the split: path below the data root -> configuration key.

        `values` returns the values of `placeholder` in the split; it is called only if the folder depends on them.
        """
        folders = {self.folder(**{placeholder: value}) for value in "ab"}
        if len(folders) > 1:
            folders = {self.folder(**{placeholder: value}) for value in values()}
        return dict.fromkeys(sorted(folders), self.key)


def _used(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}
