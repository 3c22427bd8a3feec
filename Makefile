# Two commands: `make demo` and `make test` set up all they need and run. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JAR := flink/target/eventide-flink.jar
SERVERS := tests/servers tests/lakes
FLINK := tests/flink tests/crash
EVERYTHING := $(filter-out tests/conftest.py,$(wildcard tests/*))
TESTS := tests-with-servers tests-with-flink tests-without-servers

# Given several folders, pytest imports their conftest files under one name: so it is given one, and what to leave out of it
only = tests $(addprefix --ignore=,$(filter-out $(1),$(EVERYTHING)))

.PHONY: help demo test lint types arrows jar unit $(TESTS) bench bench-flink nightly-flink laws wheel notebooks crash simulate services pins clean

help:
	@echo "make demo    set up, run the radiation network, leave results and a report in out/demo"
	@echo "make test    set up, then ruff, mypy --strict, import contracts, tests, doctests, README and examples"
	@echo "make tests-with-servers, make tests-with-flink, make tests-without-servers  the groups of tests that make test runs side by side"
	@echo "make bench   measure speed, memory and latency against batch Polars"
	@echo "make bench-flink  the same works on a Flink cluster of this machine, beside hand-written Flink SQL"
	@echo "make wheel   build the wheel with the jar of the Flink job (needs Maven and a JDK 17)"
	@echo "make notebooks  run the notebooks of examples/ and store what they show"
	@echo "make crash   kill a run at every system call that changes a file or sends to a server, and compare (Linux on x86-64)"
	@echo "make simulate  thousands of simulated runs on a disk that forgets (SEEDS=0:2000)"
	@echo "make laws    the laws once more, on five times as many streams and plans, drawn anew each time"
	@echo "make nightly-flink  drawn plans and streams on Flink's operators and embedded, compared (FLINK_SEEDS=0:40)"
	@echo "make services  start real servers on loopback for trying out, until Ctrl-C (SERVICES=\"kafka cassandra mongodb rabbitmq\")"
	@echo "make pins    compute requirements/dev.txt anew (hashed pins)"
	@echo "make clean   remove the environment and all output"

$(READY): requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV) 2>/dev/null || { echo "python3 -m venv does not work: install python3-venv (Debian: apt-get install python3-venv)"; exit 1; }
	$(BIN)/python -m pip install --quiet --no-compile --require-hashes -r requirements/dev.txt
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY)
	$(BIN)/eventide demo

# What formats and lints takes a second; the rest goes side by side
test: lint
	+@$(SIDE_BY_SIDE) $(TESTS) types arrows

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

arrows: $(READY)
	$(BIN)/lint-imports

jar: $(JAR)

# Maven runs the tests of the Java job before it makes the jar
$(JAR): flink/pom.xml $(shell find flink/src -type f 2>/dev/null)
	@command -v mvn >/dev/null || { echo "the Flink job is built by Maven: install maven and a JDK 17 (Debian: apt-get install maven openjdk-17-jdk-headless)"; exit 1; }
	mvn -B -ntp -f flink/pom.xml package
	@touch $@

wheel: $(READY) $(JAR)
	$(BIN)/hatchling build -t wheel

# Servers are waited for much of the time, so the other tests run beside theirs, and leave them the processor when they want it.
# Those with servers begin behind Maven's own part, which fetches into the folder that they fetch into
SIDE_BY_SIDE := $(MAKE) --no-print-directory --jobs=3 --keep-going --output-sync=target
unit: $(READY)
	+@$(SIDE_BY_SIDE) $(TESTS)

tests-with-servers: $(READY) $(JAR)
	$(BIN)/python -m pytest $(call only,$(SERVERS))

tests-with-flink: $(READY) $(JAR)
	$(BIN)/python -m pytest $(call only,$(FLINK))

tests-without-servers: $(READY)
	nice $(BIN)/python -m pytest $(addprefix --ignore=,$(SERVERS) $(FLINK))

bench: $(READY)
	$(BIN)/python -m benchmarks.bench

bench-flink: $(READY) $(JAR)
	$(BIN)/python -m benchmarks.flink

notebooks: $(READY)
	$(BIN)/python examples/run_notebooks.py --write

crash: $(READY)
	$(BIN)/python -m tests.crash.sweep

SEEDS ?= 0:2000
simulate: $(READY)
	$(BIN)/python -m tests.simulation.simulate --seeds $(SEEDS)

laws: $(READY) $(JAR)
	$(BIN)/python -m pytest --hypothesis-profile=default $$(grep -rlE '^(from|import) hypothesis' tests --include='test_*.py')

FLINK_SEEDS ?= 0:40
nightly-flink: $(READY) $(JAR)
	$(BIN)/python -m tests.flink.nightly --seeds $(FLINK_SEEDS)

SERVICES ?= kafka nats postgres
services: $(READY)
	$(BIN)/python -m eventide.testing.services $(SERVICES)

pins: $(READY)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --all-extras --group dev pyproject.toml -o requirements/dev.txt

clean:
	rm -rf $(VENV) out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
