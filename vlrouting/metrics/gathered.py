"""Work on what several processes have predicted: gathered on the first one, whose result all of them get."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import TypeVar, cast

import torch.distributed as distributed

Result = TypeVar("Result")


def gathered_on_first_process(records: list[Result]) -> list[Result]:
    """The lists of all processes, one after the other, on the first; on the others their own. A single process keeps
    what it has. The records must be picklable."""
    if not _several():
        return records
    first = distributed.get_rank() == 0
    shares: list[list[Result]] | None = [[] for _ in range(distributed.get_world_size())] if first else None
    distributed.gather_object(records, shares, dst=0)
    return records if shares is None else [record for share in shares for record in share]


def on_first_process(work: Callable[[], Result]) -> Result:
    """Do `work` on the first process, and return its result, or raise its error, on every one.

    Without the error, the other processes would wait for a result until their time-out.

    Args:
        work: called once; its result must be picklable.
    """
    if not _several():
        return work()
    message: list[bytes | None] = [None]
    result, error = None, None
    is_first = distributed.get_rank() == 0
    if is_first:
        try:
            result = work()
            message = [pickle.dumps((result, None))]
        except Exception as caught:
            error, message = caught, [_pickle_error(caught)]
    distributed.broadcast_object_list(message, src=0)
    if not is_first and message[0] is not None:
        result, error = pickle.loads(message[0])
    if error is not None:
        raise error
    return cast(Result, result)


def _several() -> bool:
    return distributed.is_initialized() and distributed.get_world_size() > 1


def _pickle_error(error: Exception) -> bytes:
    """Pickled pair of no result and the error, or one that can be read back where `error` cannot."""
    try:
        message = pickle.dumps((None, error))
        pickle.loads(message)
    except Exception:
        message = pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))
    return message
