"""What can be chosen when it starts, and most of it while it runs."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

type Dialect = Literal["documented", "sdk", "sdk-with-url"]
DIALECTS: tuple[str, ...] = get_args(Dialect.__value__)
DEFAULT_PATTERN = "00001111;11112222;{guid}"
MAX_BLOBS_PER_BATCH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How it behaves.

    Attributes:
        dialect: That of its answers about status.
        table_dialects: Other dialects, by database and table.
        batching_seconds: The longest that a blob waits before it is ingested.
        visible_after_seconds: How long after its submission an operation is still answered with 404.
        counted_after_seconds: The longest after its submission that a blob stays out of counts and details.
        max_blobs_per_batch: The most blobs that a submission may have.
        operation_id_pattern: What operation IDs look like; `{guid}` and `{n}` are replaced.
        token: The one token that it takes; any when None.
        show_url_query: Shows blob URLs with their query in the details, credentials included.
        containers: What the configuration endpoint names as containers to upload to.
        latency_seconds: By how much each answer of the service comes later; those of the control endpoints don't.
        bulk_hides: The share of operations that the management command never shows; their IDs decide.
    """

    dialect: str = "documented"
    table_dialects: dict[tuple[str, str], str] = field(default_factory=dict)
    batching_seconds: float = 5.0
    visible_after_seconds: float = 0.5
    counted_after_seconds: float = 0.0
    max_blobs_per_batch: int = MAX_BLOBS_PER_BATCH
    operation_id_pattern: str = DEFAULT_PATTERN
    token: str | None = None
    show_url_query: bool = False
    containers: tuple[str, ...] = ()
    latency_seconds: float = 0.0
    bulk_hides: float = 0.0

    def __post_init__(self) -> None:
        for dialect in (self.dialect, *self.table_dialects.values()):
            if dialect not in DIALECTS:
                raise ValueError(f"{dialect!r} is no dialect: {', '.join(DIALECTS)}")
        if "{guid}" not in self.operation_id_pattern and "{n}" not in self.operation_id_pattern:
            raise ValueError("operation_id_pattern needs {guid} or {n}: no two operations may share an ID")
        if self.latency_seconds < 0:
            raise ValueError("latency_seconds is negative")

    def dialect_of(self, database: str, table: str) -> str:
        """Returns the dialect of the answers about a table's operations.

        Args:
            database: The table's database.
            table: The table.
        """
        return self.table_dialects.get((database, table), self.dialect)


def changed(settings: Settings, changes: dict[str, Any]) -> Settings:
    """Returns settings with some changes.

    Args:
        settings: The settings so far.
        changes: Fields by name; with `database` and `table`, `dialect` is that table's alone.

    Raises:
        ValueError: A field is unknown or its value can't be.
    """
    rest = dict(changes)
    place = rest.pop("database", None), rest.pop("table", None)
    if None not in place and "dialect" in rest:
        rest["table_dialects"] = {**settings.table_dialects, place: rest.pop("dialect")}
    elif place != (None, None):
        raise ValueError("database and table go together, and with dialect")
    if "containers" in rest:
        rest["containers"] = tuple(rest["containers"])
    try:
        return replace(settings, **rest)
    except TypeError as error:
        raise ValueError(str(error)) from error
