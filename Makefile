# make train EXP=demo_vqa      every target makes .venv first; `make help` lists them

EXP ?=
POINT ?=
ARGS ?=
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUN := $(BIN)/vlrouting
FLOOR := .venv-floor
FLOOR_PIP := VIRTUAL_ENV=$(FLOOR) $(FLOOR)/bin/uv pip

SWEEP = $(if $(POINT),--point "$(POINT)") $(if $(LAUNCHER),--launcher $(LAUNCHER)) $(if $(NODES),--nodes $(NODES)) \
	$(if $(GPUS),--gpus $(GPUS)) $(if $(CLUSTER),--cluster $(CLUSTER)) $(if $(DRY_RUN),--dry-run)

.DEFAULT_GOAL := help
.PHONY: help install data list train sweep status cancel evaluate analyse compare report validate params doctor tensorboard test test-floor \
	test-gpu test-slurm test-documents lint format clean

help:  ## list the targets
	@echo "make TARGET [EXP=demo_vqa] [POINT=routing=mul] [ARGS=\"train.lr=1e-3 seed=7\"]"
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  \1|/' | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

$(READY): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not there; set PYTHON=… to a Python of 3.10 or newer"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

$(FLOOR)/pins.txt: pyproject.toml
	test -x $(FLOOR)/bin/python || $(PYTHON) -m venv $(FLOOR)
	$(FLOOR)/bin/python -m pip install --quiet uv
	$(FLOOR_PIP) compile --quiet --resolution lowest-direct --extra dev pyproject.toml --output-file $(FLOOR)/wanted.txt
	$(FLOOR_PIP) install --quiet --requirement $(FLOOR)/wanted.txt
	$(FLOOR_PIP) install --quiet --no-deps --editable .
	mv $(FLOOR)/wanted.txt $@

install: $(READY)  ## make .venv with everything in it
data: $(READY)  ## download DATASET=coco|vqav2|gqa|nlvr2 to data/, or to ROOT
	$(RUN) data fetch $(or $(DATASET),"") $(if $(ROOT),--root "$(ROOT)") $(ARGS)
list: $(READY)  ## the experiments; `make train` without EXP names them too
	$(RUN) list
train: $(READY)  ## train every point of EXP that is not complete, several at once, and compare
	$(RUN) sweep $(or $(EXP),"") $(ARGS) $(SWEEP)
sweep: $(READY)  ## the same elsewhere: LAUNCHER=slurm NODES=2 GPUS=4 CLUSTER=gpu DRY_RUN=1
	$(RUN) sweep $(or $(EXP),"") $(ARGS) $(SWEEP)
status: $(READY)  ## how far every point of EXP is
	$(RUN) status $(or $(EXP),"")
cancel: $(READY)  ## end what waits or runs of EXP
	$(RUN) cancel $(or $(EXP),"") $(if $(POINT),--point "$(POINT)")
evaluate: $(READY)  ## score the artifacts of EXP again
	$(RUN) evaluate $(or $(EXP),"") $(ARGS) $(if $(POINT),--point "$(POINT)")
analyse: $(READY)  ## what routing does in EXP, layer by layer
	$(RUN) analyse $(or $(EXP),"") $(ARGS) $(if $(POINT),--point "$(POINT)")
compare: $(READY)  ## verdicts, costs and plot of EXP, which may name several: EXP="a b"
	$(RUN) compare $(or $(EXP),"") $(ARGS)
report: $(READY)  ## one HTML file about the runs of EXP: verdict, plots, test examples
	$(RUN) report $(or $(EXP),"") $(ARGS)
validate: $(READY)  ## check EXP
	$(RUN) validate $(or $(EXP),"") $(ARGS)
params: $(READY)  ## trainable parameters of EXP by part, without weights and data
	$(RUN) params $(or $(EXP),"") $(ARGS)
doctor: $(READY)  ## look for what would stop a run of EXP, LAUNCHER=slurm before it is queued
	$(RUN) doctor $(or $(EXP),"") $(ARGS) $(if $(POINT),--point "$(POINT)") $(if $(LAUNCHER),--launcher $(LAUNCHER)) \
		$(if $(NODES),train.nodes=$(NODES)) $(if $(GPUS),train.devices=$(GPUS))
tensorboard: $(READY)  ## curves, HPARAMS and test images of EXP
	@test -d runs/$(EXP) || { echo "make: runs/$(EXP) is not there; run: make train EXP=$(EXP)"; exit 2; }
	$(BIN)/tensorboard --logdir runs/$(EXP)
test: $(READY)  ## all tests
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal
test-floor: $(FLOOR)/pins.txt  ## tests with the lowest versions that pyproject.toml allows, in .venv-floor (6 GB)
	$(FLOOR)/bin/python -m pytest -m "not slow and not gpu and not slurm and not documents"
test-gpu: $(READY)  ## tests on an NVIDIA GPU; without one they are skipped
	$(BIN)/python -m pytest -m gpu -rs
test-slurm: $(READY)  ## tests on a real SLURM cluster, which they start on this machine (as root, Debian or Ubuntu)
	$(BIN)/python -m pytest -m slurm tests/slurm
test-documents: $(READY)  ## tests of the report in a browser, and of the LaTeX table (as root, Debian or Ubuntu)
	bash tests/documents/install.sh
	$(BIN)/python -m pytest -m documents -rs tests/documents
lint: $(READY)  ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
format: $(READY)  ## let ruff format everything
	$(BIN)/ruff format .
clean:  ## remove .venv and caches; data and runs stay
	rm -rf $(VENV) $(FLOOR) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache build dist *.egg-info
