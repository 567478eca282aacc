"""Patterns in which ``*`` stands for anything and a letter for both its cases, in the SQL of both databases alike.

SQLite's LIKE knows the cases of ASCII only, and PostgreSQL's depend on how the database was made. So each letter is spelled
out with its cases, as a set of characters: ``[éÉ]`` is the same in a GLOB of SQLite and in a regular expression of PostgreSQL.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection


def fits(connection: Connection, column: str, name: str, patterns: Sequence[str]) -> tuple[str, Mapping[str, str]]:
    """An SQL condition that holds when the column fits one of the patterns, and its parameters, whose names begin with `name`.

    `column` is SQL, `patterns` are anything. Without a pattern nothing fits.
    """
    if not patterns:
        return "1 = 0", {}
    if connection.dialect.name == "postgresql":
        return f"{column} ~ :{name}", {name: f"^(?:{'|'.join(map(_expression, patterns))})$"}
    bound = {f"{name}{number}": "".join(map(_glob, pattern)) for number, pattern in enumerate(patterns)}
    return "(" + " OR ".join(f"{column} GLOB :{one}" for one in bound) + ")", bound


def _expression(pattern: str) -> str:
    return "".join(map(_piece, pattern))


def _piece(char: str) -> str:
    if char == "*":
        return ".*"
    if char.isascii() and not char.isalnum():
        return f"\\{char}"
    return _cases(char)


def _glob(char: str) -> str:
    return f"[{char}]" if char in "?[" else _cases(char)


def _cases(char: str) -> str:
    cases = {case for case in (char, char.lower(), char.upper(), char.title()) if len(case) == 1}
    return char if len(cases) == 1 else f"[{''.join(sorted(cases))}]"
