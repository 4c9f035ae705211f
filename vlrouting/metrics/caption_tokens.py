"""Tokenizes captions with the official tokenizer, the Penn Treebank tokenizer in pycocoevalcap.

Without Java, plain captions are tokenized in Python (`caption_plain`).
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
"""Image -> its captions, each as tokens joined by spaces."""

# The tokenizer treats each of these as a line end, so that all later captions would be assigned to the wrong image.
# Half of a surrogate pair, the result of a truncated JSON escape, cannot be encoded as UTF-8.
_NOT_IN_A_LINE = re.compile("[\n\r\v\f\u2028\u2029\ud800-\udfff]")

_SECONDS = 300
"""Time limit; 30,000 captions take 2 seconds, but more on a machine that is busy training."""


def one_line(caption: str) -> str:
    """`caption` with line ends, and characters that UTF-8 cannot encode, replaced by spaces."""
    return _NOT_IN_A_LINE.sub(" ", caption)


def tokenize_officially(*lists: CaptionLists) -> list[TokenLists]:
    """Tokens of each of `lists`, from one run of the official tokenizer, without punctuation as in pycocoevalcap.

    Whether a final abbreviation keeps its period depends on the next caption. The order of captions therefore matters,
    and each list is tokenized as a separate text.

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
    """The lines of tokens of each text."""
    jar = Path(ptbtokenizer.__file__).with_name(ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
    # A temporary folder, because the package's may be read-only; relative names, because paths must not have blanks.
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
        raise JavaError("PTB tokenizer: no output; reinstall pycocoevalcap, and check `java -version`")
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
    """The result of `tokenize_officially`, if every caption is plain; see `tokenize_plain`.

    Raises:
        ValueError: a caption is not plain; the message quotes the first one and names its image.
    """
    return [{image: [_plain(image, text) for text in texts] for image, texts in captions.items()} for captions in lists]


def _plain(image: Hashable, caption: str) -> str:
    tokens = tokenize_plain(one_line(caption))
    if tokens is None:
        raise ValueError(f"image {image}: {caption!r:.80} needs the official tokenizer")
    return tokens
