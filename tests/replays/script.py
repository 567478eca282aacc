"""The language of the `.replay` files: what a client sends, byte for byte, and what it must get.

A file begins with fields, each `name: text`, continued on indented lines: `client`, `version`, `evidence` (first word: how
strong), `note`, and any number of `setting: DAVSERVER_X=y`, `given: quota SIZE` of the user,
`given: folder PATH` and `given: file PATH: CONTENT`. Steps follow:

    step F9: the content, chunked, under the lock
    rules R29 R43
    on second                        (a connection by name; without it, `main`)
    > PUT {B}/a.txt HTTP/1.1         (each line ends with CRLF when it is sent)
    > Transfer-Encoding: Chunked
    >                                (the end of the head)
    > 5                              (a chunked body, with its chunks written out)
    > hello
    > 0
    >
    < 204 | 201                      (the statuses that the client takes)
    < header ETag ~ ^"               (checks, in any number)
    < take TAG header ETag           (what later lines call {TAG})

Of a body that is not chunked, the last line gets no line end. `< 100` between head and body waits for the interim answer.
`cut after N bytes` breaks the connection so far into the body; then there is no answer. `#` begins a comment.

What stands in braces is filled in: `{B}` the path of the share without a slash at its end, `{PARENT}` the path above it,
`{H}` host and port, `{AUTH}` the credentials in base64, `{MACHINE_AUTH}` the same with the name of a machine before the user's,
`{USER}`, `{PASSWORD}`, `{LENGTH}` the bytes of the body, `{bytes 0-99}` some content by its first and last position, and what
was taken before. `{H upper}` is in upper case.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

STRENGTHS = ("recording", "source", "documentation", "issues", "hearsay")
"""What a replay rests on, strongest first."""
MAIN = "main"

_FIELD = re.compile(r"(client|version|evidence|note|setting|given): (.*)")
_GIVEN = re.compile(r"(?:quota (?P<quota>\w+)|folder (?P<folder>\S+)|file (?P<file>\S+): (?P<content>.*))")
_STEP = re.compile(r"step (?P<id>[\w.]+): (?P<title>.+)")
_STATUS = re.compile(r"[1-5]\d\d(?: \| [1-5]\d\d)*")
_CUT = re.compile(r"cut after (\d+) bytes")
_NAME = re.compile(r"\{(?:bytes (?P<first>\d+)-(?P<last>\d+)|(?P<name>[A-Z][A-Z0-9_]*)(?P<upper> upper)?)\}")


class ScriptError(Exception):
    """A line that is none of this language."""


@dataclass(frozen=True)
class Check:
    """One `<` line besides the status."""

    text: str
    line: int


@dataclass
class Step:
    """One request and what its answer must be."""

    id: str
    title: str
    line: int
    rules: tuple[str, ...] = ()
    connection: str = MAIN
    head: list[str] = field(default_factory=list)
    body: list[str] | None = None
    """None until the head has ended."""
    waits_for_continue: bool = False
    cut_after: int | None = None
    statuses: tuple[int, ...] = ()
    checks: list[Check] = field(default_factory=list)

    @property
    def is_chunked(self) -> bool:
        """Whether the body is written out in chunks, whose lines all end."""
        return any(re.match(r"transfer-encoding:\s*chunked", line, re.IGNORECASE) for line in self.head)


@dataclass(frozen=True)
class Given:
    """What is in the drive before the client comes: a folder, or a file when there is content."""

    path: str
    content: str | None


@dataclass
class Script:
    """One client."""

    name: str
    client: str = ""
    version: str = ""
    evidence: str = ""
    note: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    quota: str = ""
    """Of the user; empty for the server's own."""
    given: list[Given] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    @property
    def strength(self) -> str:
        """The first word of the evidence."""
        return self.evidence.split(":")[0].split()[0] if self.evidence else ""


def read_script(path: Path) -> Script:
    """Read a `.replay` file. Raises `ScriptError`, which names the line."""
    return parse_script(path.read_text(encoding="utf-8"), path.stem)


