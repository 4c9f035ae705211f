"""Tokenizes plain captions without Java, exactly as the official tokenizer does, and knows which captions are plain.

The official tokenizer (the Penn Treebank one of Stanford CoreNLP 3.4.1) knows hundreds of special cases. Rather than
rebuild them, this one takes only captions in which none can occur, and declines the rest. What it takes was found by
asking the official one about every word of up to four letters, and the 41,000 words of METEOR's paraphrase table, in
three spellings and some twenty surroundings.
"""

from __future__ import annotations

import re

# No hyphen, apostrophe, quote, bracket, slash, symbol, or anything that is not ASCII: each has rules of its own.
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
"""Words that may keep a period, depending on their case and on what follows, if need be in the next caption. So may
every single letter."""


def tokenize_plain(caption: str) -> str | None:
    """A caption's tokens, joined by spaces: lower-case words and numbers, without punctuation. None: it is not plain.

    Plain is a caption of ASCII words and whole numbers parted by spaces, with at most one of . , ; ! ? right behind a
    word or by itself, no word of `SPLIT_WORDS`, no period behind an abbreviation or a single letter, and no two
    numbers in a row (which may be a telephone number).
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
