"""Metrics that the app records in this process, read back as figures."""

from functools import cache

from opentelemetry import metrics as opentelemetry
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    InMemoryMetricReader,
    NumberDataPoint,
)

from shared.metrics import Metric

type Figures = dict[tuple[str, ...], float]


class Recorded:
    """What is recorded from its making on."""

    def __init__(self) -> None:
        self._points: dict[str, list[NumberDataPoint | HistogramDataPoint]] = {}
        _reader().get_metrics_data()

    def of(self, metric: Metric, *dimensions: str) -> Figures:
        """A metric's sums, or last values, by the values of these dimensions; all of them if none is named."""
        self._read()
        figures: Figures = {}
        for point in self._points.get(metric.name, []):
            attributes = point.attributes or {}
            key = tuple(str(attributes[name]) for name in dimensions or metric.dimensions)
            value = point.sum if isinstance(point, HistogramDataPoint) else point.value
            figures[key] = value if metric.kind == "gauge" else figures.get(key, 0) + value
        return figures

    def _read(self) -> None:
        data = _reader().get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points = self._points.setdefault(metric.name, [])
                    for point in metric.data.data_points:
                        assert isinstance(point, NumberDataPoint | HistogramDataPoint)
                        points.append(point)


@cache
def _reader() -> InMemoryMetricReader:
    """The process's, as OpenTelemetry lets the provider be set once."""
    delta = AggregationTemporality.DELTA
    reader = InMemoryMetricReader({Counter: delta, Histogram: delta})
    opentelemetry.set_meter_provider(MeterProvider([reader]))
    return reader
