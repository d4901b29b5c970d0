PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test

# Meta-train MMAML and MAML on five families of functions; a table and a report at the end. Minutes on two cores.
demo: .venv/installed
	$(BIN)/mmaml train regression-5 --learner mmaml --budget demo --out runs/demo-mmaml --overwrite
	$(BIN)/mmaml train regression-5 --learner maml --budget demo --out runs/demo-maml --overwrite
	$(BIN)/mmaml report runs/demo-mmaml runs/demo-maml --out runs/demo.html --overwrite

# Lint, types, tests.
test: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet -e . --group dev
	touch $@
