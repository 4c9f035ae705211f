"""The error of NaN and infinities. Imports no torch: the command line recognises it."""

from __future__ import annotations


class NotFinite(ValueError):
    """A tensor of a batch holds NaN or an infinity.

    Attributes:
        what: the tensor.
        rows: numbers of the batch's rows where it does.
    """

    def __init__(self, what: str, rows: list[int]) -> None:
        super().__init__(f"{what} hold NaN or an infinity; check the images, the weights and train.precision")
        self.what, self.rows = what, rows