def parse_script(text: str, name: str) -> Script:
    """Read the text of one. Raises `ScriptError`, which names the line."""
    script = Script(name)
    for number, line in _joined(text):
        try:
            _take_line(script, line, number)
        except ScriptError as error:
            raise ScriptError(f"{name}.replay:{number}: {error}: {line}") from None
    if not script.client or script.strength not in STRENGTHS or not script.version:
        raise ScriptError(f"{name}.replay: needs client, version, and evidence that begins with one of {STRENGTHS}")
    for step in script.steps:
        if step.body is None or bool(step.statuses) == (step.cut_after is not None):
            raise ScriptError(
                f"{name}.replay:{step.line}: step {step.id} needs a whole request, and an answer or a cut"
            )
    return script


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, with the indented ones put behind what they continue."""
    pending: tuple[int, str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if pending is not None and line.startswith("  "):
            pending = pending[0], f"{pending[1]} {line.strip()}"
            continue
        if pending is not None:
            yield pending
        pending = None if not line.strip() or line.startswith("#") else (number, line)
    if pending is not None:
        yield pending


def _take_line(script: Script, line: str, number: int) -> None:
    if found := _STEP.fullmatch(line):
        script.steps.append(Step(found["id"], found["title"], number))
    elif script.steps:
        _take_step_line(script.steps[-1], line, number)
    elif found := _FIELD.fullmatch(line):
        _take_field(script, found[1], found[2].strip())
    else:
        raise ScriptError("not a field")


def _take_field(script: Script, name: str, text: str) -> None:
    if name == "setting":
        key, _, value = text.partition("=")
        script.settings[key] = value
    elif name == "given":
        found = _GIVEN.fullmatch(text)
        if found is None:
            raise ScriptError("given is a quota, a folder or a file")
        if found["quota"]:
            script.quota = found["quota"]
            return
        script.given.append(Given(found["folder"] or found["file"], found["content"]))
    else:
        setattr(script, name, text)


def _take_step_line(step: Step, line: str, number: int) -> None:
    if line.startswith(">"):
        _take_sent(step, line[2:])
    elif line.startswith("< "):
        _take_expected(step, line[2:].strip(), number)
    elif line.startswith("rules "):
        step.rules = tuple(line.split()[1:])
    elif line.startswith("on "):
        step.connection = line[3:].strip()
    elif found := _CUT.fullmatch(line):
        step.cut_after = int(found[1])
    else:
        raise ScriptError("not a line of a step")


def _take_sent(step: Step, line: str) -> None:
    if step.statuses or step.cut_after is not None:
        raise ScriptError("a step is one request")
    if step.body is not None:
        step.body.append(line)
    elif line:
        step.head.append(line)
    else:
        step.body = []


def _take_expected(step: Step, text: str, number: int) -> None:
    if text == "100" and step.body is not None and not step.body:
        step.waits_for_continue = True
    elif step.statuses:
        step.checks.append(Check(text, number))
    elif _STATUS.fullmatch(text):
        step.statuses = tuple(int(status) for status in text.split(" | "))
    else:
        raise ScriptError("an answer begins with its status")


def fill(text: str, values: Mapping[str, str], escape: Callable[[str], str] = str) -> str:
    """Replace what stands in braces; `escape` is applied to what is put in. Raises `ScriptError` for an unknown name."""

    def replaced(found: re.Match[str]) -> str:
        if found["name"] is None:
            return content(int(found["first"]), int(found["last"]))
        if found["name"] not in values:
            raise ScriptError(f"nothing was taken as {found['name']}")
        value = values[found["name"]]
        return escape(value.upper() if found["upper"] else value)

    return _NAME.sub(replaced, text)


def content(first: int, last: int) -> str:
    """Printable content from one position to another, both inside, as in a Range; no part of it looks like its neighbour."""
    return "".join(chr(33 + (i * 31 + i // 94 * 7 + i // 8836) % 94) for i in range(first, last + 1))
