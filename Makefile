# Needs make and Python 3.11 or later. GNU make 3.81 will do.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
PYTEST_ARGS ?=
.PHONY: help run test check format bench drill-intake drill-delivery docs screenshots messages lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

run: ## set up what is missing, and serve
	@.ci/venv.sh base
	@exec $(PYTHON) manage.py serve --bootstrap

test: ## every test and quality gate, on SQLite and PostgreSQL; PYTEST_ARGS="tests/leads -k digest" narrows it
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

drill-intake: ## 20 rounds of killed processes under load, a full disk, hostile bodies; ROUNDS=3 shortens it
	@.ci/venv.sh dev scale
	$(PYTHON) -m tests.drills.intake --rounds $(or $(ROUNDS),20)
	$(PYTHON) -m tests.drills.disk
	$(PYTHON) -m tests.drills.hostile --bodies 20000

drill-delivery: ## 50 rounds of killed workers and a CRM that misbehaves, on both engines; ROUNDS=3 shortens it
	@.ci/venv.sh dev scale
	$(PYTHON) -m tests.drills.delivery --rounds $(or $(ROUNDS),50)

docs: ## renew what of docs/connectors is generated
	@.ci/venv.sh base
	$(PYTHON) -m crm_sync.connector_docs docs/connectors

screenshots: ## take the pictures of the documentation anew (needs Chromium); ALL=1: of every page, for looking at
	@.ci/venv.sh dev scale
	@export CHROMIUM="$${CHROMIUM-$$(.ci/chromium.sh || true)}"; $(PYTHON) -m tests.screenshots $(if $(ALL),all)

messages: ## collect the texts for a translation: LOCALE=de (needs gettext)
	@.ci/venv.sh dev
	@mkdir -p locale
	$(PYTHON) manage.py makemessages --locale $(or $(LOCALE),$(error LOCALE=de, for example)) --settings tests.settings \
	  --ignore .venv --ignore build --ignore tests --ignore data --no-wrap

lock: ## renew requirements/*.txt from *.in (needs uv)
	@for name in base scale dev; do \
	  uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-strip-extras --quiet \
	    requirements/$$name.in -o requirements/$$name.txt; done

clean: ## remove what was made: .venv, build, caches. Keeps .env and data
	rm -rf .venv build .coverage* .hypothesis .mypy_cache .ruff_cache .import_linter_cache node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
