# make demo [SECONDS=180]   a simulated warehouse, the engine on it, a summary; ends by itself
# make test                 all tests
# make check                formatting, types, and the rules that the repository keeps for itself; `make lint`: the first two
# make build                nothing but what the others need: for an edge box
# make campaign             the properties with many more examples, others each time [EXAMPLES=2000]
# make exhaustive           small worlds: every set of four records, in every order [SETS=0: all], a quarter of an hour
# make fuzz [SECONDS=60]    libFuzzer on decoder, core and snapshot (needs clang and its runtimes)
# make sanitize             the core's tests under ASan and UBSan
# make bench                the benchmarks
# make torture              the crash, damage and kill campaigns, for hours
# make drift [MINUTES=30]   whether memory stays where it is on a fast floor on which nothing goes well
# make planted              plants known bugs, one at a time, and shows which test finds each
# make mutants FILES="ext/picks.pyx ..." [COUNT=40] [SEED=1]     changes lines and shows which changes no test finds
# make lock                 requirements.lock anew, out of requirements.in
# make bench-report         the benchmarks as a page, build/bench/report.html: half an hour [BENCH="--scale .1"]
# make bench-micro          micro figures of timers, texts, decoder, encoder
# make hot                  which lines of hot functions touch Python objects
# make clean                takes away what was made, except .venv
#
# Each sets up what it needs: .venv with exactly what requirements.lock says, the compiled modules, the command `sortline`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BUILT := $(VENV)/.built
ENDLESS := --timeout 0 -o faulthandler_timeout=0

.PHONY: demo test lint check campaign exhaustive fuzz sanitize bench torture drift planted mutants lock clean setup build
.DELETE_ON_ERROR:

demo: SECONDS ?= 180
demo: build
	@$(BIN)/python -m engine.demo --seconds $(SECONDS)

# Three processes for two cores, a file of tests at a time: half of all they do is to wait for a server or a clock. One that
# died is not started anew: it would begin with what it died of. PYTEST="-n 0 ..." for a debugger or for -s.
test: build
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(PYTEST)

lint: build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy -p tests

check: lint
	$(BIN)/python -m pytest -q tests/tidy

campaign: EXAMPLES ?= 2000
campaign: build
	SORTLINE_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q $(ENDLESS) tests/property $(PYTEST)

exhaustive: SETS ?= 0
exhaustive: build
	SORTLINE_SETS=$(SETS) $(BIN)/python -m pytest -v -n 2 $(ENDLESS) tests/property/test_small_worlds.py $(PYTEST)

fuzz: SECONDS ?= 60
fuzz: build
	tests/fuzz/run.sh $(SECONDS)

sanitize: build
	tests/fuzz/sanitize.sh

bench: build
	$(BIN)/sortline bench $(BENCH)

.PHONY: bench-report bench-micro hot
bench-report: build
	@mkdir -p build/bench
	@# drawn also where a case failed: the page says so
	$(BIN)/sortline bench --json $(BENCH) > build/bench/figures.ndjson; code=$$?; \
		$(BIN)/python -m bench.report build/bench/figures.ndjson build/bench/report.html && exit $$code

bench-micro: build
	$(BIN)/python -m pytest -q bench/micro --benchmark-enable --benchmark-columns=median,iqr,ops,rounds

hot: build
	$(BIN)/python -m bench.hot

torture: build
	SORTLINE_CRASH_STATES=2000000 SORTLINE_DAMAGES=2000000 SORTLINE_KILLS=10000 SORTLINE_LIVES=20000 \
		$(BIN)/python -m pytest -s $(ENDLESS) tests/adversity/test_crash_states.py tests/adversity/test_disk_faults.py \
		tests/adversity/test_damaged_folders.py tests/adversity/test_killed_engine.py tests/adversity/test_killed_commands.py \
		tests/property/test_life.py

drift: MINUTES ?= 30
drift: build
	$(BIN)/python -m tests.adversity.drift --minutes $(MINUTES)

planted: build
	$(BIN)/python -m tests.adversity.planted

mutants: COUNT ?= 40
mutants: SEED ?= 1
mutants: build
	$(BIN)/python -m tests.mutants $(FILES) --count $(COUNT) --seed $(SEED) $(if $(TESTS),--tests $(TESTS))

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
	@echo "compiling ext/: two minutes on two cores the first time"
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@
