# Everything happens in .venv; nothing but Python 3.11, make and the network is needed beforehand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
export TRANSFORMERS4 := $(CURDIR)/$(VENV)/transformers4
PYTEST_ARGS ?=

.PHONY: quickstart test test-long test-pythons fuzz lint types hashed requirements clean

quickstart: $(VENV)/.all  ## Convert the bundled checkpoint, verify it against TensorFlow, and find words that do not belong.
	$(BIN)/electra-convert convert fixtures/default quickstart --vocab fixtures/vocab.txt --overwrite
	$(BIN)/electra-convert verify fixtures/default quickstart
	$(BIN)/electra-convert demo

# pytest keeps the tests as it has compiled them: to do that anew in each worker takes as long again as to collect them.
unexport PYTHONDONTWRITEBYTECODE
# One thread for each worker: threads of torch that wait for a core another worker has make tiny models six times slower.
test test-long: export OMP_NUM_THREADS = 1
PYTEST := $(BIN)/python -m pytest -n 2

test: lint types $(TRANSFORMERS4)/.installed  ## All checks and all tests but the long ones; ends with what was skipped.
	$(PYTEST) $(PYTEST_ARGS)
	@echo "All checks and tests passed."

test-long: $(VENV)/.dev $(TRANSFORMERS4)/.installed  ## Long fuzzing, training and killing, for an hour at most.
	timeout 60m $(PYTEST) -m long $(PYTEST_ARGS)

COUNT ?= 1000000
SEED ?= 1

fuzz: $(VENV)/.dev  ## Changed files for every reader: COUNT=1000000 of them, from SEED=1; those that fail are kept.
	PYTHONPATH=tests $(BIN)/python -m support.fuzzing --count $(COUNT) --seed $(SEED) --keep $(VENV)/fuzzing

test-pythons: $(VENV)/.dev  ## The core's tests on every Python from 3.11 up that is at hand, each in an environment of its own.
	$(BIN)/python .ci/pythons.py $(VENV)/pythons

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.all: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[all]'
	$(BIN)/python -m compileall -q electra_convert
	touch $@

# electra-pytorch's metadata ask for transformers 3; what it imports is torch alone.
$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps electra-pytorch==0.1.2
	$(BIN)/python -m compileall -q electra_convert
	touch $@ $(VENV)/.all

# What is installed for the tests, each file by its hash, into a .venv that is not there yet; torch's wheel differs by
# machine. The two targets above, which go by versions alone, are then up to date.
hashed: $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q electra_convert
	touch $(VENV)/.dev $(VENV)/.all

requirements: $(VENV)/.dev  ## requirements.txt anew, by constraints.txt.
	grep -v '^#\|^torch==' constraints.txt | sort -u > $(VENV)/pins.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --dry-run --no-deps --ignore-installed --report $(VENV)/report.json --requirement $(VENV)/pins.txt
	$(BIN)/python .ci/requirements.py $(VENV)/report.json requirements.txt

# Tokenizer files must load in transformers 4 too, which cannot live beside transformers 5.
$(TRANSFORMERS4)/.installed: | $(VENV)/bin/python
	rm -rf $(TRANSFORMERS4)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-warn-conflicts --target $(TRANSFORMERS4) transformers==4.57.6
	touch $@

clean:
	rm -rf $(VENV) quickstart
