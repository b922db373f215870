"""`swe-rm doctor`: what is installed."""

from swe_rm.verbs.telling import console_for


def doctor() -> int:
    """Say what is installed, what the machine has, and which verifier is shipped."""
    from swe_rm import doctor as checks

    console_for(None).print(checks.table())
    return 0
