"""Drives LibreOffice over UNO; run by the Python that has Debian's python3-uno. Commands on stdin, a JSON list a line.

Each answer is a line: a JSON string, or an object with the `error`.
"""

import json
import sys
import time
from typing import Any

# These come with Debian's own Python.
import uno  # type: ignore[import-not-found]
from com.sun.star.beans import PropertyValue  # type: ignore[import-not-found]


def connect(port: int) -> Any:
    """LibreOffice's inside, as soon as it listens."""
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    url = f"uno:socket,host=127.0.0.1,port={port};urp;StarOffice.ComponentContext"
    for _ in range(600):
        try:
            return resolver.resolve(url)
        except Exception:  # noqa: BLE001  nobody listens yet
            time.sleep(0.1)
    raise SystemExit("LibreOffice does not listen")


def values(**options: Any) -> tuple[Any, ...]:
    """Options as UNO takes them."""
    made = []
    for name, value in options.items():
        one = PropertyValue()
        one.Name, one.Value = name, value
        made.append(one)
    return tuple(made)


class Office:
    """One document at a time."""

    def __init__(self, port: int) -> None:
        self._context = connect(port)
        self.desktop = self._make("com.sun.star.frame.Desktop")
        self._handler = self._make("com.sun.star.task.InteractionHandler")
        self.document: Any = None

    def _make(self, service: str) -> Any:
        return self._context.ServiceManager.createInstanceWithContext(service, self._context)

    def sign_in(self, url: str, user: str, password: str) -> str:
        """Remember a password, as the dialog does; LibreOffice takes none in an address."""
        self._make("com.sun.star.task.PasswordContainer").add(url, user, (password,), self._handler)
        return "remembered"

    def open(self, url: str) -> str:
        """Open a document; whether it can be written."""
        self.document = self.desktop.loadComponentFromURL(
            url, "_blank", 0, values(Hidden=True, InteractionHandler=self._handler)
        )
        if self.document is None:
            return "not opened"
        return "read-only" if self.document.isReadonly() else "writable"

    def new(self) -> str:
        """Begin an empty text."""
        self.document = self.desktop.loadComponentFromURL("private:factory/swriter", "_blank", 0, values(Hidden=True))
        return "new"

    def type(self, text: str) -> str:
        """Write at the end, and return all of the text."""
        body = self.document.getText()
        body.insertString(body.getEnd(), text, False)  # noqa: FBT003  UNO has no keywords
        return str(body.getString())

    def save(self) -> str:
        """Save where it came from."""
        self.document.store()
        return "saved"

    def save_as(self, url: str) -> str:
        """Save elsewhere, from then on the document's place."""
        self.document.storeAsURL(url, values(InteractionHandler=self._handler))
        return "saved"

    def close(self) -> str:
        """Close the document."""
        self.document.close(True)  # noqa: FBT003  UNO has no keywords
        return "closed"

    def quit(self) -> str:
        """End LibreOffice."""
        self.desktop.terminate()
        return "ended"


def main() -> None:
    """Do what the lines say."""
    office = Office(int(sys.argv[1]))
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        try:
            answer: Any = getattr(office, command)(*arguments)
        except Exception as error:  # noqa: BLE001  the test is told
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
