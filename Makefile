# What one types here.  Needs python3 (3.11 or later), make, a C compiler, and a package index that pip can reach.
#
#   make demo     three durable nodes, driven by a ZooKeeper client; the leader is killed; nothing is lost
#   make test     every test, by two processes (WORKERS=4)
#   make lint     style, types, and who may import whom
#   make peers    fetch what the tests compare us with; tests that need a missing one are skipped and say so
#   make simulate whole clusters in simulation on all cores (SIMULATE="--minutes 10 --profile disk")
#   make mutants  nodes that are wrong in one place each: how many seeds tell (MUTANTS="--mutant R6")
#   make bench    throughput and latency of the four protocols, and beside ZooKeeper and etcd where present, and of locks
#   make docs     these pages and the reference of modules as a site, in build/site
#   make clean    take away everything that was made here

PYTHON ?= python3
VENV := .venv
WORKERS ?= 2
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint peers simulate mutants bench docs clean

# A stamp for each set of packages: made once, and again when pyproject.toml changes.
$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "agreed needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.has-%: $(BIN)/python pyproject.toml
	$(INSTALL) --editable '.[$*]'
	@touch $@

demo: $(VENV)/.has-demo
	@$(BIN)/python demo/cluster_demo.py

test: $(VENV)/.has-test
	$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_FLAGS)

lint: $(VENV)/.has-lint
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config .importlinter --no-cache --no-logo

peers:
	tools/peers.sh

simulate: $(VENV)/.has-test
	$(BIN)/agreed simulate $(SIMULATE)

mutants: $(VENV)/.has-test
	$(BIN)/python -m tests.sim.kill_matrix $(MUTANTS)

bench: $(VENV)/.has-bench
	$(BIN)/python -m bench.protocols
	$(BIN)/python -m bench
	$(BIN)/python -m bench.etcd
	$(BIN)/python -m bench.locks

docs: $(VENV)/.has-docs
	$(BIN)/python -m sphinx -q -W --keep-going -j auto -c docs . build/site

clean:
	rm -rf $(VENV) .peers build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf bench/load bench/results data agreed-data
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
