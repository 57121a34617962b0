"""Work in processes or threads: in order, a few jobs ahead, and none that outlives who started it."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any

from selfie_utils.core.errors import SelfieError

WORKERS = min(8, os.cpu_count() or 1)  # processes that decode photos while something else is at work
AHEAD = 2  # jobs per worker that may wait for being asked for; bounds the memory


def in_processes(
    work: Callable[[Any], Any],
    jobs: Iterable[Any],
    processes: int,
    start: Callable[..., None] | None = None,
    given: tuple = (),
) -> Iterator[Any]:
    """Yield work(job) for each job, in order; `start(*given)` runs first in every new process.

    `work`, `start` and what they are given travel to other processes, so they are functions of modules.
    Raises SelfieError where a process dies, most often for lack of memory.
    """
    context = multiprocessing.get_context("spawn")  # a fork would copy threads that hold locks
    pool = ProcessPoolExecutor(processes, context, _begin, (start, given))
    try:
        yield from _in_order(pool, work, jobs, AHEAD * processes)
    except BrokenProcessPool:
        raise SelfieError(
            "A process died, most often for lack of memory: run it again with fewer processes; what was "
            "finished is kept."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def in_advance(work: Callable[[Any], Any], jobs: Iterable[Any], threads: int = 2) -> Iterator[Any]:
    """Yield work(job) for each job, in order; threads do the next few meanwhile."""
    with ThreadPoolExecutor(threads) as pool:
        yield from _in_order(pool, work, jobs, AHEAD * threads)


def _in_order(pool: Executor, work: Callable[[Any], Any], jobs: Iterable[Any], ahead: int) -> Iterator[Any]:
    waiting: deque[Future] = deque()
    for job in jobs:
        waiting.append(pool.submit(work, job))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def end_with_parent() -> None:
    """Watch over the process that started this one, and end with it, even killed."""
    parent = multiprocessing.parent_process()
    assert parent, "only a process that another one started comes here"
    threading.Thread(target=lambda: wait([parent.sentinel]) and os._exit(1), daemon=True).start()


def _begin(start: Callable[..., None] | None, given: tuple) -> None:
    end_with_parent()
    if start:
        start(*given)
