# Two commands do all the set-up: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
SCRATCH := build/wheel-check

.PHONY: help env lock demo test test-slow check format lint types house wheel bench bench-peers clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.made: requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "p2pmpc needs $(PYTHON)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -c "import pathlib, sysconfig; \
	  pathlib.Path(sysconfig.get_path('purelib'), 'p2pmpc.pth').write_text('$(CURDIR)\n')"
	printf '#!/bin/sh\nexec "$(abspath $(BIN))/python" -m p2pmpc.cli "$$@"\n' > $(BIN)/p2pmpc
	chmod +x $(BIN)/p2pmpc
	@if [ -f protocols/kernels/warm.py ]; then \
	  echo "compiling the kernels once"; $(BIN)/python -m protocols.kernels.warm; fi
	touch $@

env: $(VENV)/.made  ## make .venv from the hash-locked requirements

demo: env  ## three hospitals and a laboratory, a linked study, a verified receipt
	$(BIN)/p2pmpc demo

test: env  ## the whole fast suite
	$(BIN)/python -m pytest -m "not slow"

test-slow: env  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

check: format lint types house test wheel  ## everything a change must pass

format: env  ## is everything formatted?
	$(BIN)/ruff format --check p2pmpc protocols nodes simulations tests

lint: env  ## ruff, with the reasons of its exceptions in pyproject.toml
	$(BIN)/ruff check p2pmpc protocols nodes simulations tests

types: env  ## mypy --strict
	$(BIN)/mypy

house: env  ## the house rules, with the remedy of each complaint
	$(BIN)/python tests/house/rules.py

wheel: env  ## build the wheel without a network, install it elsewhere, use it
	rm -rf $(SCRATCH) dist
	$(BIN)/hatchling build -t wheel -d dist
	$(BIN)/pip install --quiet --disable-pip-version-check --no-index --no-deps \
	  --target $(SCRATCH) dist/p2pmpc-*.whl
	cd / && PYTHONPATH=$(abspath $(SCRATCH)) $(abspath $(BIN))/python -c "\
	import p2pmpc, protocols, nodes, simulations; \
	inside = [m.__file__.startswith('$(abspath $(SCRATCH))') for m in (p2pmpc, protocols, nodes, simulations)]; \
	assert all(inside), inside"
	cd / && PYTHONPATH=$(abspath $(SCRATCH)) $(abspath $(BIN))/python -m p2pmpc.cli explain 501 > /dev/null

bench: env  ## measured figures of this machine
	@for file in tests/benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

PEERS := build/peers/venv
$(PEERS)/.made: tests/benchmarks/peers/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

bench-peers: env $(PEERS)/.made  ## ours beside CHEETAH and MPyC, in an environment of their own
	$(BIN)/python tests/benchmarks/bench_peers.py --scale 1

lock: env  ## write the locked requirements anew from pyproject.toml, with hashes
	$(BIN)/uv pip compile pyproject.toml --all-extras --python-version 3.11 --generate-hashes \
	  --no-header --no-emit-index-url --quiet --output-file requirements.txt
	$(BIN)/uv pip compile pyproject.toml --extra node --constraint requirements.txt \
	  --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --quiet \
	  --output-file k8s/requirements.txt
	$(BIN)/uv pip compile tests/benchmarks/peers/requirements.in --python-version 3.11 \
	  --generate-hashes --no-header --no-emit-index-url --no-annotate --quiet \
	  --output-file tests/benchmarks/peers/requirements.txt

clean:  ## what builds and tests leave
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find p2pmpc protocols nodes simulations tests -name __pycache__ -type d -prune -exec rm -rf {} +
