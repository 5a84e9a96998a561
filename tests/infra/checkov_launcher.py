"""Starts checkov with a newer parser than it expects. Runs in checkov's environment, not in the tests' own.

The parser has got types of arrays since (``string[]``), as objects where checkov looks up a word.
"""

import sys
from typing import Any

from checkov.main import Checkov  # type: ignore[import-not-found]
from pycep import BicepParser

_parse = BicepParser.parse


def _with_plain_types(self: BicepParser, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401, as the parser's own
    tree: Any = _parse(self, *arguments, **named)
    for kind in ("parameters", "outputs", "variables"):
        for declaration in tree.get(kind, {}).values():
            if isinstance(declaration.get("type"), dict):
                declaration["type"] = declaration["type"]["type"]
    return tree


BicepParser.parse = _with_plain_types  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(Checkov(sys.argv[1:]).run())
