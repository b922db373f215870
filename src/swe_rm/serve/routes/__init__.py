"""One module a protocol: what its bodies mean, and the verdicts in its words."""
