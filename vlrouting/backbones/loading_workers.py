"""Processes that load data: how they start, how they end, and what is said when one is killed."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import RawValue
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from torch.utils.data import DataLoader

Loaded = TypeVar("Loaded")
_REMEDIES = {
    signal.SIGKILL: "the memory was probably full: set train.workers to a smaller number, or ask for more memory",
    signal.SIGBUS: "the shared memory is probably full: make /dev/shm larger (docker run --shm-size), or set "
    "train.workers to a smaller number",
}
"""Signal -> what to do about it."""
_DYING_SECONDS = 5.0
"""After its pipe has broken a killed process may still write its core file."""
_OTHER_REMEDY = "run again with train.workers set to 0, which shows what is wrong"


class WorkerLoader(DataLoader[Loaded]):
    """A DataLoader whose worker processes survive the signals of a scheduler, and end with it.

    PyTorch's own way to end them fails where an error keeps the iterator alive: until Python exits, when only TERM is
    sent, or until it is garbage, whose queues are closed before the workers are told.

    Attributes:
        workers: the processes that were started, also after they have ended.
        end_workers: ends them at once; nothing more can be read then.
    """

    workers: Sequence[BaseProcess] = ()
    end_workers: Callable[[], object] = staticmethod(lambda: None)

    def __iter__(self) -> Any:
        ending = RawValue("b", 0)  # seen by the workers, too
        self.worker_init_fn = partial(start_worker, ending)
        batches = super().__iter__()
        workers = list(getattr(batches, "_workers", ()))
        if workers and workers != self.workers:
            self.workers = workers
            self.end_workers = weakref.finalize(batches, _end, workers, ending, os.getpid())
            atexit.register(self.end_workers)  # runs before multiprocessing's own, which waits for the workers
        return batches


def _end(workers: Sequence[BaseProcess], ending: Any, parent: int) -> None:
    if os.getpid() != parent:  # a worker of another loader, which has a copy of the iterator
        return
    ending.value = 1
    for worker in workers:
        worker.terminate()


def start_worker(ending: Any, worker: int) -> None:
    """Keep the garbage collector of a forked worker away from what it shares with its parent: it would write into the
    objects of every library, and so copy them, over 100 MB a worker. And keep it alive when a scheduler, or Ctrl-C,
    tells all processes to stop: its parent needs the batch to finish the step and save. `ending` is set when it is the
    parent who sends TERM."""
    gc.freeze()
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    # With status 0: PyTorch would report any other in the main process.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0) if ending.value else None)


@contextmanager
def lost_workers_as(error_class: type[Exception], loaders: Iterable[WorkerLoader[Any]]) -> Iterator[None]:
    """A worker of these loaders that was killed is one sentence, and the others are ended.

    PyTorch raises its RuntimeError in whatever the main process does just then, in the middle of a training step too.
    Where the main process was receiving a tensor, the broken pipe is the first that it hears of.

    Args:
        error_class: of the sentence.
        loaders: looked at when there is an error; may be filled inside of the block.
    """
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:
        workers = [worker for loader in loaders for worker in loader.workers]
        with suppress(RuntimeError):  # PyTorch's, which may come only now
            if not isinstance(error, RuntimeError):
                ending = wait([worker.sentinel for worker in workers], _DYING_SECONDS)
                for worker in workers:
                    worker.join(_DYING_SECONDS if worker.sentinel in ending else 0)
        reason = next(filter(None, map(_end_of, workers)), None)
        if reason is None:
            raise
        for loader in loaders:
            loader.end_workers()
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
