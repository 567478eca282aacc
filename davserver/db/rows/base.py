"""What all tables share: the kinds of columns, the ids that are the same in every tree, the names of constraints."""

from typing import Final

from sqlalchemy import BigInteger, MetaData, Text
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import Integer

BigInt = BigInteger().with_variant(Integer, "sqlite")
"""64 bits in both; SQLite numbers rows by itself only for INTEGER."""
Bytewise = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared byte by byte, so that a range of paths is a range of the index whatever the locale."""

ROOT_ID: Final = 1
"""The id of the root collection in every tree."""
TRASH_ID: Final = 2
"""The id of the trash, a collection in the root: what was discarded are its members, with all that was below them."""
FIRST_FREE_ID: Final = 3


class Base(DeclarativeBase):
    """All tables, with names for every constraint so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
