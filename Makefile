# Two commands are enough on a fresh machine: `make run` opens the app, `make test` runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 8501

.PHONY: run test test-full test-network test-gpu soak lint bench clean

run: $(VENV)/run  ## install what the app needs, and open it; on DEVICE=cuda:1, say, where there is a choice
	$(BIN)/streamlit run app.py --server.port $(PORT) -- --local-folders $(if $(DEVICE),--device $(DEVICE))

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

lint: $(VENV)/dev  ## style, imports and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/bench  ## speed as ratios: beside the documentation's way of reading, transformers, ONNX Runtime, OpenVINO, `pipeline`
	$(BIN)/python -m benchmarks.rivals
	$(BIN)/python -m benchmarks.rivals --model vivit-mannequin --clips 28
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.timeline
	$(BIN)/python -m benchmarks.evaluate

clean:
	rm -rf $(VENV)

$(VENV)/run: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -r requirements.txt
	touch $@

$(VENV)/dev: requirements.txt requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -r requirements.txt
	$(BIN)/python -m pip install -q -r requirements-dev.txt
	command -v chromium chromium-browser google-chrome >/dev/null || $(BIN)/playwright install chromium
	touch $@ $(VENV)/run

$(VENV)/bench: $(VENV)/dev benchmarks/requirements.txt
	$(BIN)/python -m pip install -q -r benchmarks/requirements.txt
	touch $@
