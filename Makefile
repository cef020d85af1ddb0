# Every target sets itself up: a fresh machine needs Python 3.11+, make and a package index, nothing else.
PYTHON ?= python3
# Which build of torch: auto takes the one without CUDA (200 MB instead of 2.7 GB) on Linux without an NVIDIA driver;
# cpu takes it in any case, default whatever the package index serves. Where its index cannot be reached within five
# seconds, the default build is installed.
TORCH ?= auto
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up

.PHONY: setup demo test lint docs bench clean

setup: $(STAMP)

$(STAMP): requirements.txt requirements-dev.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@if $(BIN)/python -c "import torch" 2>/dev/null; then true; \
	elif [ "$(TORCH)" = cpu ] || { [ "$(TORCH)" = auto ] && [ "$$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null; }; then \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --timeout 5 --retries 0 --no-deps \
			--index-url $(TORCH_INDEX) "$$(grep '^torch==' requirements.txt)" 2>/dev/null \
		&& echo "torch: the build for CPUs" || echo "torch: $(TORCH_INDEX) cannot be reached, so the default build"; \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $(STAMP)

test: setup  ## every test, on two processes, one torch thread each
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --durations=25 --durations-min=10

lint: setup  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup  ## the documentation site, in site/; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

bench: setup  ## one table: ours beside others', and where each figure is from
	$(BIN)/python -m benchmarks summary

demo: setup  ## the main job on real data that ships with a dependency
	$(BIN)/python -m tools.demo

clean:
	rm -rf $(VENV) site build .pytest_cache .mypy_cache .ruff_cache
