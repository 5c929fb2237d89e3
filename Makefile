# Every target does its own set-up: from a fresh clone it needs make and
# Python >= 3.11, nothing else. `make PYTHON=python3.12 test` picks another one.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif

# -qq: errors only. A download that takes minutes is announced by the recipe.
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test test-plain test-oldest test-newest test-dist audit fuzz lint
.PHONY: docs benchmarks clean
# Two pips must not write into one environment at the same time (make -j).
.NOTPARALLEL:
# Stamps are only ever reached through a pattern; make must not delete them.
.SECONDARY:

help:
	@echo "make demo        digits: pipeline, grid search over the code size, figure"
	@echo "make test        linters, types, import floors and the whole test suite"
	@echo "make test-oldest the tests with the oldest versions that are allowed"
	@echo "make test-newest and with the newest ones"
	@echo "make test-plain  the tests without training/fast, all by autograd"
	@echo "make test-dist   the wheel and the source distribution, in empty environments"
	@echo "make audit       known vulnerabilities of what the package requires"
	@echo "make fuzz        files damaged at random (N=2000 of each kind), killed fits, odd input"
	@echo "make lint        the first three of these"
	@echo "make docs        the HTML pages, in docs/_build/html"
	@echo "make benchmarks  ours against the peers; options in ARGS='--only small_tables'"
	@echo "make clean       remove what the other targets made, $(VENV) included"

# --- set-up -----------------------------------------------------------------

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "skautoencoder needs Python >= 3.11; '$(PYTHON)' is" \
	        "$$($(PYTHON) --version 2>/dev/null || echo 'not to be found')." \
	        "Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# One stamp for each extra: a second run with unchanged requirements goes
# straight to work.
$(VENV)/.installed-%: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing skautoencoder[$*] into $(VENV) (PyTorch is large: this can" \
	    "take a few minutes, once)"
	@$(PIP_INSTALL) -c constraints.txt -e '.[$*]'
	@touch $@

# --- the work ---------------------------------------------------------------

demo: $(VENV)/.installed-plot
	$(BIN)/python examples/demo_digits.py $(ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two workers: enough for a laptop, and PyTorch takes threads of its own.
test: lint
	$(BIN)/python -m pytest -n 2 $(ARGS)

# The lower bounds of pyproject.toml, or whatever is newest; both with the tested torch.
# For the oldest Python, too: make PYTHON=python3.11 VENV=.venv311 test-oldest.
test-oldest: PINS = -c constraints-oldest.txt
test-newest: PINS = $(shell grep ^torch== constraints.txt)
test-oldest test-newest: test-%: $(VENV)/.created
	$(BIN)/python -m venv build/$*
	build/$*/bin/python -m pip install -qq --disable-pip-version-check \
	    $(PINS) -e '.[test]'
	build/$*/bin/python -m pytest -n 2 $(ARGS)

# The package without the room that may be deleted. Left out for time: what does not
# train another way (documentation, layers in torch's own kernels) and scikit-learn's
# checks, which fit each estimator dozens of times for the sake of its interface.
test-plain: $(VENV)/.installed-test
	rm -rf build/plain
	mkdir -p build/plain
	cp -r src/skautoencoder build/plain/
	rm -rf build/plain/skautoencoder/training/fast
	PYTHONPATH=$(CURDIR)/build/plain $(BIN)/python -m pytest -n 2 tests \
	    --ignore=tests/training/fast \
	    --ignore=tests/test_common.py \
	    --ignore=tests/test_docstrings.py \
	    --ignore=tests/test_readme.py \
	    --ignore=tests/architectures/test_native_crashes.py \
	    --ignore=tests/training/test_batch_invariance.py $(ARGS)

# Many files that are damaged or edited at random, many fits that are killed, and methods
# given all kinds of input; the counts are printed.
fuzz: $(VENV)/.installed-test
	SKAUTOENCODER_FUZZ=$(or $(N),2000) $(BIN)/python -m pytest -s -n 0 \
	    tests/persistence/test_tampered_files.py $(ARGS)
	SKAUTOENCODER_KILLS=$(or $(KILLS),50) $(BIN)/python -m pytest -s -n 0 \
	    tests/training/test_killed_fits.py
	SKAUTOENCODER_INPUTS=$(or $(INPUTS),12000) $(BIN)/python -m pytest -s -n 0 \
	    tests/bad_input/test_hostile_input.py

# What is published, in environments of its own that have nothing else.
test-dist: $(VENV)/.created
	rm -rf build/dist
	$(BIN)/python -m pip install -q build
	$(BIN)/python -m build --outdir build/dist .
	for made in build/dist/*.whl build/dist/*.tar.gz; do \
	    rm -rf build/dist/env && $(BIN)/python -m venv build/dist/env && \
	    build/dist/env/bin/python -m pip install -q -c constraints.txt "$$made" && \
	    (cd build/dist && env/bin/python -P ../../tests/smoke.py) || exit 1; \
	done

# Known vulnerabilities of what the package requires; what cannot be looked up, fails.
audit: $(VENV)/.created
	$(BIN)/python -m pip install -q pip-audit
	$(BIN)/python -m pip_audit --strict --desc off .

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

benchmarks: $(VENV)/.installed-benchmark
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf $(VENV) build dist docs/_build docs/auto_examples docs/generated
	rm -rf docs/sg_execution_times.rst .mypy_cache .pytest_cache .ruff_cache
	rm -rf .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
