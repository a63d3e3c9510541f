# MNIST in 6,456 parameters. `make` alone prints what there is.

PYTHON ?= python3
BIN := .venv/bin
OWNER ?=
N ?= 40
CSV ?=

.DEFAULT_GOAL := help
.PHONY: help install run test verify variations lint save bench tricks floor gpu search seeds budget minutes ablation final strength elsewhere pictures numbers reliability deploy drawing lock repo clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/installed ## Make .venv and install the locked packages into it (about 6.6 GB, most of it torch)

.venv/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, and $(PYTHON) is older: try make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	@echo "Installing the locked packages into .venv, about 6.6 GB: this takes some minutes."
	@if [ -t 1 ]; then quiet=; else quiet=--quiet; fi; set -x; \
	$(BIN)/python -m pip install $$quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

run: .venv/installed ## Train: execute the notebook, 15 epochs, and save it as build/MNIST_6k.html
	$(BIN)/python tools/notebook.py build

test: .venv/installed ## Run every test, and the notebook, 15 epochs, with nbval; fail where either does
	$(BIN)/python -m pytest; tests=$$?; \
	MNIST_RUN=test $(BIN)/python -m pytest --nbval-lax MNIST_6k.ipynb; notebook=$$?; \
	exit $$((tests | notebook))

verify: .venv/installed ## Check parameters, layer table, data and the accuracy of the committed weights, in some ten seconds
	@$(BIN)/python -m tools.verify

variations: .venv/installed ## Run the quick tests as on other processors and with other numbers of threads
	$(BIN)/python -m tools.variations

lint: .venv/installed ## Check style and format, notebook included
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

save: .venv/installed ## Execute the notebook in place, 15 epochs, as it is to be committed
	$(BIN)/python tools/notebook.py save
	$(BIN)/ruff check MNIST_6k.ipynb

bench: .venv/installed ## Time our training against the DataLoader baseline, in turns (about a quarter of an hour)
	$(BIN)/python -m experiments.speed

tricks: .venv/installed ## Time the training step with each speed-up of the CPU taken away
	$(BIN)/python -m experiments.tricks

floor: .venv/installed ## Work out how fast a training step could be on this processor at best
	$(BIN)/python -m experiments.floor

gpu: .venv/installed ## Time the training step with each speed-up of the GPU taken away, where there is one
	$(BIN)/python -m experiments.gpu

search: .venv/installed ## Train every candidate recipe on 50,000 images and judge it on 10,000 held-out ones
	$(BIN)/python -m experiments.search

seeds: .venv/installed ## Train the recipe from N seeds, those that are not there yet: make seeds N=40
	$(BIN)/python -m experiments.seeds --seeds $(N) $(if $(CSV),--csv $(CSV))

budget: .venv/installed ## Train the recipe in cycles of 3 to 30 epochs, ten seeds each
	$(BIN)/python -m experiments.budget

minutes: .venv/installed ## Time both ways to 99.4 %, ours and the DataLoader baseline's, each in its shortest cycle
	$(BIN)/python -m experiments.minutes

ablation: .venv/installed ## Take the recipe apart, from plain SGD to the whole, one change at a time
	$(BIN)/python -m experiments.ablation

final: .venv/installed ## Train the recipe without each of its pieces, on held-out images, by the protocol
	$(BIN)/python -m experiments.final

strength: .venv/installed ## Choose how strong the augmentation is, on held-out images
	$(BIN)/python -m experiments.strength

elsewhere: .venv/installed ## Have the network classify digits that are not from MNIST
	$(BIN)/python -m experiments.elsewhere

reliability: .venv/installed ## Compare how sure the network is with how often it is right
	$(BIN)/python -m experiments.reliability

numbers: .venv/installed ## Have the network read several digits at a time, written with MNIST's test images
	$(BIN)/python -m experiments.numbers

pictures: .venv/installed ## Count which photographs of a digit are read, refused, doubted (some ten minutes)
	$(BIN)/python -m experiments.shapes
	$(BIN)/python -m experiments.pictures

deploy: .venv/installed ## Build the ONNX model and the page to draw on from mnist_6k.pt, and time both (with Chromium)
	$(BIN)/python -m deploy.to_onnx
	$(BIN)/python -m deploy.page
	$(BIN)/python -m experiments.page

drawing: .venv/installed ## Draw the network's layers from model.py into images/network.svg
	$(BIN)/python -m tools.drawing

lock: .venv/installed ## Compile requirements.lock anew, keeping the versions that still fit
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" requirements.txt --group dev -o requirements.lock

repo: ## Write the public address into notebook and README: make repo OWNER=name
	@$(PYTHON) tools/repo.py "$(OWNER)"

clean: ## Remove what make and the tests made: .venv, build and caches
	rm -rf .venv build .pytest_cache .ruff_cache
