# Everything a person or CI does with this repository. `make run` and `make test` need nothing before them.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
# It pins numpy below 2, but works beside our versions: see the extra clap.
MSCLAP := msclap==1.3.4 torchlibrosa==0.1.0
STAMP := $(VENV)/.installed

.PHONY: setup run test test-fast attack lint check lock bench clean

setup: $(STAMP)  ## make .venv with everything a laptop needs

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --constraint constraints.txt --build-constraints constraints.txt --editable ".[dev]"
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --no-deps $(MSCLAP)
	touch $@

run: setup  ## run the AED pipeline on the embedded default and print the result
	$(BIN)/run-pipeline --module-name pipelines.aed

# A worker takes whole files, because the tests of one share what its fixtures make; tests/suite_order.py puts the
# longest first. Twice as many workers as cores, for those that wait for servers and clusters.
PYTEST := $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

test: setup  ## the whole test suite
	$(PYTEST)

test-fast: setup  ## the tests that are not marked slow
	$(PYTEST) -m "not slow"

attack: setup  ## damage files and records in thousands of ways; count what falls
	$(BIN)/python tests/attacks/attack.py

lint: setup  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test  ## what CI checks

lock: setup  ## regenerate constraints.txt: name==version, no addresses
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --upgrade --all-extras pyproject.toml --output-file constraints.txt

bench: setup  ## ratios against named peers; prints tables
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) runs build *.egg-info
