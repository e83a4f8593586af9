# Two commands work from a bare clone: `make demo` and `make test`.
.DEFAULT_GOAL := help
.PHONY: help demo test check notebooks docs pages benchmark calibration sbc clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.bayesgmm-installed
TEST_STAMP := $(VENV)/.bayesgmm-test-installed
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
export PYTHON

help:  ## list the targets (default)
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

demo: $(STAMP)  ## build the environment, compare k = 1..6 on Old Faithful, write faithful.html
	$(BIN)/bayesgmm compare faithful -k 1:6 --report faithful.html

test: check  ## build the environment, run all checks and tests
	$(BIN)/python -m pytest -n 2

check: $(TEST_STAMP)  ## formatting, lint, types, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

notebooks: $(TEST_STAMP)  ## execute the notebooks in place, figures included
	$(BIN)/python scripts/notebooks.py notebooks/*.ipynb

docs: $(TEST_STAMP)  ## build the documentation into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "The documentation is in docs/_build/html/index.html"

pages: $(TEST_STAMP)  ## run the documentation's code, and write what it prints and draws into its pages
	$(BIN)/python docs/blocks.py docs/*.md docs/api/*.md docs/coming-from/*.md docs/guides/*.md

benchmark: $(TEST_STAMP)  ## how long a user waits, EM, bootstrap, grid, gradient and posterior take; beside peers
	$(BIN)/python benchmarks/end_to_end.py
	$(BIN)/python benchmarks/em.py
	$(BIN)/python benchmarks/bootstrap.py
	$(BIN)/python benchmarks/selection.py
	$(BIN)/python benchmarks/gradient.py
	$(BIN)/python benchmarks/posterior.py

calibration: $(TEST_STAMP)  ## coverage of intervals by simulation; writes docs/calibration.md and .png
	$(BIN)/python benchmarks/calibration.py --table docs/calibration.md --figure docs/calibration.png

sbc: $(TEST_STAMP)  ## rank truths among posterior draws, every program; writes docs/sbc.md and .png
	$(BIN)/python benchmarks/sbc.py --table docs/sbc.md --figure docs/sbc.png

clean:  ## remove what builds, tests and the demo leave behind (.venv stays)
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis faithful.html docs/_build docs/notebooks
	find bayesgmm models tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# An environment that already works is kept; a broken, half-made or old one is made again.
define environment
@$(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1 || \
	{ python=$$(sh scripts/find-python.sh) && echo "Making $(VENV) with $$python" && "$$python" -m venv --clear $(VENV); }
endef

$(STAMP): pyproject.toml constraints.txt
	$(environment)
	@echo "Installing bayesgmm and its libraries into $(VENV); the first time takes a few minutes"
	@$(PIP_INSTALL) -e .
	@touch $@

$(TEST_STAMP): pyproject.toml constraints.txt
	$(environment)
	@echo "Installing bayesgmm with its test libraries into $(VENV); the first time takes a few minutes"
	@$(PIP_INSTALL) -e ".[test]"
	@touch $(STAMP) $@
