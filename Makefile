# Two commands are enough on a fresh machine: `make run` opens the app, `make test` runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 8501
INSTALL = $(BIN)/python -m pip install -q -c constraints.txt

.PHONY: help run check format lint test test-full test-network test-gpu soak bench constraints clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(VENV)/run  ## install what the app needs, and open it; PORT=8600, and DEVICE=cuda:1, say, where there is a choice
	$(BIN)/streamlit run app.py --server.port $(PORT) -- --local-folders $(if $(DEVICE),--device $(DEVICE))

check: lint  ## while you work: style, types and the fast tests
	$(BIN)/python -m pytest -q -x @tests/quick.txt

format: $(VENV)/dev  ## sort imports and lay the code out
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: $(VENV)/dev  ## style, imports and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(VENV)/dev  ## install what the tests need, and run them
	$(BIN)/python -m pytest

test-full: $(VENV)/dev  ## every test that needs neither network nor GPU, the slow ones too
	$(BIN)/python -m pytest -m "not network and not gpu"

test-network: $(VENV)/dev  ## the published checkpoint and clips, from the Hugging Face Hub
	$(BIN)/python -m pytest -m network

test-gpu: $(VENV)/dev  ## what only an NVIDIA GPU can show
	$(BIN)/python -m pytest -m gpu tests/gpu

soak: $(VENV)/dev  ## eight visitors at a time for five minutes: what was done, how long it took, what is left over
	$(BIN)/python -m benchmarks.soak

bench: $(VENV)/bench  ## speed as ratios: beside the documentation's way of reading, transformers, ONNX Runtime, OpenVINO, `pipeline`
	$(BIN)/python -m benchmarks.rivals
	$(BIN)/python -m benchmarks.rivals --model vivit-mannequin --clips 28
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.timeline
	$(BIN)/python -m benchmarks.evaluate

constraints: $(VENV)/dev  ## renew constraints.txt: the newest versions of everything that the requirements allow
	$(INSTALL) uv==0.13.9
	$(BIN)/uv pip compile --universal --python-version 3.11 --upgrade --no-annotate -q \
		--custom-compile-command "make constraints" requirements-dev.txt -o constraints.txt

clean:  ## remove what was installed
	rm -rf $(VENV)

$(VENV)/run: requirements.txt constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -r requirements.txt
	touch $@

$(VENV)/dev: requirements.txt requirements-dev.txt constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -r requirements.txt
	$(INSTALL) -r requirements-dev.txt
	command -v chromium chromium-browser google-chrome >/dev/null || $(BIN)/playwright install chromium
	touch $@ $(VENV)/run

$(VENV)/bench: $(VENV)/dev benchmarks/requirements.txt
	$(BIN)/python -m pip install -q -r benchmarks/requirements.txt
	touch $@
