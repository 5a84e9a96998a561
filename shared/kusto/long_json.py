"""JSON that is longer than memory should hold, read value by value as ``json`` reads it."""

import codecs
import json
from collections.abc import Iterator
from typing import IO

_PIECE = 256 * 1024
_LONGEST_VALUE = 8 * 1024 * 1024
"""Characters of a value that is read at once: a hundred times what a blob's longest text is."""

_BLANKS = frozenset(" \t\n\r")


class LongJson:
    """A place in a JSON text that moves on as the text is read.

    Each method raises a ``ValueError`` where it does not find what it is to read, or a ``RecursionError``.
    """

    def __init__(self, body: IO[bytes]) -> None:
        encoding = json.detect_encoding(body.read(4))
        body.seek(0)
        self._body = body
        self._text = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._decoder = json.JSONDecoder()
        self._held = ""
        self._at = 0

    def peek(self) -> str:
        """The next character that is no blank; "" at the end."""
        while True:
            while self._held[self._at : self._at + 1] in _BLANKS:
                self._at += 1
            if self._at < len(self._held) or not self._read_on():
                return self._held[self._at : self._at + 1]

    def take(self, expected: str) -> str:
        """The next character that is no blank, one of the expected."""
        found = self.peek()
        if not found or found not in expected:
            raise ValueError("another character was expected")
        self._at += 1
        return found

    def each(self, brackets: str) -> Iterator[None]:
        """An array or object, by its brackets: comes to a halt before each element or name, which is to be read."""
        end = brackets[1]
        self.take(brackets[0])
        if self.peek() == end:
            self.take(end)
            return
        is_over = False
        while not is_over:
            yield
            is_over = self.take(f",{end}") == end

    def value(self) -> object:
        """The next value, whole."""
        while True:
            self.peek()
            try:
                value, end = self._decoder.raw_decode(self._held, self._at)
            except json.JSONDecodeError:
                if not self._read_on():
                    raise
                continue
            # A number at the end of what is held may go on.
            if end < len(self._held) or not self._read_on():
                self._at = end
                return value

    def _read_on(self) -> bool:
        """Hold more of the text, and nothing that was read. Returns whether there is more."""
        self._held, self._at = self._held[self._at :], 0
        if len(self._held) > _LONGEST_VALUE:
            raise ValueError("a value is too long")
        piece = self._body.read(_PIECE)
        self._held += self._text.decode(piece, final=not piece)
        return bool(piece)
