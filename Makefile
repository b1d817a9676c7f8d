# Everything runs in a virtual environment of the checkout, made once and kept; `make` without a target lists what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin

.PHONY: help setup setup-dev demo test test-cluster check format docs bench bench-cluster dist pictures tables soak constraints clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make the virtual environment with what Kedge needs to run
	@bash scripts/setup

setup-dev: ## ... and with what its tests and checks need
	@bash scripts/setup --dev

demo: setup ## Run a real machine-learning pipeline here, twice
	@$(BIN)/kedge demo

test: setup-dev ## Run the checks and every test (what CI runs)
	@bash scripts/check
	@bash scripts/test

test-cluster: setup-dev ## Run the tests against a real Kubernetes alone: KEDGE_TEST_KUBECONFIG's, or one that is started here
	@$(BIN)/python -m pytest -m "cluster and not soak"

check: setup-dev ## Run the linters and the type checker alone
	@bash scripts/check

format: setup-dev ## Rewrite the code as the formatter wants it
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

docs: setup ## Build the documentation's site into build/site
	@bash scripts/docs

bench: setup-dev ## Measure speed and size against their budgets; BENCH="--json chain" selects
	@$(BIN)/python bench/run.py $(BENCH)

bench-cluster: setup-dev ## The same on a real Kubernetes, beside bare Pods; BENCH="step artifacts" selects
	@$(BIN)/python bench/cluster.py $(BENCH)

pictures: setup-dev ## Take the pictures of the dashboard anew that the README shows
	@$(BIN)/python -m pytest -q tests/browser/test_pictures.py
	@mkdir -p docs/images && for name in run compare artifact; do cp build/screenshots/pictures/readme-$$name.png docs/images/$$name.png; done

tables: setup-dev ## Write the table of clients in docs/compatibility.md anew, from what the embedded host answers them
	@KEDGE_TEST_WRITE_TABLES=1 $(BIN)/python -m pytest -q -p no:xdist -m "not cluster and not soak" tests/acceptance/test_clients.py

soak: setup-dev ## Kill a host at 200 moments, then look for rare failures over and over for SOAK minutes (10)
	@bash scripts/soak $(or $(SOAK),10)

dist: setup-dev ## Build the wheel and the source archive into dist/
	@rm -rf dist
	@$(BIN)/python -m build --installer uv --dependency-constraints-txt constraints/kedge.txt

constraints: setup-dev ## Choose the newest versions again and pin them in constraints/
	@bash scripts/constraints

clean: ## Delete what the targets above made, the virtual environment too
	@rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache src/kedge/dashboard/static/plotly.*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
