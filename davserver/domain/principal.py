"""Who acts: the first argument of every service method."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated user, through whichever door. `owner_id` is the tree that they see: their own."""

    user_id: int
    name: str
    is_admin: bool = False
    hides_trash: bool = False
    """Whether listings of the root leave out the trash, so that no sync client empties it by mistake."""

    @property
    def owner_id(self) -> int:
        """The id of the tree's owner. Each user sees only their own tree."""
        return self.user_id
