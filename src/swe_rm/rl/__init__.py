"""A small language model learns to mend the playground's packages, with a verifier's scores, tests or both as reward.

It runs on TRL's GRPOTrainer; `gspo.py` is the same loss to read.
"""
