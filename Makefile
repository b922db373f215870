# Two commands need nothing but Python >= 3.11, make and git: `make demo` and `make test`.
# TORCH may name another build or version; it is installed before the package, so the package keeps it.

TORCH ?= torch==2.13.0
PYTHON ?= $(shell for p in python3 python python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install
# One stamp a choice of torch: another TORCH is installed over the last one.
TORCH_STAMP := .venv/.torch-$(shell printf '%s' '$(TORCH)' | cksum | cut -d ' ' -f 1)

.PHONY: help demo test test-bridges lint bench clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo   set up .venv, rank and measure the attempts in examples/, write report.html'
	@echo 'make test   set up .venv, lint, check types and imports, run the tests'
	@echo 'make lint   the first half of make test'
	@echo 'make test-bridges  the real trainers and agents, each in an environment of its own (ONLY=trl: one)'
	@echo 'make bench  measure against peers into benchmarks/RESULTS.md; make bench ONLY=D1 prints one, ONLY="D1 --keep" replaces it there'
	@echo 'make clean  remove .venv and what was built'

demo: .venv/.run
	$(BIN)/swe-rm rank examples
	$(BIN)/swe-rm evaluate examples --html report.html

test: lint
	$(BIN)/pytest -m "not slow and not gpu and not browser and not bridges"

lint: .venv/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# What trainers and agents pin excludes one another: one environment each, and swe-rm without what it depends on.
BRIDGES := $(or $(ONLY),trl verl skyrl verifiers inspect mini_swe_agent openai)

test-bridges: .venv/.dev $(BRIDGES:%=.bridges/%/.ready)
	@set -e; for name in $(BRIDGES); do \
		echo "$$name"; \
		.bridges/$$name/bin/python -m pytest -o filterwarnings= --confcutdir tests/bridges tests/bridges/test_$$name*.py; \
	done

.bridges/%/.ready: tests/bridges/%.txt
	@test -n '$(PYTHON)' || { echo 'swe-rm needs Python 3.11 or newer: make PYTHON=/path/to/python3'; exit 1; }
	$(PYTHON) -m venv .bridges/$*
	.bridges/$*/bin/python -m pip --disable-pip-version-check install $(if $(filter trl verl skyrl,$*),$(TORCH)) --requirement $<
	.bridges/$*/bin/python -m pip --disable-pip-version-check install --no-deps --editable .
	@touch $@

bench: .venv/.bench
	@$(BIN)/python -W ignore -m benchmarks $(ONLY)

.venv/.run: $(TORCH_STAMP) pyproject.toml
	$(PIP) --editable '.[train,eval]'
	@touch $@

.venv/.dev: $(TORCH_STAMP) pyproject.toml
	$(PIP) --editable '.[dev]'
	@touch $@

.venv/.bench: $(TORCH_STAMP) pyproject.toml
	$(PIP) --editable '.[bench]' >&2
	@touch $@

$(TORCH_STAMP): | $(BIN)/pip
	$(PIP) $(TORCH)
	@rm -f .venv/.torch-* && touch $@

$(BIN)/pip:
	@test -n '$(PYTHON)' || { echo 'swe-rm needs Python 3.11 or newer: make PYTHON=/path/to/python3'; exit 1; }
	$(PYTHON) -m venv .venv

clean:
	rm -rf .venv .bridges build dist report.html
