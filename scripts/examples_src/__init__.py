"""What `make_examples.py` is made of: small packages, issues about them, scripted agents, a sandbox and a grader."""
