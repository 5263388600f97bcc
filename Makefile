# make demo | up | test | check | soak | bench | bench-NAME | cases | setup | clean | lock

VENV ?= .venv
PY := $(VENV)/bin/python
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo up test check soak soak-crash bench cases binaries clean lock

help:
	@echo "make demo    start the platform with its demonstration; Ctrl-C stops it"
	@echo "make up      start the platform; Ctrl-C stops it"
	@echo "make test    run every test against real components"
	@echo "make check   style, types, layers, migrations (under a minute)"
	@echo "make soak    many more random histories of loans, the engine broken on purpose, and make soak-crash (over an hour)"
	@echo "make soak-crash  processes killed at every step, payments racing on one loan: about half an hour"
	@echo "make bench   every benchmark; make bench-schedule: one (QUICK=1: less of it)"
	@echo "make cases   the numeric cases in PATHS (default: ../shared/cases) on the engine"
	@echo "make setup   build $(VENV); the others do it by themselves"
	@echo "make clean   delete the data of the local platform (yes=1: without asking)"
	@echo "make lock    pin the dependencies anew"

# Done again only when what it depends on has another content, so that the second run needs no network.
setup:
	@want="$$(cat requirements.lock pyproject.toml | cksum) $(CURDIR)"; \
	if [ "$$want" = "$$(cat $(VENV)/.setup-done 2>/dev/null)" ] && $(PY) -c pass 2>/dev/null; then exit 0; fi; \
	if ! $(PY) -c 'import pip' 2>/dev/null; then \
	  for candidate in python3.13 python3.12 python3.11 python3; do \
	    if $$candidate -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "Error: no Python 3.11 or newer with venv here: install one (Debian: apt-get install python3 python3-venv)." >&2; exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$($$found --version)"; \
	  $$found -m venv --clear $(VENV) || exit 1; \
	fi; \
	echo "Installing the pinned packages into $(VENV) (about a minute, once)"; \
	$(PY) -m pip install --require-hashes -r requirements.lock && \
	$(PY) -m pip install --quiet --no-deps --no-build-isolation -e . || \
	  { echo "Error: the packages could not be installed; what pip says above tells why (is there a way to the network?)." >&2; exit 1; }; \
	echo "$$want" > $(VENV)/.setup-done

demo: setup
	@exec $(PY) -m cli.main demo

up: setup
	@exec $(PY) -m cli.main up

binaries: setup
	@$(PY) -m standalone.binaries

test: setup binaries
	@$(PY) -m pytest -n $(WORKERS) --dist loadscope

check: setup
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports
	@$(PY) -m pytest -q tests/architecture

SOAKED := $(addprefix tests/domain/test_,$(addsuffix .py,any_history modified_properties properties simple_daily_properties simulation))

# Processes killed, payments racing: other choices every time, SEED=n repeats those of a run.
soak-crash: setup binaries
	@seed=$${SEED:-$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}; echo "Kills and races with SEED=$$seed"; \
	PERDIEM_CRASH=soak PERDIEM_SEED=$$seed $(PY) -m pytest -rP tests/crash

# Other histories every time: SEED=n repeats those of a run. Then every mutation of tests/mutation/mutations.txt.
soak: setup soak-crash
	@seed=$${SEED:-$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}; echo "Random histories with SEED=$$seed"; \
	PERDIEM_PROPERTIES=soak $(PY) -m pytest -n $(WORKERS) --dist loadscope --noconftest --timeout 0 --hypothesis-seed $$seed tests/properties $(SOAKED)
	@WORKERS=$(WORKERS) $(PY) -m tests.mutation.run

BENCHMARKS := $(filter-out __init__ bare_%,$(basename $(notdir $(wildcard benchmarks/*.py))))
PATHS ?= ../shared/cases

bench: $(addprefix bench-,$(BENCHMARKS))

bench-%: setup
	@$(PY) -m benchmarks.$*

cases: setup
	@$(VENV)/bin/perdiem cases $(PATHS)

clean: setup
	@$(PY) -m standalone.clean $(if $(yes),--yes)

lock:
	@command -v uv >/dev/null || { echo "Error: make lock needs uv: pip install uv." >&2; exit 1; }
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements.lock
