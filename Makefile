# Copeau: two commands do everything. `make demo` shows a living shop, `make test` proves it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PY := .venv/bin/python
COPEAU := .venv/bin/copeau
JOBS ?= 2
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help setup setup-test demo test unit check audit sbom format bench chaos eval train-test schemas clean

help: ## What can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: ## Install what the demo needs
	@scripts/setup demo

setup-test:
	@scripts/setup test

demo: setup ## A living shop at http://127.0.0.1:8000 (Ctrl-C stops everything)
	@$(COPEAU) demo $(DEMO)

test: setup-test ## All tests, on real parts
	@$(PY) -m pytest tests/unit tests/contract -n $(JOBS) -q
	@$(PY) -m pytest tests/integration -n $(JOBS) --dist loadfile -q
	@$(PY) -m pytest tests/e2e tests/chaos -q

unit: setup-test ## The fast tests only
	@$(PY) -m pytest tests/unit -n $(JOBS) -q

check: setup-test ## Style, types, the layer order
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@$(PY) scripts/lint.py
	@$(PY) scripts/audit.py

audit: setup-test ## Known vulnerabilities of what we install (says so where there is no network)
	@$(PY) scripts/audit.py

sbom: setup-test ## The bill of materials, CycloneDX, in build/
	@$(PY) scripts/sbom.py

format: setup-test ## Format and fix what can be fixed
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

bench: setup-test ## Figures: the data path on SQLite and PostgreSQL, vision
	@$(COPEAU) bench ingest --json

chaos: setup-test ## The long kill tests: a million facts, two hundred kills
	@$(PY) -m pytest tests/chaos -m "chaos" -s

eval: setup-test ## The rack detector over 200 rendered episodes and the real clip
	@$(PY) -m pytest tests/integration/vision -m "long or not long" -s

train-test: ## One short training, needs the train extra (torch)
	@$(PY) -m pytest -m train -s

schemas: setup-test ## Write docs/schemas again from contracts/
	@$(PY) -m contracts.schemas

clean: ## Remove what was built and the demo's data
	@rm -rf var build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
