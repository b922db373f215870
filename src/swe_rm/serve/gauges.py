"""What Prometheus is told of a server: requests, the line, batches, tokens, latency, verdicts, the cache."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_ATTEMPTS = (1, 2, 4, 8, 16, 32, 64, 128)
_TOKENS = (256, 1024, 4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144)
_SCORES = tuple(tenth / 10 for tenth in range(1, 11))

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Gauges:
    """The metrics of one server, in a registry of their own."""

    def __init__(self, verifier: str, waiting: Callable[[], float], waiting_tokens: Callable[[], float]) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.requests = Counter(
            "swe_rm_requests", "Requests by route and status.", ("route", "status"), registry=registry
        )
        self.seconds = Histogram(
            "swe_rm_request_seconds",
            "From the first byte to the last.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_attempts = Histogram(
            "swe_rm_batch_attempts", "Attempts judged at once.", buckets=_ATTEMPTS, registry=registry
        )
        self.batch_tokens = Histogram(
            "swe_rm_batch_tokens", "Estimated tokens judged at once.", buckets=_TOKENS, registry=registry
        )
        self.batch_seconds = Histogram(
            "swe_rm_batch_seconds", "That the verifier took for a batch.", buckets=_SECONDS, registry=registry
        )
        self.tokens = Counter("swe_rm_prompt_tokens", "Tokens the verifier says it read.", registry=registry)
        self.scores = Histogram("swe_rm_score", "Scores that were given.", buckets=_SCORES, registry=registry)
        self.unscored = Counter("swe_rm_unscored", "Attempts the verifier failed on.", registry=registry)
        self.cache = Counter(
            "swe_rm_cache", "Attempts looked up, by whether they were there.", ("found",), registry=registry
        )
        self.cache_failures = Counter("swe_rm_cache_failures", "Batches that could not be kept.", registry=registry)
        waiting_gauge = Gauge("swe_rm_waiting_attempts", "Attempts in the line.", registry=registry)
        waiting_gauge.set_function(waiting)
        tokens_gauge = Gauge("swe_rm_waiting_tokens", "Their estimated tokens.", registry=registry)
        tokens_gauge.set_function(waiting_tokens)
        Gauge("swe_rm_verifier", "Whose verdicts these are.", ("name",), registry=registry).labels(verifier).set(1)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
