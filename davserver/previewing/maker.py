"""Making a preview: the content goes to a process that decodes it, and a small WebP comes back, or nothing."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

CONTENT_TYPE: Final = "image/webp"
MAX_CONTENT: Final = 64 * 1024 * 1024
"""Bytes of a file that a preview is made of."""
MAX_PREVIEW: Final = 1024 * 1024
SECONDS: Final = 40.0
_PROGRAM: Final = Path(__file__).with_name("decode.py")
_KINDS: Final = {
    "application/pdf": "pdf",
    "image/avif": "picture",
    "image/bmp": "picture",
    "image/gif": "picture",
    "image/jpeg": "picture",
    "image/png": "picture",
    "image/tiff": "picture",
    "image/vnd.microsoft.icon": "picture",
    "image/webp": "picture",
    "image/x-icon": "picture",
}


class Maker:
    """Makes previews. `seconds` is how long one may take before its process is killed."""

    def __init__(self, seconds: float = SECONDS, program: Path = _PROGRAM) -> None:
        self._seconds = seconds
        self._program = program

    def kind_of(self, essence: str, size: int) -> str | None:
        """How content of a media type and size is decoded; None when it is not."""
        return _KINDS.get(essence) if 0 < size <= MAX_CONTENT else None

    def make(self, kind: str, content: Iterable[bytes], alive: Callable[[], None]) -> bytes | None:
        """The preview of what `content` yields, or None when none can be made of it. `alive` is called for each block.

        Raises what `content` and `alive` raise.
        """
        command = [sys.executable, "-I", str(self._program), kind]
        with subprocess.Popen(  # noqa: S603 - our own program, by its path
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, cwd="/"
        ) as process:
            killer = threading.Timer(self._seconds, process.kill)
            killer.daemon = True
            killer.start()
            try:
                assert process.stdin is not None  # noqa: S101 - it is a pipe
                assert process.stdout is not None  # noqa: S101 - the same
                with contextlib.suppress(BrokenPipeError):  # it has ended, and its code says how
                    for block in content:
                        alive()
                        process.stdin.write(block)
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
                made = process.stdout.read(MAX_PREVIEW + 1)
                if len(made) > MAX_PREVIEW:
                    process.kill()
                return made if process.wait() == 0 and 0 < len(made) <= MAX_PREVIEW else None
            finally:
                killer.cancel()
                process.kill()
