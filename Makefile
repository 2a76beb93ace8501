# Timbre's one door. `make` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
SOURCES := server operator tests benchmarks examples scripts

.PHONY: help setup redis lock format check test serve demo demo-server bench generate clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 14

setup: .venv/.dev ## put everything into .venv (server, operator, tools; about a minute on a new machine)

.venv/.dev: requirements/dev.txt pyproject.toml scripts/setup.sh
	@scripts/setup.sh dev

.venv/.server: requirements/server.txt pyproject.toml scripts/setup.sh
	@scripts/setup.sh server

lock: .venv/.dev ## resolve requirements/*.txt anew
	@scripts/lock.sh

format: .venv/.dev ## format the code
	@.venv/bin/ruff format $(SOURCES)
	@.venv/bin/ruff check --fix --quiet $(SOURCES)

check: .venv/.dev ## lint, layers, types, generated files
	@.venv/bin/ruff format --check --quiet $(SOURCES)
	@.venv/bin/ruff check --quiet $(SOURCES)
	@.venv/bin/lint-imports --no-logo >.venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }
	@.venv/bin/mypy
	@.venv/bin/basedpyright --warnings | tail -n 40; exit $${PIPESTATUS[0]}
	@$(PY) scripts/generate_docs.py --check

redis: ## install redis-server where it is missing (as root; else it prints the command)
	@scripts/install_redis.sh

test: .venv/.dev redis ## run all tests (they need no GPU, no cluster and no network)
	@$(PY) -m pytest $(ARGS)

serve: .venv/.server ## start a server on 127.0.0.1:8000 with the embedded engine
	@scripts/serve.sh

demo: demo-server ## the main job in one command (a single server for now)

demo-server: .venv/.dev ## start a server, enrol two voices, speak with both, measure, leave the files in demo-out/
	@$(PY) -m examples.demo

bench: .venv/.dev ## measure the server (JSON in bench-out/; ROW=name runs one row)
	@$(PY) -m benchmarks.run $(ROW)

generate: .venv/.dev ## write docs/settings.md, docs/metrics.md and THIRD_PARTY_LICENSES.md anew
	@$(PY) scripts/generate_docs.py

clean: ## remove what make made
	@rm -rf .venv demo-out bench-out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
