"""What may happen to a call of storage or of ADX: it fails before or after it took effect, is sent twice, or the
process dies; and other invocations may go on between two calls. A thin layer around the tables and queues in memory.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

from tests.support.storage_errors import refusal

type Page = list[Mapping[str, Any]]


class Crash(BaseException):
    """The process dies here. No ``except Exception`` sees it."""


class Harm(StrEnum):
    """What happens to one call."""

    FAILS = "fails"
    IS_BUSY = "is busy"
    LOSES_ITS_ANSWER = "loses its answer"
    IS_REPEATED = "is repeated"
    CRASHES_BEFORE = "crashes before"
    CRASHES_AFTER = "crashes after"


class Interference:
    """Every call passes here.

    Attributes:
        turn: Called before each call; other invocations may run meanwhile.
        harm_to: The harm to the next call, if any; called with the call's name.
    """

    def __init__(self) -> None:
        self.turn: Callable[[], None] = lambda: None
        self.harm_to: Callable[[str], Harm | None] = lambda _: None

    def call[T](self, name: str, effect: Callable[[], T]) -> T:
        """A call of storage, with what is to happen to it."""
        self.turn()
        harm = self.harm_to(name)
        if harm is None:
            return effect()
        if harm is Harm.CRASHES_BEFORE:
            raise Crash(name)
        if harm is Harm.FAILS:
            raise ServiceRequestError(f"{name}: no connection")
        if harm is Harm.IS_BUSY:
            raise refusal(HttpResponseError, 503, "ServerBusy", f"{name}: the server is busy")
        answer = effect()
        if harm is Harm.CRASHES_AFTER:
            raise Crash(name)
        if harm is Harm.LOSES_ITS_ANSWER:
            raise ServiceResponseError(f"{name}: the connection broke")
        # The SDK never saw the first answer, and sent the request again.
        return effect() if harm is Harm.IS_REPEATED else answer


class Interfered:
    """A client whose calls pass an interference. A listing is a call a page, as in the SDK."""

    def __init__(self, client: Any, name: str, interference: Interference) -> None:  # noqa: ANN401, of any kind
        self._client = client
        self._name = name
        self._interference = interference

    def __getattr__(self, method: str) -> Any:  # noqa: ANN401, whatever the client has
        act = getattr(self._client, method)

        def call(*args: object, **options: object) -> object:
            return self._interference.call(f"{self._name}.{method}", lambda: act(*args, **options))

        return call

    def query_entities(self, query_filter: str, **options: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401, of the SDK
        pages = self._client.query_pages(query_filter, **options)
        while (page := self._interference.call(f"{self._name}.query_entities", _once(pages))) is not None:
            yield from page


def _once(pages: Iterator[Page]) -> Callable[[], Page | None]:
    """Gives the next page, and the same one when the request is repeated."""
    fetched: list[Page | None] = []

    def fetch() -> Page | None:
        if not fetched:
            fetched.append(next(pages, None))
        return fetched[0]

    return fetch
