# make demo   from nothing to a fitted network of the shipped truss cell, with pictures in demo/
# make test   from nothing through the whole test suite
# make lint   ruff and mypy
.PHONY: setup demo test lint bench clean
BIN := .venv/bin
DATA := fe_examples/data

setup: .venv/ready

.venv/ready: requirements/dev.txt requirements/debian.txt requirements/setup.sh pyproject.toml
	@sh requirements/setup.sh

demo: .venv/ready
	@mkdir -p demo
	$(BIN)/matnet rve info $(DATA)/truss.npz --plot demo/truss.png --force
	$(BIN)/matnet fit --rve $(DATA)/truss.npz -o demo/truss.matnet --quick --force
	$(BIN)/matnet info demo/truss.matnet
	$(BIN)/matnet drive demo/truss.matnet --phases $(DATA)/aluminium.toml --load uniaxial-11:0.002x40 \
	    -o demo/response.csv --plot demo/response.png --force
	@echo "Written to demo/: truss.png, truss.matnet, truss.report.png, response.csv, response.png"

test: .venv/ready
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/ready
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv demo build *.egg-info
