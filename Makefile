# Two commands do all the set-up: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash

.PHONY: help env lock demo test test-slow check format lint types house wheel bench clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.made: requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "p2pmpc needs $(PYTHON)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -c "import pathlib, sysconfig; \
	  pathlib.Path(sysconfig.get_path('purelib'), 'p2pmpc.pth').write_text('$(CURDIR)\n')"
	printf '#!/bin/sh\nexec "$(CURDIR)/$(BIN)/python" -m p2pmpc.cli "$$@"\n' > $(BIN)/p2pmpc
	chmod +x $(BIN)/p2pmpc
	touch $@

env: $(VENV)/.made  ## make .venv from the hash-locked requirements

test: env  ## the whole fast suite
	$(BIN)/python -m pytest -m "not slow"
