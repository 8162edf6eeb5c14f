# Each target is a few lines that can also be typed by hand.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test lint bench clean

setup: .venv/installed                ## the environment, with everything in it

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[all,dev]'
	touch $@

demo: setup                           ## photos to a verified int8 file and a report, in minutes
	$(BIN)/edgecnn demo

lint: setup                           ## style, types, walls between rooms, fresh reference
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/reference.py --check
	$(BIN)/python tools/zoo_page.py --check

test: lint                            ## all checks and all tests
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses auto --dist loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

FILES ?= $(wildcard demo/files/*.tflite demo/files/*.onnx)
bench: setup                          ## FILES (the demo's) in our benchmark, a bare loop, litert-benchmark
	$(BIN)/python tools/bench_against_peers.py $(FILES)

clean:                                ## all that was made here
	rm -rf .venv build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
