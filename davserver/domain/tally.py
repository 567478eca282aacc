"""How well something remembers."""


class Tally:
    """Counted without a lock, so that counting costs nothing: under load a few may be missing."""

    __slots__ = ("hits", "misses", "size")

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self.size = 0
        """Bytes that are remembered, about."""
