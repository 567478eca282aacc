"""How the C library keeps memory that was given back to it."""

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_LARGE: Final = 4 << 20
"""Bytes: above every block of a body or a segment, below what hashing one password takes (19 MiB)."""


def give_back_large_blocks() -> None:
    """Have blocks of 4 MiB and more go back to the system as soon as they are free, in this process and those forked from it.

    Otherwise glibc takes the first large block that is freed for a sign that more will come: from then on each of its arenas
    keeps up to twice as much. With a password hashed in each of eight threads that was 120 MiB of a process, for ever.
    Nothing happens where the C library is another.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, _LARGE)
    mallopt(_TRIM_THRESHOLD, _LARGE)
