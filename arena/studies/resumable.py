"""Keep the measurements of a study in a CSV, from which an interrupted study continues."""

import csv
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar, get_type_hints

from arena.core.errors import ArenaError
from arena.core.files import write_atomically

Line = TypeVar("Line", bound=NamedTuple)


class ResumableCsv(Generic[Line]):
    """The lines of a study, in memory and in a CSV.

    Args:
        path: file of the study, which need not exist yet.
        line_type: type of a line. Its fields, of type str, int or float, are the columns.
        number_format: format of floats in the file, such as ``.4f``.

    Raises:
        ArenaError: if the file has other columns or a line that cannot be read.
    """

    def __init__(self, path: Path, line_type: type[Line], number_format: str) -> None:
        self.path, self.columns, self.number_format = path, line_type._fields, number_format
        self.lines: list[Line] = []
        if not path.is_file():
            return
        types = get_type_hints(line_type)
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            if tuple(next(reader, ())) != self.columns:
                raise ArenaError(f"{path}: expected a study with columns {','.join(self.columns)}")
            for number, row in enumerate(reader, start=2):
                try:
                    cells = [types[key](cell) for key, cell in zip(self.columns, row, strict=True)]
                except ValueError as error:
                    raise ArenaError(f"{path}: line {number}: expected {','.join(self.columns)}") from error
                self.lines.append(line_type._make(cells))

    def add(self, lines: Iterable[Line]) -> None:
        """Append lines and rewrite the file atomically."""
        self.lines += lines
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([self._cell(value) for value in line] for line in self.lines)
        write_atomically(self.path, text.getvalue().encode())

    def _cell(self, value: object) -> str:
        return format(value, self.number_format) if isinstance(value, float) else str(value)
