"""Controlled experiments on how to train a verifier: arms that differ from the control only where declared."""
