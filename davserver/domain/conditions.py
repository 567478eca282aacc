"""Conditions that a request must meet: If (RFC 4918 section 10.4), If-Match and its kin (RFC 9110 section 13).

Parsing is here, evaluating too; what they are evaluated against (`State`) is looked up by the services, inside the
transaction that commits. One evaluator serves every method.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from davserver.domain.clock import SECOND, Micros
from davserver.domain.errors import BadRequest, DavserverError, PreconditionFailed
from davserver.domain.paths import ResourcePath

ANY: Final = "*"
MAX_IF_LISTS: Final = 200
"""Of one If header: each may name another URL, which costs a look-up."""


@dataclass(frozen=True, slots=True)
class EntityTag:
    """An entity tag (RFC 9110 section 8.8.3): `opaque` without its quotes."""

    opaque: str
    weak: bool = False


@dataclass(frozen=True, slots=True)
class TagSet:
    """The value of If-Match or If-None-Match. `any` for ``*``; malformed tags are left out: they match nothing."""

    tags: tuple[EntityTag, ...] = ()
    any: bool = False

    def holds_strong(self, etag: str | None) -> bool:
        """Strong comparison (RFC 9110 section 8.8.3.2) with the current tag; `any` matches whatever exists."""
        return etag is not None and (self.any or any(t.opaque == etag and not t.weak for t in self.tags))

    def holds_weak(self, etag: str | None) -> bool:
        """Weak comparison, as If-None-Match wants it."""
        return etag is not None and (self.any or any(t.opaque == etag for t in self.tags))


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of an If list: a state token or an entity tag, perhaps negated."""

    token: str | None = None
    etag: EntityTag | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True)
class IfList:
    """A parenthesised list: all of its conditions must hold. `path` is None for the request's own URL."""

    path: ResourcePath | None
    conditions: tuple[Condition, ...]
    elsewhere: bool = False
    """The tag names a URL outside the share: nothing is mapped there, and no lock of ours covers it."""


@dataclass(frozen=True, slots=True)
class State:
    """What conditions are evaluated against: one URL's current state."""

    exists: bool
    etag: str | None
    tokens: frozenset[str]
    """Of the locks that cover the URL, whoever holds them."""
    modified_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class Preconditions:
    """All conditions of one request."""

    if_lists: tuple[IfList, ...] = ()
    if_match: TagSet | None = None
    if_none_match: TagSet | None = None
    if_modified_since: Micros | None = None
    if_unmodified_since: Micros | None = None
    tokens: frozenset[str] = frozenset()
    """Lock tokens that the client submitted, wherever it put them (clients rule R44)."""

    @property
    def tagged_paths(self) -> tuple[ResourcePath, ...]:
        """The other URLs whose state is needed to evaluate `if_lists`."""
        return tuple({lst.path.key: lst.path for lst in self.if_lists if lst.path is not None}.values())

    def check_if(self, state_of: Callable[[ResourcePath | None], State]) -> None:
        """Evaluate the If header: one list that holds is enough. `state_of(None)` is the request's own URL."""
        if self.if_lists and not any(_list_holds(lst, state_of) for lst in self.if_lists):
            raise PreconditionFailed("The If header does not hold.")

    def check_match(self, state: State) -> None:
        """Evaluate If-Match and If-Unmodified-Since, for reading and for changing (RFC 9110 section 13.2.2)."""
        if self.if_match is not None:
            if not (state.exists and (self.if_match.any or self.if_match.holds_strong(state.etag))):
                raise PreconditionFailed("If-Match does not hold: the resource changed, or does not exist.")
        elif self.if_unmodified_since is not None and _changed_since(state, self.if_unmodified_since):
            raise PreconditionFailed("If-Unmodified-Since does not hold.")

    def check_write(self, state: State) -> None:
        """Evaluate If-Match, If-Unmodified-Since and If-None-Match before a change (RFC 9110 section 13.2.2)."""
        self.check_match(state)
        none_match = self.if_none_match
        if none_match is not None and state.exists and (none_match.any or none_match.holds_weak(state.etag)):
            raise PreconditionFailed("If-None-Match does not hold: the resource exists.")

    def without_cached_tags(self) -> "Preconditions":
        """These without an If-None-Match that names tags, for methods other than GET, HEAD and PUT.

        The network stack of iOS adds it to every request on a URL that it has in its cache (clients rule R50).
        """
        if self.if_none_match is None or self.if_none_match.any:
            return self
        return replace(self, if_none_match=None)

    def is_not_modified(self, state: State) -> bool:
        """Whether GET or HEAD is answered 304 (RFC 9110 section 13.2.2)."""
        if self.if_none_match is not None:
            return self.if_none_match.holds_weak(state.etag)
        return self.if_modified_since is not None and not _changed_since(state, self.if_modified_since)


NO_CONDITIONS: Final = Preconditions()


def _changed_since(state: State, since: Micros) -> bool:
    # HTTP dates have whole seconds: compare what the client was shown.
    return state.modified_at is None or state.modified_at // SECOND > since // SECOND


def _list_holds(lst: IfList, state_of: Callable[[ResourcePath | None], State]) -> bool:
    state = State(exists=False, etag=None, tokens=frozenset()) if lst.elsewhere else state_of(lst.path)
    return all(_condition_holds(c, state) for c in lst.conditions)


