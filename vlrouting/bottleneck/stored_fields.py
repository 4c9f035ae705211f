"""What the fields of adapter_config.json hold: every reader of an artifact may rely on it afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHOWN = 60
"""Characters of a value that a message shows."""
_WORDS = {str: "a text", int: "a whole number", dict: "an object"}


@dataclass(frozen=True)
class Optional:
    """A field that may be missing or null."""

    form: Any


_KIND = {"kind": str}
_TARGET = {"name": str, "base_layers": [str], "columns": [[int]], "entries": Optional([int])}
_BACKBONE = {"name": str, "revision": Optional(str), "fingerprint": Optional(dict)}
_ATTACHED = {
    "bottlenecks": {...: _KIND},
    "places": Optional({...: [_TARGET]}),
    "unfreeze": [str],
    "tasks": Optional([str]),
}
_COMMON = {"backbone": _BACKBONE, "tensors_sha256": Optional(str)}
OF_BOTTLENECKS = {**_COMMON, **_ATTACHED, "visual_width": int}
"""What `Routed.save` writes."""
OF_A_JOINT_MODEL = {
    **_COMMON,
    "vision": Optional(_BACKBONE),
    "visual_shape": Optional([int]),
    "experiment": dict,
    "datasets": Optional({...: {"visual_shape": Optional([int])}}),
    "answers": [str],
    "bottlenecks": Optional({...: _KIND}),
    "places": Optional({...: [_TARGET]}),
    "unfreeze": Optional([str]),
    "vision_unfreeze": Optional([str]),
}
"""What `vlrouting train` writes."""


def objection(value: object, form: Any, key: str = "") -> str:
    """Why a value does not have a form, with the key of the part that does not; empty when it has.

    An object may have further keys.

    Args:
        value: what JSON gave.
        form: a type; a list with the form of its entries; an object's keys with their forms, `...` for any key; or
            `Optional`.
        key: of the value, dotted.
    """
    if isinstance(form, Optional):
        return "" if value is None else objection(value, form.form, key)
    if isinstance(form, dict):
        return _of_object(value, form, key)
    if isinstance(form, list):
        if not isinstance(value, list):
            return _expected("a list", value, key)
        return next((text for n, entry in enumerate(value) if (text := objection(entry, form[0], f"{key}.{n}"))), "")
    if not isinstance(value, form) or isinstance(value, bool):
        return _expected(_WORDS[form], value, key)
    return ""


def _of_object(value: object, form: Mapping[Any, Any], key: str) -> str:
    if not isinstance(value, dict):
        return _expected("an object", value, key)
    forms = dict.fromkeys(value, form[...]) if ... in form else form
    below = f"{key}." if key else ""
    for name, inner in forms.items():
        if name not in value and not isinstance(inner, Optional):
            return f"'{below}{name}' is missing"
        if text := objection(value.get(name), inner, f"{below}{name}"):
            return text
    return ""


def _expected(what: str, value: object, key: str) -> str:
    return f"{key!a}: expected {what}, got {shown(value)}"


def shown(value: object) -> str:
    """A value as text that any terminal prints, cut where it is long."""
    try:
        text = ascii(value)
    except (ValueError, RecursionError):  # thousands of digits, or of levels
        text = type(value).__name__
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
