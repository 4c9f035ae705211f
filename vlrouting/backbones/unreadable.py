"""Why a file of weights cannot be read, without the advice that other libraries add."""

from __future__ import annotations

import pickle


def why_unreadable(error: BaseException) -> str:
    """The error in a line.

    torch and timm answer a refused pickle with the advice to set `weights_only=False`, which would run a stranger's
    code, so their text is not shown.
    """
    linked: BaseException | None = error
    while linked is not None:
        if isinstance(linked, pickle.UnpicklingError):
            return (
                "it is damaged, or a pickle that holds more than tensors; such a file can run code, and is not opened: "
                "take the weights as safetensors"
            )
        linked = linked.__cause__ or linked.__context__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:200]
