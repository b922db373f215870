"""One thin module a trainer or agent: what it hands over as an attempt, and the score in its words. No logic."""
