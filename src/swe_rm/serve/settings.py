"""What a server is told: where it listens, what it takes, how long it works on a request and what it keeps."""

from pathlib import Path

from pydantic import Field

from swe_rm.trajectory import Noun


class Settings(Noun):
    """One server's limits; every one of them is a flag of `swe-rm serve`."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    """0 takes a free one."""
    cache: Path | None = None
    """The file of verdicts; without it every attempt is judged anew."""
    deadline: float = Field(default=300.0, gt=0)
    """Seconds within which a request is answered; a request may ask for fewer."""
    max_waiting: int = Field(default=2048, ge=1)
    """Attempts that may wait or be at work; what comes beyond them is sent away for a while."""
    max_body: int = Field(default=64 << 20, ge=1024)
    """Bytes of a request, as sent and again as decompressed."""
    max_held: int = Field(default=512 << 20, ge=1024)
    """Bytes of the requests that are being received or answered; what comes beyond them is sent away for a while."""
    max_tokens: int = Field(default=1_000_000, ge=1)
    """Tokens of one attempt at four characters each, before the length policy cuts it."""
    batch_tokens: int = Field(default=16_384, ge=1)
    """Tokens that are judged at once, two packed rows of the engine; a longer attempt is judged alone."""
    batch_attempts: int = Field(default=64, ge=1)
    ageing: float = Field(default=20.0, ge=0)
    """For how many times its own reading time an attempt lets shorter ones that came later go first, up to a quarter of
    the deadline; 0 is first come, first served."""
