"""What the tokens of a text depend on beside the text."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from typing import Any


def tokenizer_fingerprint(tokenizer: Any) -> str | None:
    """A digest of everything in a tokenizer that decides the tokens: rules, vocabulary, special tokens, library.

    None where that cannot be told: code that is not part of the library, or is not made of its fast tokenizers.
    """
    backend, kind = getattr(tokenizer, "backend_tokenizer", None), type(tokenizer)
    if backend is None or not kind.__module__.startswith("transformers."):
        return None
    rules = json.loads(backend.to_str())
    for call in ("truncation", "padding"):  # of the latest call, and not of the tokenizer
        rules.pop(call, None)
    facts = {
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "rules": rules,
        "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
        "settings": [tokenizer.truncation_side, bool(getattr(tokenizer, "split_special_tokens", False))],
        "versions": [metadata.version(package) for package in ("tokenizers", "transformers")],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
