# `make quickstart` and `make test` need Python 3.11 or newer and nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test
quickstart: .venv/installed
	$(BIN)/python train.py --config configs/quickstart.py

test: .venv/installed
	$(BIN)/python -m pip install -e '.[test]'
	$(BIN)/python -m pytest

.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -e '.[train]'
	touch $@
