"""Compares a pipeline with Microsoft's model of pipelines. Runs in the environment of the tools.

Reads the pipeline from standard input, and writes a list of what the model has not: names and values.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from azure.mgmt.datafactory import models  # type: ignore[import-untyped]

_NESTED = ("activities", "ifTrueActivities", "ifFalseActivities")


def _strange(content: dict[str, Any], model: Any, path: str) -> Iterator[str]:  # noqa: ANN401, a class of the package
    typed = model(content)
    # Known once there is an object of the class, and nowhere public.
    fields = {field._rest_name: name for name, field in typed._attr_to_rest_field.items()}  # noqa: SLF001
    for name, value in content.items():
        if name not in fields:
            yield f"{path}.{name}: {model.__name__} has no such property"
            continue
        read = getattr(typed, fields[name])
        if name in _NESTED:
            for activity in value:
                yield from _strange_activity(activity, f"{path}.{name}")
        elif isinstance(value, dict) and hasattr(type(read), "_attr_to_rest_field"):
            yield from _strange(value, type(read), f"{path}.{name}")
        elif isinstance(value, list) and read and hasattr(type(read[0]), "_attr_to_rest_field"):
            for each in value:
                yield from _strange(each, type(read[0]), f"{path}.{name}")


def _strange_activity(activity: dict[str, Any], path: str) -> Iterator[str]:
    name = f"{activity['type'].removesuffix('Activity')}Activity"
    if not hasattr(models, name):
        yield f"{path}: there is no activity {activity['type']}"
        return
    yield from _strange(activity, getattr(models, name), f"{path}.{activity['name']}")


if __name__ == "__main__":
    pipeline = json.load(sys.stdin)
    json.dump(list(_strange(pipeline, models.PipelineResource, pipeline["name"])), sys.stdout)
