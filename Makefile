# Two commands: `make demo` shows the whole lakehouse, `make test` proves it.
.DEFAULT_GOAL := help
.PHONY: help install install-airflow preflight demo airflow test prove coverage check check-python check-sql format up down clean bench-refresh bench-api bench-tmdb bench-devices bench-gold bench-gates bench-site bench-airflow bench-recommend mutate
SHELL := /bin/bash

# A folder with the real data sets (tmdb/, ml-latest-small/). Empty: the demo generates its data.
DATA ?=
# Where the tests look for the same; they use generated data when it is not there.
TEST_DATA ?= $(wildcard ../shared/data)
# The Python of the virtual environments. Empty: the first one that can make them.
PYTHON ?=
BIN := .venv/bin
PACKAGES := cinelake docs_site expectations ingestion lakehouse monitoring pipeline spark_streaming

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

preflight:
	@PYTHON="$(PYTHON)" cinelake/stack/preflight.sh >/dev/null

install: preflight .venv/installed ## Make the virtual environment and fetch the jars

.venv/installed: pyproject.toml constraints.txt jars.xml
	@$(MAKE) --no-print-directory preflight
	@echo "Installing into .venv (about three minutes the first time) ..."
	@test -x $(BIN)/python || "$$(PYTHON="$(PYTHON)" cinelake/stack/preflight.sh)" -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -m cinelake.stack.jars
	@# Without it commands start more slowly, which is no reason to have none.
	-@$(BIN)/python -m spark_streaming.class_archive
	@touch $@

.venv-airflow/installed: airflow/requirements.txt airflow/constraints.txt | .venv/installed
	@echo "Installing Airflow into .venv-airflow (about two minutes the first time) ..."
	@test -x .venv-airflow/bin/python || $(BIN)/python -m venv --clear .venv-airflow
	@.venv-airflow/bin/python -m pip install --quiet --disable-pip-version-check --constraint airflow/constraints.txt --requirement airflow/requirements.txt
	@touch $@

install-airflow: install .venv-airflow/installed ## Make Airflow's own virtual environment

airflow: install-airflow ## Start the stack and Airflow, and print its address, user and password
	@$(BIN)/cinelake airflow up

demo: install ## From nothing to gold: start the stack, send events, refresh, build the site (DATA=folder for real data)
	@$(BIN)/cinelake demo $(if $(DATA),--data $(DATA))

up: install ## Start the local stack, or bring back what has stopped
	@$(BIN)/cinelake up

down: ## Stop the local stack; its data stays
	@test ! -x $(BIN)/cinelake || $(BIN)/cinelake down

clean: down ## Stop the stack and remove all its data
	rm -rf "$${CINELAKE_HOME:-.cinelake}" dbt_project/target dbt_project/logs dbt_project/profiles.yml

test: install-airflow ## Run the checks and all tests (40 to 60 minutes on 2 cores; installs Airflow, too, once)
	@$(MAKE) --no-print-directory check
	@CINELAKE_DATA="$(TEST_DATA)" $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

prove: install-airflow ## Test with 200,000 simulated events, in batches and with killed drivers, with thirty batches of drawn records, and kill under Airflow (three hours)
	@CINELAKE_DATA="$(TEST_DATA)" $(BIN)/python -m pytest --full-scale tests/integration/test_simulation_and_files.py tests/integration/test_batches.py tests/integration/test_whole_way.py tests/unit/lakehouse/test_lineage.py tests/demo/test_under_airflow.py tests/chaos/test_airflow.py

coverage: install ## Branches of silver's transforms that their own tests reach (at least 95%)
	@$(BIN)/python -m pytest --cov --cov-report=term tests/unit/silver

check: install ## Lint, format, types, SQL, dbt parse, a gate for each mart, and contract changes
	@$(MAKE) --no-print-directory --jobs=2 check-python check-sql

check-python: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive $(PACKAGES) airflow benchmarks

check-sql: install
	$(BIN)/sqlfluff lint --disable-progress-bar --config dbt_project/.sqlfluff dbt_project/models dbt_project/tests
	umask 077; $(BIN)/dbt --quiet parse --project-dir dbt_project --profiles-dir dbt_project/env_profile --target-path ../.cinelake/parse --log-path .cinelake/parse
	$(BIN)/python -m expectations.coverage .cinelake/parse/manifest.json
	$(BIN)/cinelake contracts diff

format: install ## Format Python and SQL
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/sqlfluff fix --config dbt_project/.sqlfluff dbt_project/models dbt_project/tests

bench-refresh: install ## Seconds and memory of a refresh in a home of its own (DATA=folder for real data)
	@$(BIN)/python -m benchmarks.refresh $(DATA)

bench-api: install ## The events API against a bare producer and a bare Flask route
	@$(BIN)/python -m benchmarks.api

bench-tmdb: install ## The TMDB sync against the ceiling of requests a second
	@$(BIN)/python -m benchmarks.tmdb.throughput

bench-devices: install ## Seconds to read real User-Agents (DATA=folder with the real data sets)
	@$(BIN)/python -m benchmarks.devices $(DATA)

bench-gold: install ## Gold of a million events: an increment against a full refresh, and the cookbook's queries
	@$(BIN)/python -m benchmarks.gold

bench-gates: install ## The gates of bronze and silver against plain Spark aggregates of the same figures
	@$(BIN)/python -m benchmarks.gates

bench-site: install ## Seconds and weight of the docs site of a million events
	@$(BIN)/python -m benchmarks.site

bench-airflow: install-airflow ## A refresh by Airflow against the same commands by hand
	@$(BIN)/python -m benchmarks.airflow

bench-recommend: install ## Recommendations against two baselines, and how soon the API answers (DATA=folder for MovieLens)
	@$(BIN)/python -m benchmarks.recommend $(DATA) --tune 600
	@$(BIN)/python -m benchmarks.recommend.answers

mutate: install ## Break a row for each data test of dbt, and see the test fail
	@$(BIN)/python -m tests.mutations
