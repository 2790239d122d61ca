PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help install dev quickstart quickstart-train test check format lock clean

help:
	@echo "make install           a virtual environment in $(VENV) with all that a CPU user needs, training included"
	@echo "make quickstart        install what judging needs, fetch a small model, judge 40 pairs, write a report"
	@echo "make quickstart-train  the same model learns to judge; judged before and after, with a report"
	@echo "make test              all tests"
	@echo "make check             lint, types, dependency and architecture rules"
	@echo "make lock              pin today's versions in constraints.txt"

install: $(VENV)/.train
dev: $(VENV)/.dev

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) "pip==26.0.1"

$(VENV)/.judge: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -c constraints.txt -e ".[cpu]"
	@touch $@

$(VENV)/.train: $(VENV)/.judge
	$(PIP) -c constraints.txt -e ".[cpu,train]"
	@touch $@

$(VENV)/.dev: $(VENV)/.train
	$(PIP) -c constraints.txt --group dev
	@touch $@

quickstart: $(VENV)/.judge
	$(BIN)/rmr1 quickstart

quickstart-train: install
	$(BIN)/rmr1 quickstart --train

test: dev
	$(BIN)/rmr1 pull smollm2-135m-instruct
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadgroup

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src
	$(BIN)/python -m pytest tests/architecture

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check "pip==26.0.1"
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check -e ".[cpu,train]" --group dev
	build/lock/bin/python -m pip freeze --exclude-editable > constraints.txt

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
