"""Captions to tokens by the official tokenizer, the Penn Treebank one that pycocoevalcap carries.

Where it is not to be had, captions of plain words are tokenized without Java (`caption_plain`).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

from pycocoevalcap.tokenizer import ptbtokenizer

from vlrouting.metrics.caption_java import JavaError, run_java
from vlrouting.metrics.caption_plain import tokenize_plain

CaptionLists = Mapping[Hashable, Sequence[str]]
TokenLists = dict[Hashable, list[str]]
"""Image to its captions, each as tokens joined by spaces."""

# The tokenizer takes each of these for the end of a line, so that every later caption would move to the next image.
# Half of a surrogate pair, which a cut-off JSON escape leaves behind, has no UTF-8.
_NOT_IN_A_LINE = re.compile("[\n\r\v\f\u2028\u2029\ud800-\udfff]")

_SECONDS = 300
"""Far more than the 2 seconds that 30,000 captions take: on a machine that is busy training."""


def one_line(caption: str) -> str:
    """`caption` with a space for each character that would shift the captions behind it, or that has no UTF-8."""
    return _NOT_IN_A_LINE.sub(" ", caption)


def tokenize_officially(*lists: CaptionLists) -> list[TokenLists]:
    """Tokens of each of `lists`, by one start of the official tokenizer. As in pycocoevalcap, punctuation is dropped.

    A final abbreviation keeps its period or not depending on the caption that follows, so the order of captions
    matters, and each list is tokenized as a text of its own.

    Raises:
        JavaError: Java is missing, or the tokenizer failed.
    """
    texts = ["\n".join(one_line(text) for texts in captions.values() for text in texts) for captions in lists]
    try:
        outputs = _run_tokenizer(texts)
    except OSError as error:
        raise JavaError(f"PTB tokenizer: cannot exchange temporary files ({error}); make room on the disk") from error
    return [_per_image(captions, lines) for captions, lines in zip(lists, outputs, strict=True)]


def _run_tokenizer(texts: list[str]) -> list[list[str]]:
    """Lines of tokens of each text."""
    jar = Path(ptbtokenizer.__file__).with_name(ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
    # Relative names in a folder of ours: the package's may be read-only, and the file list allows no blank in a path.
    with tempfile.TemporaryDirectory(prefix="vlrouting-captions-") as temporary:
        folder = Path(temporary)
        names = [f"captions{number}" for number in range(len(texts))]
        for name, text in zip(names, texts, strict=True):
            (folder / name).write_bytes(text.encode())
        (folder / "files").write_text("".join(f"{name} {name}.tokens\n" for name in names), encoding="ascii")
        tokenizer = ["-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"]
        options = ["-preserveLines", "-lowerCase", "-ioFileList", "files"]
        run_java("PTB tokenizer", [*tokenizer, *options], folder, _SECONDS)
        return [_read(folder / f"{name}.tokens") for name in names]


def _read(path: Path) -> list[str]:
    if not path.is_file():
        raise JavaError("PTB tokenizer: it wrote no tokens; reinstall pycocoevalcap, and check `java -version`")
    return path.read_bytes().decode("utf-8", errors="replace").split("\n")


def _per_image(captions: CaptionLists, lines: list[str]) -> TokenLists:
    expected = sum(map(len, captions.values()))
    if len(lines) != expected:
        raise JavaError(f"PTB tokenizer: it gave {len(lines)} lines for {expected} captions; report it with the file")
    rest = iter(lines)
    return {image: [_without_punctuation(next(rest)) for _ in texts] for image, texts in captions.items()}


def _without_punctuation(line: str) -> str:
    return " ".join(token for token in line.rstrip().split(" ") if token not in ptbtokenizer.PUNCTUATIONS)


def tokenize_without_java(*lists: CaptionLists) -> list[TokenLists]:
    """What `tokenize_officially` gives, where every caption is plain; see `tokenize_plain`.

    Raises:
        ValueError: a caption is not plain; quotes the first one and names its image.
    """
    return [{image: [_plain(image, text) for text in texts] for image, texts in captions.items()} for captions in lists]


def _plain(image: Hashable, caption: str) -> str:
    tokens = tokenize_plain(one_line(caption))
    if tokens is None:
        raise ValueError(f"image {image}: {caption!r:.80} needs the official tokenizer")
    return tokens
