"""The text of a file in UTF-8, line by line; what is in another encoding, or no text at all, is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vlrouting.data.datasets.table.mistakes import Complain

_HEAD = 65_536
_SAMPLE = 50
"""Lines with invalid bytes that the encoding is guessed from."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_AS_UTF8 = "save the file in UTF-8"
_OTHER_FILES = (
    (b"PK\x03\x04", "is an archive or an Excel file", "save the sheet as CSV in UTF-8, or unpack the archive"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel file", "save the sheet as CSV in UTF-8"),
    (b"\x1f\x8b", "is compressed", "unpack it with gunzip"),
    (b"PAR1", "is a parquet file", "rename it to end in .parquet"),
    (b"\x89PNG", "is a picture", "name a table instead"),
    (b"\xff\xd8\xff", "is a picture", "name a table instead"),
    (b"%PDF", "is a PDF", "save the table as CSV in UTF-8"),
)
"""First bytes -> what the file is, and what to do."""
_GUESSES = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"]
"""Encodings that spreadsheets and editors still write, the most common first."""
_FEW = 5
"""Bytes beyond ASCII: fewer fit into almost every encoding."""


def not_text(path: Path) -> tuple[str, str] | None:
    """Why a file cannot be read as lines of text, and the remedy; None where it can."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        return f"cannot be read ({error.strerror or error})", "check the path and its permissions"
    for start, what, remedy in _OTHER_FILES:
        if head.startswith(start):
            return f"{what}, not a table in text", remedy
    if head[:2] in _UTF16 or (b"\0" in head[:200] and head[:200].count(b"\0") > 20):
        return "is in UTF-16", f"{_AS_UTF8}, such as: iconv -f UTF-16 -t UTF-8 {path.name} > utf8{path.suffix}"
    if b"\0" in head:
        return f"has a NUL byte at {head.index(0):,}, so it is no text", "make it again from its source"
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        return "is empty", "write the rows into it"
    if b"\r" in head and b"\n" not in head:
        return "has lines that end in CR alone", "save it with line ends of Unix or Windows"
    return None


def text_lines(path: Path, complain: Complain) -> Iterator[str]:
    """The lines with their ends. Invalid bytes become U+FFFD, and are mistakes when the file is at its end."""
    wrong: list[tuple[int, bytes]] = []
    more: list[int] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode()
            except UnicodeDecodeError:
                text = line.decode(errors="replace")
                (wrong.append((number, line)) if len(wrong) < _SAMPLE else more.append(number))
            yield text.removeprefix("\ufeff") if number == 1 else text
    if wrong:
        _name_encoding(path, wrong, more, complain)


def _name_encoding(path: Path, wrong: list[tuple[int, bytes]], more: list[int], complain: Complain) -> None:
    guess = _guess(b"".join(line for _, line in wrong))
    remedy = f"{_AS_UTF8}"
    if guess:
        remedy += f", such as: iconv -f {guess} -t UTF-8 {path.name} > utf8{path.suffix}"
    what = f"is not in UTF-8, but probably in {guess}" if guess else "is not in UTF-8"
    for number, line in wrong:
        complain(number, what, remedy, _byte(line))
    for number in more:
        complain(number, what, remedy)


def _byte(line: bytes) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start + 1} of the line is 0x{line[error.start]:02X}"
    return ""


def _guess(sample: bytes) -> str | None:
    """The likely encoding, as Python and iconv call it; None where nothing fits."""
    from charset_normalizer import from_bytes  # imported here, because it is rarely needed

    if sum(byte > 127 for byte in sample) < _FEW:
        return _GUESSES[0].upper()
    best = from_bytes(sample, cp_isolation=_GUESSES).best()
    if best is None:
        return None
    # Several encodings may give the same text: the most common one is meant.
    encoding = next((name for name in _GUESSES if name in best.could_be_from_charset), best.encoding)
    return encoding.upper().replace("_", "-")
