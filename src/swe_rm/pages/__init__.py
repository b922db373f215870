"""Self-contained HTML pages: a report with a page for each of some attempts, and a comparison of verifiers."""
