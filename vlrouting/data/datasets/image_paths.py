"""Image paths, from a split's template and the placeholders of its dataset. None leads out of the data root."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from string import Formatter

from vlrouting.config import SplitConfig
from vlrouting.data.example import DataError

_COMMON = SplitConfig().images
"""The template of a split that does not set one."""
_LEADS_OUT = re.compile(r"^/|(^|/)\.\.(/|$)|[\x00-\x1f\x7f]")
"""In a value of a data file: an absolute path, a way up, or a character that no file name has."""


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
        self._links: dict[str, dict[str, str]] = {}
        """Folder -> the links in it that lead out, and their targets; under "" the folder itself."""

    def path(self, root: Path, where: str, **values: int | str) -> Path:
        """The path of one image, which is below `root`, or below the folder that the template itself names.

        Raises:
            DataError: a value, or a link that is there, leads elsewhere; starts with `where`, the file and the record.
        """
        for name, value in values.items():
            if isinstance(value, str) and name in self.used and _LEADS_OUT.search(value):
                raise DataError(
                    f"{where}: the image name {value!a:.80} leads out of the data root, or is none; repair or remove "
                    "the record"
                )
        path = root / self.template.format(**values)
        folder = str(path.parent)
        links = self._links.get(folder)
        if links is None:
            links = self._links[folder] = links_out(folder, _bases(root, path, self.folder()))
        target = links.get(path.name) or links.get("")
        if target is not None:
            raise DataError(
                f"{where}: the image {path} is a link to {target}, out of the data root; if that is meant, name the "
                f"folder in {self.key}, or put the files there"
            )
        return path

    def folder(self, **known: int | str) -> str:
        """The parent folder of all images with these placeholder values: `train2014`, or `.` for the root."""
        return _folder(self.template, **known)

    def folders(self, placeholder: str, values: Callable[[], Iterable[str]]) -> dict[str, str]:
        """All image folders of the split: path below the data root -> configuration key.

        `values` returns the values of `placeholder` in the split; it is called only if the folder depends on them.
        """
        folders = {self.folder(**{placeholder: value}) for value in "ab"}
        if len(folders) > 1:
            folders = {self.folder(**{placeholder: value}) for value in values()}
        return dict.fromkeys(sorted(folders), self.key)


def leads_out(images: Iterable[str], root: Path, split: SplitConfig) -> bool:
    """Whether one of these paths, which an earlier start has stored, is none that `ImageTemplate.path` gives now."""
    named = _folder(split.images)
    prefix = f"{root / named}".rstrip("/") + "/" if (root / named).parts else ""
    names: dict[str, set[str]] = {}
    for image in images:
        if not image.startswith(prefix) or _LEADS_OUT.search(image.removeprefix(prefix)):
            return True
        folder, _, name = image.rpartition("/")
        names.setdefault(folder, set()).add(name)
    for folder, files in names.items():
        links = links_out(folder or ".", _bases(root, Path(folder, "image"), named))
        if "" in links or links.keys() & files:
            return True
    return False


def _folder(template: str, **known: int | str) -> str:
    """See `ImageTemplate.folder`."""
    parts: list[str] = []
    for part in template.split("/")[:-1]:
        if not _used(part) <= known.keys():
            break
        parts.append(part.format(**known))
    return str(PurePosixPath("/" if template.startswith("/") else ".", *parts))


def _bases(root: Path, path: Path, named: str) -> tuple[str, ...]:
    """Real paths of the folders that links may lead to: the root, and the folder below it, which a user may have linked
    to where the images lie (docs/data.md); and the folder that the template names."""
    top = path.relative_to(root).parts[:-1][:1] if path.is_relative_to(root) else ()
    return tuple({os.path.realpath(base) for base in (root, root.joinpath(*top), root / named)})


def links_out(folder: str, bases: tuple[str, ...]) -> dict[str, str]:
    """Names in a folder -> targets, of links that lead out of all `bases`; under "" the folder itself."""
    real = os.path.realpath(folder)
    if not _inside(real, bases):
        return {"": real}
    try:
        with os.scandir(folder) as entries:
            targets = {entry.name: os.path.realpath(entry.path) for entry in entries if entry.is_symlink()}
    except (OSError, ValueError):  # not there, or no name that a folder can have: opening an image will tell
        return {}
    return {name: target for name, target in targets.items() if not _inside(target, bases)}


def _inside(path: str, bases: tuple[str, ...]) -> bool:
    return any(path == base or path.startswith(base.rstrip("/") + "/") for base in bases)


def _used(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}
