"""The same for many, in threads: each thread takes the next one until none is left.

A task for each would wake threads twice for every one of them, which costs a poll a tenth of its processor time.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, wait
from contextvars import copy_context


def side_by_side[T, R](
    act: Callable[[T], R | None],
    each: Iterable[T],
    *,
    executor: Executor,
    threads: int,
    most_seconds: float,
    every_seconds: float,
) -> Iterator[list[R]]:
    """Act on each in threads, and hand over from time to time what has come of it.

    Args:
        act: What is done with one of them; it raises nothing.
        each: All of them.
        executor: Whose threads.
        threads: How many of them at the most.
        most_seconds: For how long they may take in all.
        every_seconds: How often what has come of it is handed over at least.

    Yields:
        What ``act`` has returned since the last time, without None; at the end also if that is nothing.

    Raises:
        TimeoutError: some of it does not end. What has come of the others was handed over.
    """
    left = deque(each)
    done: deque[R] = deque()
    ends = time.monotonic() + most_seconds
    # Each in a copy of this context, by which the worker tells whose log lines they are.
    running = {executor.submit(copy_context().run, _work, act, left, done) for _ in range(min(len(left), threads))}
    while True:
        time_left = ends - time.monotonic()
        finished, running = wait(running, timeout=max(0.0, min(every_seconds, time_left)))
        for worker in finished:
            worker.result()
        yield [done.popleft() for _ in range(len(done))]
        if not running:
            return
        if time_left <= every_seconds:
            raise TimeoutError(f"after {most_seconds} seconds {len(running)} threads are not done")


def also_here[T, R](act: Callable[[T], R | None], each: Iterable[T], *, executor: Executor, threads: int) -> list[R]:
    """Act on each in the calling thread, and in those that are free: it goes on although none of them is.

    Args:
        act: What is done with one of them; it raises nothing.
        each: All of them.
        executor: Whose threads.
        threads: How many at the most, this one included.

    Returns:
        What ``act`` has returned, without None.
    """
    left = deque(each)
    done: deque[R] = deque()
    helpers = [executor.submit(copy_context().run, _work, act, left, done) for _ in range(min(len(left), threads) - 1)]
    _work(act, left, done)
    for helper in helpers:
        # One that has not begun has nothing left to do.
        if not helper.cancel():
            helper.result()
    return list(done)


def _work[T, R](act: Callable[[T], R | None], left: deque[T], done: deque[R]) -> None:
    while left:
        try:
            one = left.popleft()
        except IndexError:
            # Another thread was faster with the last one.
            return
        if (result := act(one)) is not None:
            done.append(result)
