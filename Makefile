# `make help` lists the targets. Each of them does its own set-up first: a virtual environment with pinned
# packages, and the Kafka jars. A second run finds both and downloads nothing.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# `make -j check` would mix the outputs and run tests before the linters have spoken.
.NOTPARALLEL:

VENV := .venv
RUN := $(VENV)/bin/python

# make PYTHON=/path/to/python3.12 setup: the Python to build the environment from.
PYTHON ?=
PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3)

# Named after what it was installed from, and where: other pins are another stamp, and so is a clone that was
# copied or moved, whose environment still points to the old place. A touched file is the same one.
LOCK := requirements/runtime.txt requirements/compiled.txt requirements/dev.txt setup.cfg pyproject.toml
STAMP := $(VENV)/.installed-$(shell { pwd -P; cat $(LOCK); } | cksum | tr ' ' '-')

# Options for the program behind a target: make test ARGS='-k decode'
ARGS ?=

# Files of tests that run at a time, each with a broker and a Spark session of its own; 0 for one process.
PROCESSES ?= 3
PYTEST = $(RUN) -m pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder

.PHONY: help
help: ## Explain the targets (this list)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=/path/to/python3.12 chooses the Python, JAVA_HOME the Java,"
	@echo "  KAFKA_BOOTSTRAP_SERVERS=host:port your own Kafka, ARGS='...' adds options: make test ARGS='-k decode'"

.PHONY: demo
demo: setup ## Show it all: customers through a real Kafka, scored by Spark, back exactly once
	@$(RUN) jobs/demo.py $(ARGS)

.PHONY: test
test: setup ## Run all tests, on a real broker and a real Spark
	@$(PYTEST) $(ARGS)

.PHONY: test-fast
test-fast: setup ## Run the tests that need neither Spark nor Kafka (a minute)
	@$(PYTEST) -m "not spark and not broker" $(ARGS)

ZOO := build/zoo
ZOO_STAMP := $(ZOO)/.installed-$(shell cksum < requirements/zoo.txt | tr ' ' '-')

.PHONY: zoo
zoo: setup $(ZOO_STAMP) ## Score models of other libraries (XGBoost, LightGBM, CatBoost, …), which it installs into build/zoo
	@PYTHONPATH=$(ZOO) $(RUN) -m pytest tests/zoo $(ARGS)

$(ZOO_STAMP): | $(STAMP)
	@echo "installing libraries of other models into $(ZOO) (about 300 MB) ..."
	@rm -rf $(ZOO)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --target $(ZOO) -r requirements/zoo.txt
	@touch $@

DEPLOY := build/deploy
DEPLOY_STAMP := $(DEPLOY)/.installed-$(shell cksum < requirements/deploy.txt | tr ' ' '-')

.PHONY: deploy-check
deploy-check: setup $(DEPLOY_STAMP) ## Check the files in deploy/ with Airflow and other tools, which it installs into build/deploy
	@DEPLOY_TOOLS=$(DEPLOY) $(RUN) -m pytest tests/deploy $(ARGS)

$(DEPLOY_STAMP): | $(STAMP)
	@echo "installing Airflow and checkers of deploy/ into $(DEPLOY) (about 450 MB) ..."
	@rm -rf $(DEPLOY)
	@$(RUN) -m venv $(DEPLOY)
	@$(DEPLOY)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/deploy.txt
	@touch $@

.PHONY: check
check: lint types zoo deploy-check test ## What CI runs: lint, format, types, other libraries' models, files in deploy/, then all tests

.PHONY: lint
lint: setup ## Check style and format, change nothing
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .

.PHONY: format
format: setup ## Repair format and what ruff can repair
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

.PHONY: types
types: setup ## Check types (mypy --strict)
	@$(RUN) -m mypy

.PHONY: bench
bench: setup ## Measure the throughput of the job beside hand-written loops and a framework (40 minutes)
	@$(RUN) benchmarks/throughput.py $(ARGS)

.PHONY: bench-peers
bench-peers: setup ## Measure the job beside other tools, each in an environment of its own
	@$(RUN) -m benchmarks.peers $(ARGS)

.PHONY: bench-latency
bench-latency: setup ## Measure how long a record takes, beside a hand-written loop and a framework, under three loads (an hour)
	@$(RUN) benchmarks/latency.py $(ARGS)

.PHONY: crash
crash: setup ## Kill everything that can die, 200 times over 1,000,000 records, and count (two hours; resumes)
	@$(RUN) -m tests.crash $(ARGS)

.PHONY: fuzz
fuzz: setup ## Throw 1,000,000 hostile records at the job, and count (a quarter of an hour on 2 cores)
	@$(RUN) -m tests.hostile $(ARGS)

.PHONY: soak
soak: setup ## Load, stop, kill and start the job for 30 minutes, and see that nothing grows
	@$(RUN) -m tests.endurance $(ARGS)

.PHONY: broker
broker: setup ## Run a Kafka broker for trials in the foreground, on free ports (ARGS=--brokers=3: three)
	@$(RUN) -m lib.tools.broker $(ARGS)

.PHONY: wheel
wheel: $(STAMP) ## Build a wheel in dist/, for projects of your own: there lib is called spark_kafka_scoring
	@$(RUN) -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	@ls -t dist/*.whl | head -1

.PHONY: setup
setup: $(STAMP) ## Install everything, no more
	@$(RUN) -m lib.setup.jars
	@$(RUN) -m lib.setup.class_archive record
	@# What a start would make, so that one by another user, or in a folder without write access, makes nothing.
	@$(RUN) -m lib.setup.launch --installed >/dev/null

$(STAMP): | check-python check-java
	@echo "installing pinned packages into $(VENV) (about 600 MB the first time) ..."
	@if [ ! -x $(RUN) ]; then $(FIND_PYTHON); "$$python" -m venv --clear $(VENV); fi
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@# The clone itself, editable: `import lib` works from any folder and for Spark's Python workers.
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed-*
	@touch $@

# Sets $$python to that of the environment or else to the first of $(PYTHONS) that is new enough, and
# $$found to what was met on the way.
define FIND_PYTHON
python= found=; if [ -x $(RUN) ]; then python=$(RUN); fi; \
for name in $${python:-$(PYTHONS)}; do \
  version="$$("$$name" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)" || continue; \
  found="$$found $$name is $$version;"; \
  if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then python="$$name"; break; fi; \
done
endef

.PHONY: check-python
check-python:
	@$(FIND_PYTHON); \
	if [ -z "$$python" ]; then \
	  echo "error: Python 3.11+ is needed; found:$${found:- none of $(PYTHONS)} (install it, or name one: make PYTHON=/path/to/python3.12)" >&2; \
	  exit 1; \
	fi

.PHONY: check-java
check-java: check-python
	@$(FIND_PYTHON); "$$python" -m lib.setup.java

.PHONY: clean
clean: ## Remove what programs left behind; keep packages, jars and models
	@rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache build/bdist.* build/lib build/lib-*.zip
	@rm -rf spark-warehouse metastore_db artifacts derby.log
	@find lib jobs tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## Remove packages and jars too; the next run downloads them again
	@rm -rf $(VENV) build dist *.egg-info
