"""Signed statements that expire: access tokens, reset links, invitations. JSON Web Tokens (RFC 7519), keys by id."""

from typing import Any, Final

from davserver.domain.clock import SECOND, Clock
from davserver.domain.errors import Unauthenticated
from davserver.services.signing_keys import SigningKeys

ALGORITHM: Final = "HS256"
ISSUER: Final = "davserver"


class Signer:
    """Signs and reads statements. `audience` says what one is for: one kind is never taken for another."""

    def __init__(self, keys: SigningKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def sign(self, audience: str, claims: dict[str, Any], seconds: int) -> str:
        """A statement that counts for so many seconds."""
        import jwt  # noqa: PLC0415 - a tenth of a second to load, that WebDAV does not need

        key_id, key = self._keys.current()
        issued = self._clock() // SECOND
        told = {"iss": ISSUER, "aud": audience, "iat": issued, "exp": issued + seconds, **claims}
        return jwt.encode(told, key, algorithm=ALGORITHM, headers={"kid": key_id})

    def read(self, audience: str, text: str, wanted: tuple[str, ...], refusal: str) -> dict[str, Any]:
        """The claims of a statement, with all that are `wanted`. Raises `Unauthenticated(refusal)`."""
        import jwt  # noqa: PLC0415 - the same

        try:
            key = self._keys.find(str(jwt.get_unverified_header(text).get("kid")))
            if key is None:
                raise Unauthenticated(refusal)
            # Our clock decides what has expired, below.
            options: Any = {"require": ["exp", *wanted], "verify_exp": False, "verify_iat": False}
            claims = jwt.decode(text, key, [ALGORITHM], options, audience=audience, issuer=ISSUER)
        except (jwt.InvalidTokenError, ValueError):
            raise Unauthenticated(refusal) from None
        if not isinstance(claims["exp"], int) or claims["exp"] * SECOND <= self._clock():
            raise Unauthenticated(refusal)
        return dict(claims)
