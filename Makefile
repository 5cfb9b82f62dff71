# trace-server. On a fresh machine `make run` and `make test` do all the set-up themselves.

CARGO ?= cargo
FUZZ_SECONDS ?= 20
SERVE := tests/mlflow/serve.py
SAMPLES := target/mlflow/samples
STATIC := target/static

.DEFAULT_GOAL := help
.PHONY: help run run-mlflow test checked tried-static clients lint deny schema fuzz bench soak documents static databricks-bundle

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## serve MLFLOW_TRACKING_URI, or a demo where it is not set: needs no MLflow and no Python
	$(CARGO) build --release --locked --package trace-server
	target/release/trace-server $(if $(MLFLOW_TRACKING_URI),,demo)

run-mlflow: ## serve a real MLflow server with sample traces
	$(CARGO) build --release --locked --package trace-server
	DATABASE_URL=$${DATABASE_URL:-sqlite://$(SAMPLES)/reviews.db} \
	    $(SERVE) --data $(SAMPLES) -- tests/run.py target/release/trace-server

test: ## lint, then all tests against real servers: MLflow, new, old and on PostgreSQL; then fuzz
	tests/debian.py nginx=nginx-light prometheus=prometheus node=nodejs npm=npm
	tests/debian.py musl-gcc=musl-tools || true
	$(MAKE) --no-print-directory --jobs=2 tried-static checked
	TRACE_SERVER_STATIC=$$(cat $(STATIC).path) tests/postgres/serve.py -- $(SERVE) -- $(SERVE) --version 2.22.1 --env-prefix MLFLOW2 -- \
	    $(SERVE) --store TEST_POSTGRES_URL --env-prefix MLFLOWPG --workers 1 -- tests/run_tests.sh
	$(MAKE) --no-print-directory fuzz

# What asks no MLflow, and what tests stand on.
checked: lint deny
	$(CARGO) build --locked --workspace
	tests/clients/run.py target/debug/trace-server
	tests/mlflow/setup.sh 3.17.2 && tests/mlflow/setup.sh 2.22.1

# Beside all of that: its long link keeps one processor busy. Where a machine cannot build it (3), the tests of it say so.
tried-static:
	@mkdir -p target
	deploy/static.sh >$(STATIC).path 2>$(STATIC).log || { status=$$?; tail -n 30 $(STATIC).log; [ $$status = 3 ]; }

clients: ## lint the OpenAPI document, check and run the clients that are made from it
	$(CARGO) build --locked --package trace-server
	tests/debian.py node=nodejs npm=npm
	tests/clients/run.py target/debug/trace-server

schema: ## fuzz every route from the OpenAPI document; SCHEMA_EXAMPLES=200 SCHEMA_SEED=7 for more and others
	$(CARGO) build --locked --package trace-server
	$(SERVE) -- tests/schema/run.py target/debug/trace-server

lint: ## formatting, clippy, documentation and its links
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet
	tests/links.py

deny: ## licenses, sources, bans and known holes of what we are built from
	tests/deny.sh

fuzz: ## look for input that is not read as it must be, FUZZ_SECONDS for each kind of it
	fuzz/run.py --seconds $(FUZZ_SECONDS)

bench: ## measure us beside MLflow, nginx and the old backend in one run; writes docs/benchmarks.md
	$(CARGO) build --release --locked --package trace-server
	$(SERVE) -- tests/bench/run.py target/release/trace-server --report docs/benchmarks.md

soak: ## load it for SOAK_MINUTES (10) while MLflow fails every 20 s, hold every answer against what is true; writes docs/soak.md
	$(CARGO) build --release --locked --package trace-server
	$(SERVE) -- tests/soak/run.py target/release/trace-server --report docs/soak.md

static: ## build the binary that needs nothing beside it: x86-64, musl
	deploy/static.sh

databricks-bundle: ## make target/databricks, ready to be uploaded; FRONTEND=FOLDER and DEVELOPERS=a@example.com,… go with it
	binary=$$(deploy/static.sh) && deploy/databricks/bundle.sh "$$binary" target/databricks "$(FRONTEND)"

documents: ## write openapi/openapi.json and docs/configuration.md anew, from the code
	$(CARGO) build --locked --quiet --package trace-server
	target/debug/trace-server openapi > openapi/openapi.json
	target/debug/trace-server settings > docs/configuration.md
