"""Gate passes: short-lived EdDSA tokens for a proven pair. A wallet's `pass_epoch` voids all earlier ones."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from operations.errors import SatboxError

PASS_SECONDS = 3600
PASS_BYTES_MAX = 2048
CACHE_MAX = 20_000
SCOPES = ("owner", "exec", "files", "extend")


@dataclass(frozen=True, slots=True)
class Pass:
    """Whose pass it is, and what it covers."""

    address: str
    btc_address: str
    level: int
    scope: str
    pass_epoch: int
    expires_at: int

    def covers(self, scope: str | None) -> bool:
        """Whether this pass may be used for something that needs `scope`. An owner's covers everything."""
        return scope is None or self.scope in ("owner", scope)


class PassIssuer:
    """Issues and reads the passes of one deployment. Verified tokens are remembered: a signature check costs more
    than a request.
    """

    def __init__(self, key: Ed25519PrivateKey, *, deployment: str, wall_seconds: Callable[[], float]) -> None:
        self._key = key
        self._public = key.public_key()
        self._deployment = deployment
        self._wall_seconds = wall_seconds
        self._verified: OrderedDict[str, Pass] = OrderedDict()

    def issue(self, address: str, btc_address: str, level: int, scope: str, pass_epoch: int) -> tuple[str, Pass]:
        """A new pass and its token."""
        if scope not in SCOPES:
            raise SatboxError("invalid_request", details={"scope": f"one of {', '.join(SCOPES)}"})
        made = Pass(address, btc_address, level, scope, pass_epoch, int(self._wall_seconds()) + PASS_SECONDS)
        token = jwt.encode(
            {
                "typ": "pass",
                "aud": self._deployment,
                "sub": address,
                "btc": btc_address,
                "lvl": level,
                "scp": scope,
                "pe": pass_epoch,
                "exp": made.expires_at,
            },
            self._key,
            algorithm="EdDSA",
        )
        return token, made

    def read(self, token: str) -> Pass:
        """The pass a token carries. Raises pass_invalid or pass_expired; the caller compares `pass_epoch`."""
        known = self._verified.get(token)
        if known is None:
            known = self._verify(token)
            self._verified[token] = known
            while len(self._verified) > CACHE_MAX:
                self._verified.popitem(last=False)
        if known.expires_at <= self._wall_seconds():
            raise SatboxError("pass_expired")
        return known

    def _verify(self, token: str) -> Pass:
        if len(token) > PASS_BYTES_MAX:
            raise SatboxError("pass_invalid")
        try:
            data = jwt.decode(
                token,
                self._public,
                algorithms=["EdDSA"],
                audience=self._deployment,
                options={"verify_exp": False, "require": ["exp", "aud", "sub"]},
            )
            if data.get("typ") != "pass":
                raise SatboxError("pass_invalid")
            return Pass(
                str(data["sub"]),
                str(data["btc"]),
                int(data["lvl"]),
                str(data["scp"]),
                int(data["pe"]),
                int(data["exp"]),
            )
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise SatboxError("pass_invalid") from error
