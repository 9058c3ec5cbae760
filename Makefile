# Everything a fresh machine needs is in here: each target makes .venv when it is missing or stale.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
COMPILED = $(BIN)/python -c 'import sys, lb; sys.exit(not lb.BUILD.compiled)'
PYTEST = $(BIN)/python -m pytest -n auto $(ONLY)
# Lines and branches; what decides is reached whole.
REACHED = $(BIN)/coverage report --fail-under=100 --include='lb/strategies/*,lb/balancing/*' && \
	$(BIN)/coverage report --fail-under=95 --include='sim/model/*,sim/engine/*,sim/analysis/*'

.PHONY: build wheels demo test cover lint bench chaos honesty predictions teeth fidelity soak fuzz mutants clean help

help:            ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */make \1\t/'

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lb needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	LB_PURE=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

build: $(READY)  ## compile the hot rooms, where there is a C compiler; LB_PURE=1 forces pure Python
	@$(BIN)/python -m lb.native.build

wheels: build    ## a wheel that carries what was compiled, and the source, in dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist .
	$(BIN)/python -m hatchling build -t sdist

demo: build      ## backends, proxy, load, and the prediction beside the measurement; a minute, the first time three
	$(BIN)/lb demo

test: build      ## the whole test suite; in pure Python, how much of the pure rooms it reaches
	@if $(COMPILED); then set -x; $(PYTEST); else set -x; $(PYTEST) --cov --cov-report= && $(REACHED); fi

cover: $(READY)  ## only what reaches the pure rooms, and what nothing reaches
	LB_PURE=1 $(BIN)/python -m pytest -n auto --cov --cov-report= -m 'not no_cover' tests/strategies tests/contract tests/balancing $(wildcard tests/recording) tests/sim
	$(REACHED)

mutants: $(READY) ## do the tests notice small changes to the pure rooms? a seeded sample of 200, half an hour
	LB_PURE=1 $(BIN)/python -m tests.mutants

lint: $(READY)   ## formatting, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: build     ## CPU per proxied request beside HAProxy, nginx and Caddy; simulated requests; BENCH="--quick --save"
	$(BIN)/python -m tests.bench $(BENCH)

chaos: build     ## 1,000 random fault schedules simulated, ten live: does everybody come back? a quarter of an hour
	$(BIN)/python -m sim.checks.chaos
	$(BIN)/python -m sim.live.chaos

honesty: build    ## do honest runs pass, is a backend 30 % slower found? rehearsals of each shipped scenario; two hours of one core
	$(BIN)/python -m sim.checks.honesty
	$(BIN)/python -m sim.checks.honesty --slower 1.3 --seconds 60 --runs 20

predictions: build ## do predictions keep their word? 300 synthetic worlds; about half an hour of one core
	$(BIN)/python -m sim.checks.predictions

teeth: build     ## does the verdict pass when it should and fail when it must? about twenty minutes
	$(BIN)/python loadtests/_teeth.py

fidelity: build   ## predictions beside live runs, thirteen scenarios and five algorithms; about an hour; README's table; FIDELITY="--quick"
	$(BIN)/lb fidelity --target lb $(FIDELITY); code=$$?; $(if $(FIDELITY),,$(BIN)/python loadtests/_figures.py lb-fidelity/fidelity.json;) exit $$code

soak: build      ## twenty minutes of everything at once: what is lost, what grows? SOAK="restarts" or "workers" for those
	$(BIN)/python -m tests.soak $(or $(SOAK),20)

fuzz: $(READY)   ## do the head scanners in C and in Python agree on 10 million heads? a quarter of an hour
	$(BIN)/python -m tests.fuzz
	$(BIN)/python -m tests.fuzz 1000000 --sanitized

clean:           ## everything that can be made again
	rm -rf $(VENV) lb/native/built .coverage build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis lb-report lb-demo lb-sweep lb-fidelity
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
