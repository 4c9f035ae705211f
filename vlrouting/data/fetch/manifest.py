"""The manifest of a dataset: its official files, where they come from, and how many examples each split has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import resources
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

from vlrouting.config.names import did_you_mean, listed
from vlrouting.data.example import DataError

KINDS = ("annotations", "images")
WORK = ".fetch"
"""Folder below the data root for what is not complete yet, and for the records of what is."""
_TOP_KEYS = ("name", "dataset", "homepage", "licence", "default", "splits", "sources")
_HASHES = {"sha256": re.compile(r"[0-9a-f]{64}"), "md5": re.compile(r"[0-9a-f]{32}")}


@dataclass(frozen=True)
class Source:
    """One file to download, or to ask for: an archive, or one of the dataset's files itself."""

    provides: Mapping[str, tuple[str, ...]]
    """Path below the data root -> the splits that need it."""
    kind: str
    """`annotations` or `images`."""
    url: str | None = None
    page: str | None = None
    """Where a person has to ask for it, if it has no URL."""
    file: str = ""
    """Its file name; by default that of the URL, or of what it provides."""
    mirrors: tuple[str, ...] = ()
    """Further URLs of the same bytes."""
    size: int | None = None
    """Bytes; None: not known for certain."""
    about: int | None = None
    """Bytes, rounded, where `size` is None and the homepage names a size."""
    sha256: str | None = None
    md5: str | None = None
    figures_from: str = ""
    """Who published size and checksum."""

    @property
    def is_archive(self) -> bool:
        """Whether it is unpacked; else it is itself what it provides."""
        return self.file.endswith(".zip")

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that need any of it."""
        return tuple(dict.fromkeys(split for needed_by in self.provides.values() for split in needed_by))


_SOURCE_KEYS = tuple(each.name for each in fields(Source))


@dataclass(frozen=True)
class Manifest:
    """The official files of one dataset."""

    name: str
    """Title."""
    dataset: str
    """Name of the reader, `data.name`."""
    homepage: str
    licences: Mapping[str, str]
    """Kind of file -> licence."""
    default: tuple[str, ...]
    """The splits that are fetched if none is named."""
    splits: Mapping[str, Mapping[str, int]]
    """Split -> official counts (`images`, `questions`, …); what is not there is not known for certain."""
    sources: tuple[Source, ...]

    @property
    def known_splits(self) -> tuple[str, ...]:
        """Every split that a source or a count names."""
        return tuple(dict.fromkeys([*self.splits, *(split for source in self.sources for split in source.splits)]))

    def source_of(self, path: str) -> Source | None:
        """The source that provides a path below the data root."""
        return next((source for source in self.sources if path in source.provides), None)


def manifest_names() -> list[str]:
    """The datasets with a manifest in this package."""
    folder = resources.files("vlrouting.data") / "manifests"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def read_manifest(name: str | Path) -> Manifest:
    """Read a manifest: `coco` for one of this package, or the path of a YAML file.

    Raises:
        DataError: there is no such manifest, or it is not valid; names file, key and remedy.
    """
    import yaml  # imported here, because it is rarely needed

    names = manifest_names()
    path = resources.files("vlrouting.data") / "manifests" / f"{name}.yaml" if str(name) in names else Path(name)
    if not path.is_file():
        raise DataError(f"there is no manifest '{name}'; known: {listed(names)}.{did_you_mean(str(name), names)}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: no valid YAML ({' '.join(str(error).split())}); correct it") from error
    return _Reader(str(path)).manifest(content)


class _Reader:
    """Checks what stands in a manifest; its errors name the file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def manifest(self, content: Any) -> Manifest:
        top = self.mapping(content, "the manifest", _TOP_KEYS)
        absent = [key for key in _TOP_KEYS if key not in top]
        if absent:
            self.fail("the manifest", f"lacks {listed(absent)}")
        licences = self.mapping(top["licence"], "licence", KINDS)
        splits = {split: self.mapping(counts, f"splits.{split}") for split, counts in self.items(top, "splits")}
        sources = [
            self.source(record, f"sources[{n}]") for n, record in enumerate(self.list(top["sources"], "sources"))
        ]
        self.check_paths([path for source in sources for path in source.provides])
        for file, times in Counter(source.file for source in sources).items():
            if times > 1:
                self.fail("sources", f"have {times} files named '{file}'")
        return Manifest(
            name=self.text(top["name"], "name"),
            dataset=self.text(top["dataset"], "dataset"),
            homepage=self.text(top["homepage"], "homepage"),
            licences={kind: self.text(text, f"licence.{kind}") for kind, text in licences.items()},
            default=self.texts(top["default"], "default"),
            splits={
                split: {what: self.count(count, f"splits.{split}.{what}") for what, count in counts.items()}
                for split, counts in splits.items()
            },
            sources=tuple(sources),
        )

    def source(self, record: Any, key: str) -> Source:
        given = self.mapping(record, key, _SOURCE_KEYS)
        provides = {
            self.path_below(path, f"{key}.provides"): self.texts(splits, f"{key}.provides.{path}")
            for path, splits in self.items(given, "provides")
        }
        if not provides:
            self.fail(key, "provides nothing")
        if ("url" in given) == ("page" in given):
            self.fail(key, "needs either a url, or the page where a person asks for it")
        if given.get("kind") not in KINDS:
            self.fail(f"{key}.kind", f"is not one of {listed(KINDS)}")
        mirrors = tuple(self.url(mirror, f"{key}.mirrors") for mirror in self.list(given.get("mirrors", []), key))
        where = self.url(given.get("url") or given["page"], key)
        file = given.get("file") or PurePosixPath(urlsplit(where).path if "url" in given else next(iter(provides))).name
        for name, pattern in _HASHES.items():
            if given.get(name) is not None and not pattern.fullmatch(str(given[name])):
                self.fail(f"{key}.{name}", "is no checksum in lower-case hexadecimal digits")
        for name in ("size", "about"):
            if given.get(name) is not None:
                self.count(given[name], f"{key}.{name}")
        given |= {"provides": provides, "mirrors": mirrors, "file": self.path_below(file, f"{key}.file")}
        source = Source(**given)
        if not source.is_archive and len(provides) > 1:
            self.fail(f"{key}.provides", f"{file} is no .zip archive, so it provides one file")
        return source

    def check_paths(self, paths: list[str]) -> None:
        """No two are the same, and none lies in another."""
        for before, path in pairwise(sorted(paths, key=lambda path: path.split("/"))):
            if f"{path}/".startswith(f"{before}/"):
                self.fail("sources", f"provide '{path}' twice")

    def mapping(self, value: Any, key: str, known: tuple[str, ...] = ()) -> dict[str, Any]:
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
            self.fail(key, "is no mapping of names")
        for name in value if known else ():
            if name not in known:
                self.fail(key, f"has the unknown key '{name}'; known: {listed(known, len(known))}")
        return dict(value)

    def items(self, record: dict[str, Any], key: str) -> Iterable[tuple[str, Any]]:
        return self.mapping(record.get(key), key).items()

    def list(self, value: Any, key: str) -> Sequence[Any]:
        if not isinstance(value, list):
            self.fail(key, "is no list")
        return cast(Sequence[Any], value)

    def texts(self, value: Any, key: str) -> tuple[str, ...]:
        return tuple(self.text(each, key) for each in self.list(value, key))

    def text(self, value: Any, key: str) -> str:
        if not isinstance(value, str) or not value:
            self.fail(key, "is no text")
        return str(value)

    def url(self, value: Any, key: str) -> str:
        if urlsplit(self.text(value, key)).scheme not in ("http", "https"):
            self.fail(key, f"'{value}' begins with neither http:// nor https://")
        return str(value)

    def count(self, value: Any, key: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.fail(key, "is no whole number from 0 on")
        return int(value)

    def path_below(self, value: Any, key: str) -> str:
        path = PurePosixPath(self.text(value, key))
        plain = str(path) == value and not path.is_absolute() and value.isprintable() and "\\" not in value
        if not plain or ".." in path.parts or path.parts[0] in ("", ".", WORK):
            self.fail(key, f"{value!a} is no plain path below the data root")
        return str(path)

    def fail(self, key: str, what: str) -> NoReturn:
        raise DataError(f"{self.path}: {key} {what}; correct the manifest")
