"""What would be fetched, as a table."""

from __future__ import annotations

from pathlib import Path

from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from vlrouting.config.names import listed
from vlrouting.data.fetch.manifest import Manifest, Source
from vlrouting.data.fetch.plan import Item
from vlrouting.experiment.disk import free_bytes


def plan_table(manifest: Manifest, items: list[Item]) -> Table:
    """A row for each source: file, size, licence, origin, what it unpacks to, and whether that is there."""
    table = Table("file", "size", "licence", "from", "becomes", "there", title=f"{manifest.name}: {manifest.homepage}")
    for item in items:
        source = item.source
        becomes = listed([*item.missing, *item.there], len(source.provides))
        there = "yes" if not item.missing else "partly" if item.there else "no"
        cells = (source.file, _size(source), manifest.licences[source.kind], _origin(item), becomes, there)
        table.add_row(*map(Text, cells))  # a path may have brackets, which rich takes for markup
    return table


def totals(root: Path, items: list[Item]) -> str:
    """`to fetch: 20.4 GB and 1 file of a size that is not known; free on the disk of data/coco: 512.0 GB`."""
    missing = [item.source for item in items if item.missing and item.local is None and not item.must_be_asked_for]
    known = sum(source.size or source.about or 0 for source in missing)
    unknown = sum((source.size or source.about) is None for source in missing)
    about = "about " if any(source.about and not source.size for source in missing) else ""
    origins = dict.fromkeys(source.figures_from for source in missing if source.figures_from)
    figures = f"\nsizes and checksums are from {', '.join(origins)}" if origins else ""
    more = f" and {unknown} of a size that is not known for certain" if unknown else ""
    return f"to fetch: {about}{decimal(known)}{more}; free on the disk of {root}: {decimal(free_bytes(root))}{figures}"


def _size(source: Source) -> str:
    checksum = ", checksum published" if source.sha256 or source.md5 else ""
    if source.size is not None:
        return f"{source.size:,} bytes{checksum}"
    return (f"about {decimal(source.about)}" if source.about is not None else "not known for certain") + checksum


def _origin(item: Item) -> str:
    if item.local is not None:
        return str(item.local)
    if item.must_be_asked_for or not item.urls:
        return f"ask for it: {item.source.page}"
    mirrors = len(item.urls) - 1
    return item.urls[0] + (f" (or {mirrors} more)" if mirrors else "")
