"""Who may ask: bearer tokens from a file or the environment, or, without any, this machine alone."""

import hmac
import ipaddress
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from swe_rm.errors import SweRmError
from swe_rm.serve.failures import RequestError

ENVIRONMENT = "SWE_RM_TOKENS"
"""Tokens, apart by blanks or commas."""
SHORTEST = 16
"""Characters of a token below which it could be guessed."""


class Bearers:
    """The tokens that are accepted, as digests: what is compared has one length, and memory holds no token."""

    def __init__(self, tokens: Sequence[str]) -> None:
        """Raises SweRmError for a token that is too short to be a secret."""
        if any(len(token) < SHORTEST for token in tokens):
            raise SweRmError(f"a bearer token has fewer than {SHORTEST} characters")
        self._digests = tuple(sha256(token.encode()).digest() for token in tokens)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def check(self, authorization: str, host: str) -> None:
        """Let a request with these headers pass. Raises RequestError.

        Every token is compared, in a time that does not tell how alike they are. Without tokens only this machine may
        ask, and under its own name: a page that had another name point here would be able to read the answers.
        """
        if not self._digests:
            if not is_loopback(_host_alone(host)):
                raise RequestError("forbidden_host", "without tokens the server answers under the name localhost only")
            return
        scheme, _, token = authorization.partition(" ")
        asked = sha256(token.strip().encode("latin-1", "replace")).digest()  # as it came: headers are read as latin-1
        equal = [hmac.compare_digest(asked, digest) for digest in self._digests]
        if scheme.lower() != "bearer" or not any(equal):
            raise RequestError("unauthorized", "this server asks for a bearer token: Authorization: Bearer TOKEN")


def read_bearers(file: Path | None) -> Bearers:
    """The tokens of a file, one a line (`#` begins a comment), or else of the environment.

    Raises SweRmError for a file that cannot be read or holds none.
    """
    if file is None:
        return Bearers(os.environ.get(ENVIRONMENT, "").replace(",", " ").split())
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SweRmError(f"{file}: no tokens: {getattr(error, 'strerror', None) or error}") from None
    tokens = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not tokens:
        raise SweRmError(f"{file}: holds no token")
    return Bearers(tokens)


def check_address(host: str, bearers: Bearers) -> None:
    """Raises SweRmError for an address that others can reach while no tokens say who may."""
    if not bearers and not is_loopback(host):
        raise SweRmError(
            f"--host {host} can be reached by others and no tokens are configured: give --token-file FILE or set "
            f"{ENVIRONMENT}, or listen on 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether the name or address is this machine's own, whatever a name server says."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_alone(header: str) -> str:
    """The host of a Host header, without its port."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() and ":" in header else header
