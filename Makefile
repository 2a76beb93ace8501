# Timbre's one door. `make` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
# Two more than processors, because tests wait for processes that start and leases that end.
WORKERS ?= $(shell echo $$(($$(nproc) + 2)))
# Tests start hundreds of Pythons: each would compile Timbre anew where the environment forbids to keep what was compiled.
unexport PYTHONDONTWRITEBYTECODE
SOURCES := server operator tests benchmarks examples scripts e2e

.PHONY: help setup redis cluster-tools lock format check test serve demo demo-server demo-fleet test-redis test-torch bench images cluster cluster-down e2e e2e-short render generate clean

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
	@$(PY) -m scripts.generate_chart --check

redis: ## install redis-server where it is missing (it asks first)
	@scripts/install_redis.sh

cluster-tools: .venv/.dev ## build a real Kubernetes control plane for the tests, once per machine (5 to 9 minutes)
	@scripts/cluster_tools.sh

test: .venv/.dev redis cluster-tools ## run all tests (they need no GPU and no cluster; they bring their own API server)
	@$(PY) -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-redis: .venv/.dev redis ## run the tests of stores and operator on another server: REDIS_SERVER=/path/to/valkey-server
	@$(PY) -m pytest tests/server/store tests/contract/test_keys.py tests/operator/redis_probe tests/docs/test_own_redis.py $(ARGS)

test-torch: .venv/.dev ## run the tests that need torch, in an environment of their own (.venv-torch, 5 GB)
	@scripts/test_torch.sh $(ARGS)

serve: .venv/.server ## start a server on 127.0.0.1:8000 with the embedded engine
	@scripts/serve.sh

demo: .venv/.dev ## the whole of it in one command: a Kubernetes (here, or KUBE_CONTEXT's), a VoiceService, two voices, an HPA that moves
	@$(PY) -m e2e.demo

demo-server: .venv/.dev ## start a server, enrol two voices, speak with both, measure, leave the files in demo-out/
	@$(PY) -m examples.demo

demo-fleet: .venv/.dev redis ## start a Redis and three servers: enrol, speak, replace and delete one voice on all of them
	@$(PY) -m examples.fleet_demo

bench: .venv/.dev redis ## measure against peers (JSON and plots in bench-out/; ROW=name or number runs one row)
	@$(PY) -m benchmarks.run $(ROW)

images: ## build the container images with docker, podman or buildah: IMAGES="server operator" for some, server-torch for GPUs
	@scripts/images.sh $(IMAGES)

cluster: .venv/.dev ## start a single-node Kubernetes here (root on Debian or Ubuntu; it says first what it does), or use KUBE_CONTEXT's
	@scripts/cluster.sh up$(if $(KUBE_CONTEXT), && scripts/cluster.sh images)

cluster-down: ## take it back: ARGS=--keep resumes it next time, ARGS=--wipe removes .cluster too
	@scripts/cluster.sh down $(ARGS)

e2e: .venv/.dev images ## run the end-to-end tests on a cluster that is started for them (KEEP=1 leaves it running; ARGS="-k speaks")
	@$(PY) -m pytest e2e -p no:randomly $(ARGS)

e2e-short: ARGS = -m short
e2e-short: e2e ## the six of them that say most, in three and a half minutes

render: .venv/.dev ## print what a VoiceService becomes, without a cluster: FILE=examples/minimal.yaml
	@.venv/bin/timbre-operator render $(or $(FILE),examples/minimal.yaml)

generate: .venv/.dev ## write docs/settings.md, docs/metrics.md, THIRD_PARTY_LICENSES.md, the CRD and the chart's generated files anew
	@$(PY) scripts/generate_docs.py
	@.venv/bin/timbre-operator crd >crds/voiceservices.yaml
	@$(PY) -m scripts.generate_chart

clean: ## remove what make made
	@[ ! -d .cluster ] || scripts/cluster.sh down --wipe
	@rm -rf .venv .venv-torch demo-out bench-out e2e-out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
