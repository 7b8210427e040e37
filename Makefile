# Everything is installed into .venv. A machine must have Rust (with a C linker) and Python >= 3.10;
# `make demo` and `make test` are all a newcomer needs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
# fast: built in a fraction of the time, close to release in speed. release: what a wheel holds.
PROFILE ?= fast
VENV := .venv
BIN := $(VENV)/bin
RUST_SOURCES := Cargo.toml Cargo.lock pyproject.toml $(shell find src -name '*.rs')

export PATH := $(HOME)/.cargo/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
# Debian packages are fetched only where that needs no password.
APT := $(shell if [ "$$(id -u)" = 0 ]; then echo apt-get; else echo sudo -n apt-get; fi)

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: develop data ## train the Fashion-MNIST network with and without dropout; picture in demo/
	$(BIN)/python examples/fashion_mnist.py $(ARGS)

# Without the package, the download of dropfast.datasets remains.
.PHONY: data
data:
	@[ -d /usr/share/datasets/fashion-mnist ] || [ -n "$${DROPFAST_DATA:-}" ] || \
	  { $(APT) update && $(APT) install -y dataset-fashion-mnist; } || true

.PHONY: test
test: develop ## all tests: Rust, then Python
	cargo test --quiet
	$(BIN)/pytest $(ARGS)
	@echo "Left out: the adapters to scikit-learn and PyTorch where these are not installed; make test-adapters runs them."

# Adapters need their peers: scikit-learn always, PyTorch (several GB with its GPU libraries) where it installs.
ADAPTER_TESTS := tests/adapters tests/converters tests/tabular $(wildcard tests/tabular python/dropfast/tabular) tests/docs/test_documents.py \
  python/dropfast/sklearn python/dropfast/torch

.PHONY: test-adapters
test-adapters: develop $(VENV)/.sklearn $(VENV)/.torch ## tests of the adapters, with scikit-learn and PyTorch (several GB)
	$(BIN)/pytest $(ADAPTER_TESTS) $(ARGS)

$(VENV)/.sklearn: $(VENV)/.tools
	$(BIN)/python -m pip install --quiet --group sklearn
	touch $@

$(VENV)/.torch: $(VENV)/.tools
	$(BIN)/python -m pip install --quiet --group torch && touch $@ || \
	  echo 'PyTorch does not install here: its tests are skipped' >&2

# mpi4py needs an MPI: Debian's Open MPI, fetched where that needs no password.
.PHONY: test-distributed
test-distributed: develop $(VENV)/.distributed ## tests over MPI, dask, joblib and Ray (installs them)
	$(BIN)/pytest tests/distributed $(ARGS)

$(VENV)/.distributed: $(VENV)/.tools
	command -v mpirun >/dev/null || { $(APT) update && $(APT) install -y openmpi-bin libopenmpi-dev; }
	$(BIN)/python -m pip install --quiet --group distributed
	$(BIN)/python -m pip install --quiet --group ray || echo 'Ray does not install here: its tests are skipped' >&2
	touch $@

.PHONY: test-arm
test-arm: ## tests of 64-bit Arm under an emulator (Debian; fetches what it needs)
	PYTHON=$(PYTHON) .ci/test_arm $(ARGS)

.PHONY: develop
develop: $(VENV)/.built-$(PROFILE) ## build and install into .venv, with all tools (PROFILE=release: as in a wheel)

$(VENV)/.built-$(PROFILE): $(VENV)/.tools $(RUST_SOURCES)
	rm -f $(VENV)/.built-*
	$(BIN)/maturin develop --profile $(PROFILE)
	touch $@

$(VENV)/.tools: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

$(BIN)/python:
	scripts/bootstrap $(PYTHON)
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

.PHONY: lint
lint: develop ## formatting, clippy, ruff, types, stub of the native module
	cargo fmt --check
	cargo clippy --quiet --all-targets --all-features -- -D warnings
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	MYPYPATH=python $(BIN)/stubtest --mypy-config-file pyproject.toml dropfast._core

.PHONY: api-docs
api-docs: ## documentation of the crate; warnings are errors
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --quiet --no-deps --document-private-items --features python

.PHONY: format
format: $(VENV)/.tools ## format Rust and Python, mend what ruff can mend
	cargo fmt
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: wheel
wheel: $(VENV)/.tools ## build the release wheel for this kind of machine into dist/ and check it
	TARGETS=$$(rustc -vV | sed -n 's/^host: //p') .ci/wheels

.PHONY: wheels
wheels: $(VENV)/.tools ## the same for all Linux systems that have one
	.ci/wheels

# Figures are of what a wheel holds.
.PHONY: bench
bench: ## run the benchmarks and print their tables
	$(MAKE) develop PROFILE=release
	$(BIN)/python benches/report.py $(ARGS)

# On a quiet machine, with all peers installed in .venv. QUICK=1: two minutes instead of twenty.
.PHONY: records
records: ## measure, and write the tables of README and docs/performance.md
	$(MAKE) develop PROFILE=release
	$(BIN)/python -m dropfast.bench $(if $(QUICK),--quick) --json benches/records/$(if $(QUICK),quick,full).json
	$(BIN)/python benches/write_tables.py

.PHONY: docs
docs: develop ## draw the pictures of docs/ again
	$(BIN)/python docs/make_pictures.py $(ARGS)

.PHONY: site
site: develop $(VENV)/.site ## build the documentation site into target/site; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict $(ARGS)

$(VENV)/.site: $(VENV)/.tools
	$(BIN)/python -m pip install --quiet --group site
	touch $@

.PHONY: statistics
statistics: develop ## feed the random stream to the dieharder battery
	@command -v dieharder >/dev/null || { $(APT) update && $(APT) install -y dieharder; }
	$(BIN)/python tests/statistics/battery.py $(ARGS)

SECONDS ?= 600

.PHONY: soak
soak: develop ## a hundredfold of the property tests' cases, then spoiled input for SECONDS (600)
	DROPFAST_SOAK=100 $(BIN)/pytest -p no:cacheprovider tests/equivalence tests/api/test_promises.py \
	  tests/api/test_saving.py tests/api/test_fuzz.py $(ARGS)
	$(BIN)/python tests/helpers/fuzz.py --seconds $(SECONDS)

.PHONY: clean
clean: ## delete everything that was built
	cargo clean
	rm -rf $(VENV) dist demo .pytest_cache .ruff_cache .mypy_cache .hypothesis .benchmarks
	find python -name '*.so' -delete
