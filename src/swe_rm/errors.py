"""The errors swe-rm raises: each is one line that says what is wrong and where."""


class SweRmError(Exception):
    """Root of every error a user can cause or mend; the command line prints it as one line."""


class RecordError(SweRmError):
    """A record that cannot be used: names the file, the record in it and the reason."""

    def __init__(self, file: str, record: str, reason: str) -> None:
        super().__init__(f"{file}: {record}: {reason}" if record else f"{file}: {reason}")
        self.file = file
        self.record = record
        self.reason = reason


class MissingExtraError(SweRmError):
    """A verb or verifier whose optional packages are not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'swe-rm[{extra}]'")
        self.package = package
        self.extra = extra


class CheckpointError(SweRmError):
    """A checkpoint folder that is missing, incomplete, or made for another template."""


class VerifierError(SweRmError):
    """A verifier that could not give a verdict (an unknown name, a NaN logit, a missing row)."""
