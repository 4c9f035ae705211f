"""Tokenizes plain captions without Java, with the same result as the official tokenizer.

The official tokenizer (the Penn Treebank tokenizer of Stanford CoreNLP 3.4.1) has hundreds of special cases. This one
does not reimplement them: it accepts only captions in which none of them can occur, and rejects the others. The rules
were derived by running the official tokenizer on every word of up to four letters and on the 41,000 words of METEOR's
paraphrase table, in three spellings and about twenty contexts.
"""

from __future__ import annotations

import re

# No hyphen, apostrophe, quote, bracket, slash, symbol or non-ASCII character: each has special rules.
_PLAIN = re.compile(r"[A-Za-z0-9.,;!? \t]*")
_CHUNK = re.compile(r"(?P<word>[A-Za-z]+)(?P<mark>[.,;!?]?)|(?P<number>[0-9]+)|[.,;!?]")

SPLIT_WORDS = frozenset(("cannot", "gimme", "gonna", "gotta", "lemme", "wanna"))
"""Words that become two tokens: "can not"."""

_ABBREVIATIONS = """
adj adm adv al ala alex apr ariz ark art assn assoc asst atty attys aug ave az bancorp bhd bldg blvd brig bros ca
calif capt cf cie cmdr co col colo comdr conn corp cos cpl ct dak dec del dept det dr drs elec ens esq est etc ext
feb fig figs fla fri ft ga gen gov govs hon ill inc ind insp intl invt jan jos jr jul jun kan kans ky la lieut lt
ltd maj mar mass md messrs mfg mich minn miss mlle mme mo mon mont mr mrs ms msgr mt mtg natl neb nev no nos nov
oct okla op ore pa penn pfc ph plc pp ppte ppty pres prof profs prop pte ptes pty ptys pvt rd rep reps rev rt sen
sens sep sept seq sfc sgt spc sq sr st ste supt supts sys tel tenn tex thu thurs treas tue tues univ va vs vt wash
wed wis wisc wm wyo
"""
ABBREVIATIONS = frozenset(_ABBREVIATIONS.split())
"""Words that may keep a period, depending on their case and on the following text, even in the next caption. The same
is true of every single letter."""


def tokenize_plain(caption: str) -> str | None:
    """A caption's tokens, joined by spaces: lower-case words and numbers, without punctuation. None if it is not plain.

    A caption is plain if it consists of ASCII words and integers separated by spaces, with at most one of . , ; ! ?
    directly after a word or alone, no word of `SPLIT_WORDS`, no period after an abbreviation or a single letter, and no
    two consecutive numbers (they may be a telephone number).
    """
    if not _PLAIN.fullmatch(caption):
        return None
    tokens: list[str] = []
    after_number = False
    for chunk in caption.lower().split():
        match = _CHUNK.fullmatch(chunk)
        if match is None:
            return None
        word, mark, number = match["word"], match["mark"], match["number"]
        if word in SPLIT_WORDS or (mark == "." and (len(word) == 1 or word in ABBREVIATIONS)):
            return None
        if number and after_number:
            return None
        after_number = number is not None
        if word or number:
            tokens.append(word or number)
    return " ".join(tokens)
