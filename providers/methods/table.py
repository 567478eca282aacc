"""Which function answers which method."""

from collections.abc import Callable
from typing import Final

from providers.answer import Answer
from providers.methods import copymove, delete, get, lock, mkcol, options, propfind, proppatch, put
from providers.request import DavRequest

METHODS: Final[dict[str, Callable[[DavRequest], Answer]]] = {
    "OPTIONS": options.options,
    "GET": get.get,
    "HEAD": get.head,
    "PUT": put.put,
    "DELETE": delete.delete,
    "MKCOL": mkcol.mkcol,
    "COPY": copymove.copy,
    "MOVE": copymove.move,
    "PROPFIND": propfind.propfind,
    "PROPPATCH": proppatch.proppatch,
    "LOCK": lock.lock,
    "UNLOCK": lock.unlock,
}
