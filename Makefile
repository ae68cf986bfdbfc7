# Needs make and Python 3.11 or later. GNU make 3.81 will do.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
PYTEST_ARGS ?=
.PHONY: help run test check format bench lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

run: ## set up what is missing, and serve
	@.ci/venv.sh base
	@exec $(PYTHON) manage.py serve --bootstrap

test: ## every test and quality gate; PYTEST_ARGS="tests/leads -k digest" narrows it
	@.ci/venv.sh dev scale
	@if [ -z "$(PYTEST_ARGS)" ]; then $(MAKE) --no-print-directory check; fi
	@.ci/test.sh $(PYTEST_ARGS)

check: ## the quality gates alone
	@.ci/venv.sh dev scale
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports
	.venv/bin/djlint templates --check --lint --quiet
	$(PYTHON) manage.py makemigrations --check --dry-run --settings tests.settings

format: ## put Python and templates into the project's format
	@.ci/venv.sh dev
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .
	.venv/bin/djlint templates --reformat --quiet

bench: ## measure; ONLY=ingest narrows it; writes build/bench.json
	@.ci/venv.sh dev scale
	@$(PYTHON) -m tests.benchmarks $(if $(ONLY),--only $(ONLY))

lock: ## renew requirements/*.txt from *.in (needs uv)
	@for name in base scale dev; do \
	  uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet \
	    requirements/$$name.in -o requirements/$$name.txt; done

clean: ## remove what was made: .venv, build, caches. Keeps .env and data
	rm -rf .venv build .coverage* .hypothesis .mypy_cache .ruff_cache .import_linter_cache node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
