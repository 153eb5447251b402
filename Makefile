# make demo [SECONDS=180]   a simulated warehouse, the engine on it, a summary; ends by itself
# make test                 all tests
# make check                formatting, types, and the rules that the repository keeps for itself
# make campaign             the properties with many more examples, others each time [EXAMPLES=2000]
# make exhaustive           small worlds: every set of four records, in every order [SETS=0: all]
# make fuzz [SECONDS=60]    libFuzzer on decoder, core and snapshot (needs clang and its runtimes)
# make sanitize             the core's tests under ASan and UBSan
# make bench                the benchmarks
# make lock                 requirements.lock anew, out of requirements.in
# make clean                takes away what was made, except .venv
#
# Each sets up what it needs: .venv with exactly what requirements.lock says, the compiled modules, the command `sortline`.

PYTHON ?= python3
SECONDS ?= 180
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BUILT := $(VENV)/.built

.PHONY: demo test check campaign exhaustive fuzz sanitize bench lock clean setup build
.DELETE_ON_ERROR:

demo: build
	@$(BIN)/python -m engine.demo --seconds $(SECONDS)

test: build
	$(BIN)/python -m pytest $(PYTEST)

check: build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy -p tests
	$(BIN)/python -m pytest -q tests/tidy

campaign: EXAMPLES ?= 2000
campaign: build
	SORTLINE_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q --timeout 0 tests/property $(PYTEST)

exhaustive: SETS ?= 0
exhaustive: build
	SORTLINE_SETS=$(SETS) $(BIN)/python -m pytest -q --timeout 0 tests/property/test_small_worlds.py $(PYTEST)

fuzz: build
	tests/fuzz/run.sh $(SECONDS)

sanitize: build
	tests/fuzz/sanitize.sh

bench: build
	$(BIN)/sortline bench

lock: setup
	$(BIN)/pip-compile --quiet --allow-unsafe --generate-hashes --no-emit-find-links --no-emit-index-url \
		--output-file=requirements.lock --strip-extras requirements.in

clean:
	rm -rf build dist *.egg-info ext/*.so ext/*.c ext/*.html .mypy_cache .ruff_cache .pytest_cache .hypothesis $(BUILT)
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

setup: $(INSTALLED)
build: $(BUILT)

$(INSTALLED): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sortline needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements.lock
	@touch $@

# The install of the project itself compiles ext/ in place, and makes the command.
$(BUILT): $(INSTALLED) pyproject.toml setup.py $(wildcard ext/*.pyx ext/*.pxd)
	@echo "compiling ext/: two or three minutes the first time"
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@
