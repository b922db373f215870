"""The name under which verifiers finds the judge: it imports plug-ins by a name without dots."""

from swe_rm.bridges.verifiers import SweRmJudge

__all__ = ["SweRmJudge"]
