"""The same work on many items: one after the other, in processes of one thread each, or on a dask cluster."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from typing import Any, TypeVar

from EARReconstructionLib.errors import EARError

Item = TypeVar("Item")
Result = TypeVar("Result")

#: How long a scheduler may take to answer, and its workers to appear, seconds.
PATIENCE_S = 20


class WorkerLost(Exception):
    """A process that worked on an item is gone."""


def each(
    work: Callable[[Item], Result], items: Sequence[Item], jobs: int, scheduler: str | None = None
) -> Iterator[Result]:
    """Results of ``work`` as they come, in any order. Leaving the loop early stops the rest.

    jobs: processes on this machine; 1 works in this one. scheduler: address of a dask scheduler, whose workers take
    over; they need this package, and the same folders under the same names.
    Raises WorkerLost when a process dies, and EARError when the scheduler or its workers cannot be reached.
    """
    if scheduler is not None:
        yield from _on_cluster(work, items, scheduler)
    elif jobs == 1:
        yield from map(work, items)
    else:
        import joblib

        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            results = joblib.Parallel(jobs, return_as="generator_unordered", batch_size=1)(
                joblib.delayed(work)(item) for item in items
            )
        yield from _handed_on(results, BrokenExecutor)


def _handed_on(results: Generator[Result, None, None], death: type[Exception]) -> Iterator[Result]:
    """Results until the loop is left. ``death``: what joblib raises when a worker died."""
    try:
        for result in results:  # noqa: UP028 - `yield from` would close them before us
            yield result
    except death as error:
        raise WorkerLost from error
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            results.close()


def _on_cluster(work: Callable[[Item], Result], items: Sequence[Item], scheduler: str) -> Iterator[Result]:
    import joblib
    from distributed import Client, KilledWorker
    from joblib._dask import DaskDistributedBackend

    class Cluster(DaskDistributedBackend):
        """joblib's dask backend, less two of its habits."""

        def effective_n_jobs(self, n_jobs: int = -1) -> int:
            """Two at least: for one job joblib would do the work in this process."""
            return max(super().effective_n_jobs(n_jobs), 2)

        def submit(self, func: Any, callback: Any = None) -> Any:
            """Tells of errors of the cluster too: joblib would wait for a task whose worker died, for ever."""
            future = super().submit(func, callback)
            future.add_done_callback(lambda done: done.exception() and callback(done.exception()))
            return future

    advice = "Start `dask scheduler` and `dask worker`, and give the address that the scheduler prints"
    try:
        client = Client(scheduler, timeout=PATIENCE_S)
    except (OSError, ValueError, asyncio.TimeoutError) as error:
        raise EARError(scheduler, "no dask scheduler answers there", advice) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE_S)
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise EARError(scheduler, f"it has no worker, even after {PATIENCE_S} seconds", advice) from error
        # All items at once: workers that join later find something to do.
        with joblib.parallel_config(backend=Cluster(client=client)):
            results = joblib.Parallel(-1, return_as="generator_unordered", batch_size=1, pre_dispatch="all")(
                joblib.delayed(work)(item) for item in items
            )
        yield from _handed_on(results, KilledWorker)
