# Each target does its own set-up: a virtual environment with the pinned, hash-checked packages, compiled on every core (pip
# takes one).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test lint ui audit bench pictures clean
.DEFAULT_GOAL := demo

$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib footprint_assets footprint_assets_tests
	touch $@

demo: $(READY) ## simulated market -> lake -> audit -> one HTML page
	$(BIN)/footprint-assets demo

test: $(READY) ## the whole test suite
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

lint: $(READY) ## style, types and the one-way arrows between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(READY) ## the cross-table checks over the demo lake
	$(BIN)/footprint-assets audit

ui: $(READY) ## the Dagster UI on http://127.0.0.1:3000; FLAGS="--port 3001" for another port
	$(BIN)/footprint-assets ui $(FLAGS)

bench: $(READY) ## ours beside its peers, minutes; FLAGS="--full" for 10 M records, FLAGS="--only bronze" for one case
	$(BIN)/python -m benchmarks $(FLAGS)

pictures: demo ## the pictures of docs/, drawn from the demo lake, and those of the UI, taken by its tests
	$(BIN)/python docs/pictures/make_pictures.py
	$(BIN)/python -m pytest footprint_assets_tests/ui/test_in_browser.py
	cp build/screenshots/tour-*.png docs/pictures/

clean: ## everything but what is in git and the drop folder
	rm -rf $(VENV) data/lake data/dagster_home data/bench build
