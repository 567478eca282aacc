"""What all models of the API have in common. Times are RFC 3339 in UTC, sizes are bytes."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from davserver.domain.clock import Micros

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST: Final = 2**53 - 1
"""What every reader of JSON takes exactly (RFC 8259 section 6): more is no id and no size here."""
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")


def _time(value: Any) -> Any:
    """Refuse what pydantic would take too: a bare number as seconds or, when it is large, milliseconds."""
    if isinstance(value, int | float) or (isinstance(value, str) and not _RFC_3339.match(value)):
        raise ValueError("a time is text such as 2030-01-31T12:00:00Z")
    return value


def _whole(value: Any) -> Any:
    """Refuse what pydantic would take too: `false` as 0, digits in a text. JSON makes no difference between 1 and 1.0."""
    if isinstance(value, bool | str):
        raise ValueError("a whole number")  # noqa: TRY004 - what pydantic takes for "does not fit"
    return value


Id = Annotated[int, Field(ge=1, le=MOST)]
Time = Annotated[datetime, BeforeValidator(_time)]
"""A time that a client gives; without a zone it is UTC."""
Flag = Annotated[bool, Field(strict=True)]
"""True or false in JSON, not what could stand for it: `0`, `"off"`."""
WHOLE: Final = BeforeValidator(_whole)
"""Goes behind the limits of an `int` that is a whole number in JSON: in front of them it hides them from the document."""


class Given(BaseModel):
    """What a client sends. A member that is not known is refused, so that a slip of the pen is not taken for an agreement."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", str_max_length=4096, hide_input_in_errors=True)


class Answer(BaseModel):
    """What the server sends."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)


class Paged(Given):
    """The query of a listing that is given page by page: pass the last page's `next` as `cursor` until there is none."""

    limit: Annotated[int, Field(ge=1, le=1000, description="Items of one page, at most.")] = 100
    cursor: Annotated[str | None, Field(max_length=1024, description="`next` of the page before.")] = None


class Page(Answer, Generic[T]):
    """One page of a listing."""

    items: list[T]
    next: Annotated[str | None, Field(description="The cursor of the next page; null on the last one.")]


class FieldProblem(Answer):
    """One thing that is wrong with the input."""

    field: Annotated[str, Field(description="Where it is, such as `body.name`.")]
    detail: str


class Problem(Answer):
    """An error (RFC 9457)."""

    type: str = "about:blank"
    title: Annotated[str, Field(description="The phrase of the status.")]
    status: int
    detail: Annotated[str, Field(description="What is wrong, and what to do about it.")]
    code: Annotated[str, Field(description="What to tell errors apart by; all are listed in errors.md.")]
    request_id: Annotated[str | None, Field(description="As in X-Request-ID, and in the server's log.")] = None
    errors: Annotated[list[FieldProblem] | None, Field(description="With `invalid_input`: each field.")] = None


def moment(at: Micros) -> datetime:
    """Microseconds since the epoch as a time in UTC."""
    return EPOCH + timedelta(microseconds=at)


def moment_or_none(at: Micros | None) -> datetime | None:
    """The same, for what may not have happened."""
    return None if at is None else moment(at)


def micros(at: datetime) -> Micros:
    """A time as microseconds since the epoch; without a zone it is UTC."""
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)
