"""Spreadsheets: each sheet is a page under its name, each row a line that begins with the row's number."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from engine.sources.library.extract.base import Extracted
from engine.sources.library.extract.package import Event, Package
from engine.sources.library.extract.write import Writer

_DATES = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
"""The numbers of the formats that show dates and times without saying so."""

_NOT_SHOWN = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
_SINCE_1900, _SINCE_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001 - a sheet knows no time zones

Row = tuple[int, list[tuple[int, str]]]
"""The number of a row, and its cells that hold something: number of the column, from 1, and value."""


def extract_xlsx(data: bytes) -> Extracted:
    """The values of all cells as they were last saved; formulas are not computed.

    Cells stand from column A on, with " | " between them. After empty ones the column's letter is told: ``7 | D: 12``.
    """
    package = Package(data, "spreadsheet")
    main = package.main()
    related = package.relations(main)
    parts = {each.kind: each.member for each in related.values()}
    strings = _strings(package.events(parts.get("sharedStrings", "")))
    dates = _date_styles(package.events(parts.get("styles", "")))
    sheets, since = _sheets(package.events(main))
    writer = Writer()
    for name, ident in sheets:
        writer.page()
        sheet = related.get(ident)
        if sheet is not None and sheet.kind == "worksheet":
            _write(writer, name, _rows(package.events(sheet.member), _Values(strings, dates, since)))
    return writer.finish(package.title())


def _write(writer: Writer, name: str, rows: Iterable[Row]) -> None:
    for index, (number, cells) in enumerate(rows):
        if index == 0:
            writer.heading(1, name)
            names = [value for _, value in cells]
            if len(names) > 1 and not any(map(_is_number, names)):
                writer.heading(2, " | ".join(names), shown=False)  # the names of the columns, told with every row
        line, due = [str(number)], 1
        for column, value in cells:
            line.append(value if column == due else f"{letters(column)}: {value}")
            due = column + 1
        writer.line(" | ".join(line))


def letters(column: int) -> str:
    """The name of a column: 1 is A, 28 is AB."""
    name = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def _column(reference: str) -> int:
    """The column of a cell by its name, 0 if it has none."""
    column = 0
    for letter in reference.rstrip("0123456789")[:4].upper():
        column = column * 26 + ord(letter) - 64 if "A" <= letter <= "Z" else 0
    return column


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _sheets(events: Iterable[Event]) -> tuple[list[tuple[str, str]], datetime]:
    """Name and reference of each sheet, and the day from which dates are counted."""
    sheets, since = [], _SINCE_1900
    for what, name, attributes in events:
        if what == "start" and name == "sheet":
            sheets.append((attributes.get("name", ""), attributes.get("r:id", "")))
        elif name == "workbookPr" and attributes.get("date1904") in ("1", "true"):
            since = _SINCE_1904
    return sheets, since


def _strings(events: Iterable[Event]) -> list[str]:
    """The texts that cells refer to by number."""
    strings: list[str] = []
    words: list[str] = []
    in_text = spoken = False
    for what, name, _ in events:
        if what == "text":
            if in_text and not spoken:
                words.append(name)
        elif name == "t":
            in_text = what == "start"
        elif name == "rPh":
            spoken = what == "start"  # how a Japanese text is read
        elif name == "si":
            if what == "end":
                strings.append("".join(words))
            words = []
    return strings


def _date_styles(events: Iterable[Event]) -> frozenset[str]:
    """The styles of cells that show a number as a date or time."""
    formats = {str(number) for number in _DATES}
    dates = set()
    in_cells, count = False, 0
    for what, name, attributes in events:
        if name == "cellXfs":
            in_cells = what == "start"
        elif what != "start":
            continue
        elif name == "numFmt":
            shown = _NOT_SHOWN.sub("", attributes.get("formatCode", "")[:200])
            if re.search("[dmyhs]", shown.replace("General", ""), re.IGNORECASE):
                formats.add(attributes.get("numFmtId", ""))
            else:
                formats.discard(attributes.get("numFmtId", ""))
        elif name == "xf" and in_cells:
            if attributes.get("numFmtId") in formats:
                dates.add(str(count))
            count += 1
    return frozenset(dates)


class _Values:
    """Cells as people see them, nearly."""

    def __init__(self, strings: list[str], dates: Collection[str], since: datetime) -> None:
        self._strings = strings
        self._dates = dates
        self._since = since

    def shown(self, kind: str, style: str, value: str) -> str:
        """A stored value as text."""
        match kind:
            case "s":
                number = int(value) if value.isdecimal() and len(value) < 10 else len(self._strings)
                return self._strings[number] if number < len(self._strings) else ""
            case "b":
                return "TRUE" if value == "1" else "FALSE"
            case "n" | "" if value:
                return self._number(value, style in self._dates)
        return value

    def _number(self, value: str, date: bool) -> str:
        try:
            number = float(value)
            if not date:
                return value if value.lstrip("-").isdecimal() else f"{number:.15g}"  # 0.1 + 0.2 is 0.3 in a sheet
            if 0 <= number < 1:
                return (self._since + timedelta(seconds=round(number * 86400))).time().isoformat()
            days = number + 1 if number < 60 and self._since == _SINCE_1900 else number  # 1900 was no leap year
            moment = self._since + timedelta(seconds=round(days * 86400))
        except (ValueError, OverflowError):
            return value
        return moment.date().isoformat() if number.is_integer() else moment.isoformat(" ")


def _rows(events: Iterable[Event], values: _Values) -> Iterator[Row]:
    """The rows of a sheet that hold something."""
    number = column = 0
    cells: list[tuple[int, str]] = []
    words: list[str] = []
    kind = style = ""
    in_value = False
    for what, name, attributes in events:
        if what == "text":
            if in_value:
                words.append(name)
        elif name in ("v", "t"):
            in_value = what == "start"
        elif name == "c":
            if what == "start":
                column = _column(attributes.get("r", "")) or column + 1
                kind, style, words = attributes.get("t", ""), attributes.get("s", "0"), []
            elif value := " ".join(values.shown(kind, style, "".join(words)).split()):
                cells.append((column, value))
        elif name == "row":
            if what == "start":
                told = attributes.get("r", "")
                number = int(told) if told.isdecimal() and len(told) < 8 else number + 1
                column, cells = 0, []
            elif cells:
                yield number, cells
