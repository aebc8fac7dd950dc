# `make quickstart` and `make test` need Python 3.11 or newer and nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test docs
quickstart: .venv/installed
	$(BIN)/python train.py --config configs/quickstart.py

test: .venv/installed
	$(BIN)/python -m pip install -e '.[test]'
	$(BIN)/python -m pytest

docs: .venv/installed
	$(BIN)/python -m pip install -e '.[docs]'
	$(BIN)/python -m sphinx -q -W --keep-going -j auto -b html docs docs/_build/html
	$(BIN)/python docs/check_site.py docs/_build/html

.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -e '.[train]'
	touch $@
