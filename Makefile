# trace-server. `make run` and `make test` do all the set-up on a fresh machine.

CARGO ?= cargo
MLFLOW := tests/mlflow/serve.py
SEEDED := $(MLFLOW) --data target/mlflow/data --

.DEFAULT_GOAL := help
.PHONY: help run test check bench openapi fmt

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## serve: a real MLflow with sample traces, or the one of MLFLOW_TRACKING_URI
	$(CARGO) build --release --locked --package trace-server
	$(if $(MLFLOW_TRACKING_URI),,$(SEEDED)) tests/run.sh target/release/trace-server
