# make demo   from nothing to a fitted network of the shipped truss cell, with pictures in demo/
# make test   from nothing through the whole test suite
# make lint   ruff and mypy
.PHONY: setup demo test lint bench clean
BIN := .venv/bin
DATA := fe_examples/data
ALUMINIUM := $(DATA)/aluminium_j2.toml

setup: .venv/ready

.venv/ready: $(wildcard requirements/*) pyproject.toml
	@sh requirements/setup.sh

demo: .venv/ready
	@mkdir -p demo
	$(BIN)/matnet rve info $(DATA)/truss.npz --plot demo/truss.png --force
	$(BIN)/matnet fit --rve $(DATA)/truss.npz -o demo/truss.matnet --phases $(ALUMINIUM) --quick --force
	$(BIN)/matnet info demo/truss.matnet
	$(BIN)/matnet drive demo/truss.matnet --phases $(ALUMINIUM) --load uniaxial-11:0.02x40 \
	    -o demo/response.csv --plot demo/response.png --unit MPa --force
	$(BIN)/matnet verify demo/truss.matnet --rve $(DATA)/truss.npz --phases $(ALUMINIUM) \
	    --paths uniaxial-33:0.02x8 --paths shear-12:0.02x8 --paths cyclic-11:0.01x16 \
	    --plot demo/verify.png --unit MPa --write --force
	@echo "Written to demo/: truss.png, truss.matnet, truss.report.png, response.csv, response.png, verify.png"

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
