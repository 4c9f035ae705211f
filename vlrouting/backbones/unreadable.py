"""Why a file of weights cannot be read, without the advice that other libraries add."""

from __future__ import annotations

import pickle

SAFETENSORS = "take the weights as safetensors"
"""Remedy for a backbone."""


def why_unreadable(error: BaseException, remedy: str = "") -> str:
    """The error in a line.

    torch and timm answer a refused pickle with the advice to set `weights_only=False`, which would run a stranger's
    code, so their text is not shown.

    Args:
        error: of the reader.
        remedy: what to do where the file is such a pickle.
    """
    linked: BaseException | None = error
    while linked is not None:
        if isinstance(linked, pickle.UnpicklingError):
            said = "it is damaged, or a pickle that holds more than tensors, which can run code and is not opened"
            return f"{said}; {remedy}" if remedy else said
        linked = linked.__cause__ or linked.__context__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:200]