def _condition_holds(condition: Condition, state: State) -> bool:
    if condition.etag is not None:
        # RFC 4918 section 10.4.4 leaves the comparison open; the strong one is taken, as all our tags are strong.
        holds = state.etag is not None and condition.etag.opaque == state.etag and not condition.etag.weak
    else:
        holds = condition.token in state.tokens
    return holds != condition.negated


_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_TAG_END = re.compile(r"[ \t]*(?:,|$)")


def parse_tag_set(header: str | None) -> TagSet | None:
    """Read If-Match or If-None-Match. What is malformed matches nothing and is never an error (clients rule R50)."""
    if header is None:
        return None
    if header.strip() == ANY:
        return TagSet(any=True)
    tags: list[EntityTag] = []
    at = 0
    while at < len(header):
        if header[at] in " \t,":
            at += 1
            continue
        match = _TAG.match(header, at)
        end = _TAG_END.match(header, match.end()) if match is not None else None
        if match is not None and end is not None:
            tags.append(EntityTag(match[2], weak=match[1] is not None))
            at = end.end()
        else:
            # Up to the next comma it is no tag; a quotation mark in it opens nothing.
            comma = header.find(",", at)
            at = comma + 1 if comma >= 0 else len(header)
    return TagSet(tuple(tags))


def parse_http_date(header: str | None) -> Micros | None:
    """Read an HTTP date in any of its three forms; None when it is absent or cannot be read (then it is ignored)."""
    if not header:
        return None
    try:
        date = parsedate_to_datetime(header)
        # The asctime form names no zone and means UTC (RFC 9110 section 5.6.7), not this machine's.
        aware = date.replace(tzinfo=UTC) if date.tzinfo is None else date
        return int(aware.timestamp()) * SECOND
    except (ValueError, OverflowError, TypeError):
        return None


_IF_TAG = r'\[(?:"[^"]*"|[^\]"])*\]'
_IF_PART = re.compile(rf"\s*(?:<([^<>]*)>|\(((?:<[^<>]*>|{_IF_TAG}|[^()<>\[\]])*)\))\s*")
"""A resource tag, or the inside of a list."""
_NO_TAG: Final = EntityTag("", weak=True)
"""Stands for a malformed tag: it equals no resource's, as a weak tag never does here (clients rule R50)."""
_IF_CONDITION = re.compile(rf"\s*(not(?=[\s<\[]))?\s*(?:<([^<>]*)>|({_IF_TAG}))\s*", re.IGNORECASE)


def parse_if(header: str, path_of: Callable[[str], ResourcePath | None]) -> tuple[IfList, ...]:
    """Read an If header (RFC 4918 section 10.4.2).

    `path_of` maps a resource tag (absolute URL or path) to a path below the share, or None when it lies elsewhere; scheme,
    host and port are for it to ignore (clients rule R43). Raises `BadRequest` when the grammar is broken: a lock check that
    cannot be read must not pass.
    """
    lists: list[IfList] = []
    tag: str | None = None
    tag_used = True
    for kind, value in _if_tokens(header):
        if kind == "uri":
            if not tag_used:
                raise BadRequest("The If header has a resource tag without a list.")
            tag, tag_used = value, False
        elif kind == "list":
            lists.append(_if_list(tag, value, path_of))
            tag_used = True
        if len(lists) > MAX_IF_LISTS:
            raise BadRequest("The If header has too many lists.")
    if not lists or not tag_used:
        raise BadRequest("The If header has no list.")
    return tuple(lists)


def _if_tokens(header: str) -> Iterable[tuple[str, str]]:
    """Resource tags and the insides of lists, in order."""
    at = 0
    header = header.strip()
    while at < len(header):
        match = _IF_PART.match(header, at)
        if match is None:
            raise BadRequest("The If header cannot be read.")
        at = match.end()
        yield ("uri", match[1]) if match[1] is not None else ("list", match[2])


def _if_list(tag: str | None, inside: str, path_of: Callable[[str], ResourcePath | None]) -> IfList:
    conditions: list[Condition] = []
    at = 0
    while at < len(inside.rstrip()):
        match = _IF_CONDITION.match(inside, at)
        if match is None:
            raise BadRequest("The If header has a condition that cannot be read.")
        at = match.end()
        negated = match[1] is not None
        if match[2] is not None:
            conditions.append(Condition(token=match[2].strip(), negated=negated))
        else:
            found = _TAG.fullmatch(match[3][1:-1].strip())
            etag = EntityTag(found[2], weak=found[1] is not None) if found else _NO_TAG
            conditions.append(Condition(etag=etag, negated=negated))
    if not conditions:
        raise BadRequest("The If header has an empty list.")
    if tag is None:
        return IfList(None, tuple(conditions))
    try:
        path = path_of(tag)
    except DavserverError:
        path = None
    return IfList(path, tuple(conditions), elsewhere=path is None)


def submitted_tokens(lists: Iterable[IfList], lock_token_header: str | None) -> frozenset[str]:
    """Every lock token that the client shows: in If lists, or in Lock-Token as Word 2016 does (R44).

    RFC 4918 section 10.4.1: that a token appears in If is enough, wherever and however it appears there.
    """
    tokens = {c.token for lst in lists for c in lst.conditions if c.token is not None}
    if lock_token_header:
        tokens.add(lock_token_header.strip().removeprefix("<").removesuffix(">").strip())
    return frozenset(tokens)
