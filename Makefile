# Every word sets up what it needs; `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TRAINING := $(VENV)/.training
PYTEST_ARGS ?=
EVENTS ?=
REVIEWS ?=
PRODUCTS ?=
TRAIN_ARGS ?=
OUT ?= results.json

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench bench-quick chaos fuzz rollout train gpu-models gpu-check schemas clean

help: ## list these words
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## the virtual environment with Tidemark in it

$(READY): pyproject.toml uv.lock hatch_build.py $(wildcard stream/*/*.pxi stream/*/*.pyx)
	@command -v $(PYTHON) >/dev/null || { echo "tidemark: install Python 3.11, 3.12 or 3.13, or say make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "tidemark: $(PYTHON) is not Python 3.11 to 3.13: install one, or say make PYTHON=python3.12"; exit 1; }
	@command -v mvn >/dev/null || { echo "tidemark: install Maven (Debian: apt-get install maven; macOS: brew install maven)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "tidemark: $(PYTHON) lacks venv (Debian: apt-get install python3-venv)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/python -m uv sync --quiet --frozen --inexact --extra dev
	@touch $@

# The parts that train take 5 GB, so only the words that need them bring them.
$(TRAINING): $(READY)
	$(BIN)/python -m uv sync --quiet --frozen --inexact --extra dev --extra train
	@touch $@

demo: $(READY) ## eighteen months of a shop through Kafka and Triton into alerts
	@$(BIN)/tidemark demo

test: $(TRAINING) ## every test, on a real Kafka and a real Triton
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(READY) ## ruff, mypy --strict, import-linter, generated documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m stream.contracts.schemas docs --check

format: $(READY) ## put the code in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## every figure of docs/benchmarks.md, peers beside it, three hours: make bench [OUT=FILE]
	$(BIN)/python -m benchmarks.suite --out $(OUT)

bench-quick: $(READY) ## three minutes: has Tidemark become slow? make bench-quick [OUT=FILE]
	$(BIN)/python -m benchmarks.suite --quick --out $(OUT)

chaos: $(TRAINING) ## faults of every kind for SECONDS (180), and an oracle
	@$(BIN)/python -m tests.chaos --seconds $(or $(SECONDS),180) --brokers $(or $(BROKERS),1) \
		--report $(or $(REPORT),chaos-report.md) $(if $(SEED),--seed $(SEED))

fuzz: $(READY) ## search for bytes on which decoding or folding fails: make fuzz SECONDS=600
	@$(BIN)/python -m tests.fuzz $(or $(SECONDS),600)

rollout: $(TRAINING) ## ten roll-outs of a model and ten ways back under 2,000 events a second
	ROLLOUT_RATE=2000 ROLLOUT_SWITCHES=20 ROLLOUT_KEPT_MS=10000 $(BIN)/python -m pytest tests/end_to_end/test_rollout.py -s -k load

train: $(TRAINING) ## train the customer model again, half an hour: make train EVENTS=FILE [TRAIN_ARGS=...]
	@test -n "$(EVENTS)" || { printf '%s\n' \
		"tidemark: make train needs the events to learn from: make train EVENTS=FILE" \
		"  FILE holds canonical events (README, Events), seven months at least, better two years." \
		"  The shipped model's: Online Retail II, https://doi.org/10.24432/C5CG6D (CC BY 4.0), saved as parquet" \
		"  (invoice, stock_code, description, quantity, invoice_time, price, customer_id, country), and then" \
		"    $(BIN)/tidemark convert online-retail online_retail_ii.parquet online_retail_ii.jsonl.gz" \
		"  From your own events topic: $(BIN)/tidemark retrain"; exit 2; }
	$(BIN)/tidemark train $(EVENTS) $(TRAIN_ARGS)

train-text: $(TRAINING) ## train the text encoder again, hours without a GPU: make train-text REVIEWS=FILE PRODUCTS=FILE
	@test -n "$(REVIEWS)" -a -n "$(PRODUCTS)" || { printf '%s\n' \
		"tidemark: make train-text needs texts to learn from: make train-text REVIEWS=FILE PRODUCTS=FILE" \
		"  REVIEWS: parquet with title, review_text, rating, recommended; PRODUCTS: parquet with description." \
		"  Where the shipped encoder's come from stands in triton_models/text_encoder/1/card.json."; exit 2; }
	$(BIN)/python -m serving.text.train --reviews $(REVIEWS) --products $(PRODUCTS) $(TRAIN_ARGS)

gpu-models: $(TRAINING) ## the fp16 graphs that the gpu profile of triton_models names
	$(BIN)/python -m stream.operations.prepare_gpu

gpu-check: $(TRAINING) ## the gpu profile on this machine's GPU: parity, copies, memory, speed
	$(BIN)/python -m benchmarks.gpu_check

schemas: $(READY) ## write docs/schemas and docs/asyncapi.json from the code
	$(BIN)/python -m stream.contracts.schemas docs

clean: ## remove the virtual environment and caches of this folder
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
