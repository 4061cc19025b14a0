# make run: try it.  make test: everything.  Both set up the virtual environment by themselves.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# One OpenMP thread: with two on two busy cores torch spends its time in barriers.
export OMP_NUM_THREADS ?= 1

# What the benchmark of the library is told: --write renews docs/benchmarks.md.
LIBRARY ?= --write

.PHONY: run test check bench bench-cache bench-fidelity corpora bench-library answers screenshots clean

run: $(READY)
	$(BIN)/deepsearch-tui demo

test: check
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m tests.bench

bench-cache: $(READY)
	$(BIN)/python -m tests.bench.cache --write

bench-fidelity: $(READY)
	$(BIN)/python -m tests.bench.cache.fidelity --write

corpora: $(READY)
	$(BIN)/python -m tests.bench.library.fetch

bench-library: corpora
	$(BIN)/python -m tests.bench.library $(LIBRARY)

answers: $(READY)
	$(BIN)/python -m tests.answers

screenshots: $(READY)
	$(BIN)/python -m tests.screenshots

$(READY): pyproject.toml packaging/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing; llama.cpp is compiled on the way, which takes some minutes the first time."
	$(BIN)/pip install --quiet --disable-pip-version-check -c packaging/constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c packaging/constraints.txt -e '.[starter,dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
