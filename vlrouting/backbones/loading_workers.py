"""Processes that load data: how they start, how they end, and what is said when one is killed."""

from __future__ import annotations

import atexit
import gc
import signal
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from torch.utils.data import DataLoader, Dataset

Loaded = TypeVar("Loaded")
_REMEDIES = {
    signal.SIGKILL: "the memory was probably full: set train.workers to a smaller number, or ask for more memory",
    signal.SIGBUS: "the shared memory is probably full: make /dev/shm larger (docker run --shm-size), or set "
    "train.workers to a smaller number",
}
"""Signal -> what to do about it."""
_OTHER_REMEDY = "run again with train.workers set to 0, which shows what is wrong"


class WorkerLoader(DataLoader[Loaded]):
    """A DataLoader whose worker processes survive the signals of a scheduler, and end with this process.

    Attributes:
        workers: the processes that were started, also after they have ended.
    """

    workers: Sequence[BaseProcess] = ()

    def __init__(self, dataset: Dataset[Any], **options: Any) -> None:
        super().__init__(dataset, **{"worker_init_fn": start_worker, **options})

    def __iter__(self) -> Any:
        batches = super().__iter__()
        workers = list(getattr(batches, "_workers", ()))
        if workers and workers != self.workers:
            self.workers = workers
            # Runs before multiprocessing's own, which would send TERM, which they ignore, and wait for them forever.
            atexit.register(_end_workers, weakref.ref(batches))
        return batches


def _end_workers(reference: weakref.ref[Any]) -> None:
    batches = reference()
    if batches is not None:
        batches._shutdown_workers()


def start_worker(worker: int) -> None:
    """Keep the garbage collector of a forked worker away from what it shares with its parent: it would write into the
    objects of every library, and so copy them, over 100 MB a worker. And keep it alive when a scheduler, or Ctrl-C,
    tells all processes to stop: its parent needs the batch to finish the step and save, and ends it then."""
    gc.freeze()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def lost_workers_as(error_class: type[Exception], loaders: Iterable[WorkerLoader[Any]]) -> Iterator[None]:
    """A worker of these loaders that was killed is one sentence. PyTorch raises its RuntimeError in whatever the main
    process does just then, in the middle of a training step too.

    Args:
        error_class: of the sentence.
        loaders: looked at when there is an error; may be filled inside of the block.
    """
    try:
        yield
    except RuntimeError as error:
        reason = next((text for loader in loaders for worker in loader.workers if (text := _end_of(worker))), None)
        if reason is None:
            raise
        raise error_class(reason) from error


def _end_of(worker: BaseProcess) -> str | None:
    """How a process ended that should not have; None for one that did not."""
    status = worker.exitcode
    if not status:
        return None
    process = f"a process that loads data ({worker.pid})"
    if status > 0:
        return f"{process} ended with status {status}; {_OTHER_REMEDY}"
    number = signal.Signals(-status)
    return f"{process} was killed by {number.name}; {_REMEDIES.get(number, _OTHER_REMEDY)}"
