"""What a body holds is what JSON says it is: `false` is no number, a number is no time, and no text stands for either."""

from collections.abc import Iterator
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError

from davserver.rest.models import MOST
from davserver.rest.nouns import NOUNS

WRONG: dict[str, tuple[Any, ...]] = {
    "integer": (False, "5", 5.5), "boolean": (0, 1, "true", "off"), "date-time": (4_000_000_000, "4000000000", "2030-01-01"),
}  # fmt: skip
HINT = "in a body take Flag for bool, Annotated[int, Field(limits), WHOLE] for int, Time for datetime: davserver/rest/models.py"


def models(part: str) -> set[type[BaseModel]]:
    """What routes take as `body`, `query` or `path`."""
    found: set[type[BaseModel]] = set()
    for noun in NOUNS:
        for view in noun.views:
            taken = get_type_hints(view, include_extras=True).get(part)
            if taken is not None:
                found.add(taken)
    return found


def fields(part: str) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """The name of each member, what checks it, and the kinds that its schema allows."""
    for model in sorted(models(part), key=lambda one: one.__name__):
        for name, field in model.model_fields.items():
            whole: Any = Annotated[(field.annotation, *field.metadata, "as in the model")]
            checked: TypeAdapter[Any] = TypeAdapter(whole)
            yield f"{model.__name__}.{name}", checked, checked.json_schema()


def kinds(schema: dict[str, Any]) -> set[str]:
    alternatives = schema.get("anyOf", [schema])
    return {one.get("format", one.get("type", "")) for one in alternatives}


def refuses(checked: TypeAdapter[Any], value: Any) -> bool:
    try:
        checked.validate_python(value)
    except ValidationError:
        return True
    return False


def test_no_member_of_a_body_takes_what_only_could_stand_for_its_value() -> None:
    seen = set()
    for name, checked, schema in fields("body"):
        for kind in kinds(schema) & WRONG.keys():
            seen.add(kind)
            for wrong in WRONG[kind]:
                assert refuses(checked, wrong), f"{name} takes {wrong!r}; {HINT}"
    assert seen == WRONG.keys(), "there are such members"


def test_no_number_is_larger_than_json_readers_take() -> None:
    for part in ("body", "query", "path"):
        for name, _, schema in fields(part):
            for one in schema.get("anyOf", [schema]):
                if one.get("type") == "integer":
                    most = one.get("maximum", one.get("exclusiveMaximum", MOST + 2) - 1)
                    assert most <= MOST, f"{name}: limit it to MOST of davserver/rest/models.py"
