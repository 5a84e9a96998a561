"""An executor that does everything at once in the thread that asks, so that an invocation is one thread."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import override


class InlineExecutor(Executor):
    """Takes the arguments of a ``ThreadPoolExecutor``, and has no threads."""

    def __init__(self, *_of_threads: object) -> None:
        super().__init__()

    @override
    def submit[**P, T](self, task: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            # What is no Exception ends the process, and so all of its threads.
            future.set_result(task(*args, **kwargs))
        except Exception as error:  # noqa: BLE001, it is the task's own
            future.set_exception(error)
        return future
