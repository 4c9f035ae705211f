"""Predictions of a whole split, gathered from all batches and processes, for scores that are no sum over examples."""

from __future__ import annotations

import json
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

import torch
import torch.distributed as distributed
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

Result = TypeVar("Result")

_LISTED_IDS = 5


class GatheredPredictions(Metric, ABC):
    """Collects one text per id, and evaluates them all at once.

    An id counts once, however many processes predicted it: samplers pad the last batch with examples of others.
    Over several processes the first one evaluates, and the others get its result or its error.

    The one state, `records`, is a list of (N,) uint8 tensors, JSON Lines of `[id, text]`: bytes can be gathered as
    they are, and JSON keeps apart the ids 7, "7" and "007".

    Use `update` and `compute`; calling the metric itself would evaluate every batch as if it were the split.
    """

    is_differentiable = False
    full_state_update = False
    records: list[Tensor]

    def __init__(self, **options: Any) -> None:
        """`options`: of `torchmetrics.Metric`."""
        super().__init__(**options)
        self.add_state("records", [], dist_reduce_fx="cat")

    @abstractmethod
    def evaluate(self, predictions: dict[int | str, str]) -> Any:
        """Evaluate a split's predictions, sorted by id. The result must be picklable: it is sent to other processes."""

    def update(self, predictions: Mapping[int | str, str]) -> None:
        """Take a batch's predictions: id to text.

        Raises:
            ValueError: an id that is neither an integer nor a string, or a prediction that is no string; nothing of
                the batch is taken.
        """
        _check(predictions)
        lines = "".join(json.dumps([identity, text]) + "\n" for identity, text in predictions.items())
        self.records.append(_to_bytes(lines, self.device))

    def gathered(self) -> dict[int | str, str]:
        """Every prediction taken so far, sorted by id, integers before strings; within `compute`, of all processes.

        Raises:
            ValueError: an id was predicted twice, with different texts.
        """
        predictions: dict[int | str, str] = {}
        disputed: set[int | str] = set()
        for line in _from_bytes(self.records).splitlines():
            identity, text = json.loads(line)
            if predictions.setdefault(identity, text) != text:
                disputed.add(identity)
        if disputed:
            raise ValueError(f"{list_ids(disputed)} predicted more than once, with different texts")
        return {identity: predictions[identity] for identity in in_order(predictions)}

    def compute(self) -> Any:
        """What `evaluate` gives for the predictions of all processes, on every process.

        Raises:
            ValueError: see `gathered`; and whatever `evaluate` raises, on every process.
        """
        try:
            if self._is_synced and distributed.is_initialized():
                return on_first_process(lambda: self.evaluate(self.gathered()), self.process_group)
            return self.evaluate(self.gathered())
        except BaseException:
            # torchmetrics gives each process its own share back only where nothing was raised.
            if self._is_synced:
                self.unsync()
            raise

    def sync(self, *arguments: Any, **options: Any) -> None:
        """See `torchmetrics.Metric.sync`."""
        # A process without a prediction must send bytes too: torchmetrics would send floats, which others cannot join.
        if not self.records:
            self.records.append(_to_bytes("", self.device))
        super().sync(*arguments, **options)


def _check(predictions: Mapping[int | str, str]) -> None:
    for identity, text in predictions.items():
        # A tensor or a numpy number would not come back as what it was.
        if type(identity) not in (int, str):
            raise ValueError(f"id {identity!r} is neither an integer nor a string but a {type(identity).__name__}")
        if type(text) is not str:
            raise ValueError(f"id {identity!r}: the prediction is no string but {text!r:.60}")


def _to_bytes(text: str, device: torch.device) -> Tensor:
    # ASCII, because JSON escapes the rest; so even half a surrogate pair passes.
    return torch.tensor(list(text.encode("ascii")), dtype=torch.uint8, device=device)


def _from_bytes(records: list[Tensor] | Tensor) -> str:
    # A list before the processes are synchronised, one tensor after.
    return bytes(dim_zero_cat(records).cpu().numpy()).decode("ascii") if len(records) else ""


def in_order(ids: Iterable[int | str]) -> list[int | str]:
    """Integers by value, then strings by letter."""
    return sorted(ids, key=lambda identity: (isinstance(identity, str), identity))


def list_ids(ids: Iterable[int | str]) -> str:
    """`7 ids (1, 2, '03', 4, 5, …)`: how many, and the first five in order."""
    listed = in_order(ids)
    named = ", ".join(map(repr, listed[:_LISTED_IDS])) + (", …" if len(listed) > _LISTED_IDS else "")
    return f"{len(listed)} {'id' if len(listed) == 1 else 'ids'} ({named})"


def on_first_process(work: Callable[[], Result], group: Any | None = None) -> Result:
    """Do `work` on the first process of a group, and return its result, or raise its error, on every one.

    Without sharing the error, the other processes would wait for a result until their time-out.

    Args:
        work: called once; its result must be picklable.
        group: process group; the default one where it is None.
    """
    message: list[bytes | None] = [None]
    result, error = None, None
    is_first = distributed.get_rank(group) == 0
    if is_first:
        try:
            result = work()
            message = [pickle.dumps((result, None))]
        except Exception as caught:
            error, message = caught, [_pickle_error(caught)]
    first = 0 if group is None else distributed.get_global_rank(group, 0)
    distributed.broadcast_object_list(message, src=first, group=group)
    if not is_first and message[0] is not None:
        result, error = pickle.loads(message[0])
    if error is not None:
        raise error
    return cast(Result, result)


def joined_on_first_process(records: list[Result]) -> list[Result]:
    """The lists of all processes, one after the other, on the first; on the others their own. A single process keeps
    what it has."""
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return records
    first = distributed.get_rank() == 0
    shares: list[list[Result]] | None = [[] for _ in range(distributed.get_world_size())] if first else None
    distributed.gather_object(records, shares, dst=0)
    return records if shares is None else [record for share in shares for record in share]


def _pickle_error(error: Exception) -> bytes:
    """Pickled pair of no result and the error, or one that can be read back where `error` cannot."""
    try:
        message = pickle.dumps((None, error))
        pickle.loads(message)
    except Exception:
        message = pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))
    return message
