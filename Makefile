# MNIST in 6,456 parameters. `make` alone lists the targets.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
ADDRESSED := README.md MNIST_6k.ipynb CITATION.cff
export OWNER NAME

.DEFAULT_GOAL := help
.PHONY: help install run test verify variations lint save report deploy lock repo clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "make exp-NAME     Run an experiment, with options in ARGS. NAME is one of:"
	@echo "                 " $$(grep -l __main__ experiments/*.py | sed 's|.*/||; s|\.py$$||; /^report$$/d')
install: .venv/installed ## Create .venv with the locked packages (about 6.6 GB, most of it PyTorch)
.venv/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "This needs Python 3.11 or newer. If it has another name: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@
run: .venv/installed ## Train: execute the notebook (15 epochs) and save it as build/MNIST_6k.html
	@$(BIN)/python -m tools.run_notebook run
test: .venv/installed ## Run all tests, then the notebook (15 epochs) with nbval
	$(BIN)/python -m pytest; tests=$$?; \
	$(BIN)/python -m pytest --nbval-lax --nbval-current-env MNIST_6k.ipynb && exit $$tests
verify: .venv/installed ## Check parameters, layers, data and the accuracy of the committed weights in ten seconds
	@$(BIN)/python -m tools.verify
variations: .venv/installed ## Run the numeric tests with other thread counts and other processors' instructions
	@failed=0; for settings in OMP_NUM_THREADS=1 OMP_NUM_THREADS=2 OMP_NUM_THREADS=4 ATEN_CPU_CAPABILITY=avx2 \
		"ATEN_CPU_CAPABILITY=default DNNL_MAX_CPU_ISA=SSE41"; do echo "=== $$settings"; \
		env OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $$settings \
			$(BIN)/python -m pytest -q -m "numeric and not browser" || failed=1; \
	done; exit $$failed
lint: .venv/installed ## Check style and format, notebook included
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
save: .venv/installed ## Execute the notebook in place (15 epochs); renews mnist_6k.pt and an image
	@$(BIN)/python -m tools.run_notebook save
report: .venv/installed ## Write the tables in the READMEs and the notebook from experiments/results
	$(BIN)/python -m experiments.report
exp-%: .venv/installed
	$(BIN)/python -m experiments.$* $(ARGS)
deploy: .venv/installed ## Build mnist_6k.onnx and web/draw.html from mnist_6k.pt
	$(BIN)/python -m tools.export_onnx
	$(BIN)/python -m web.build
lock: .venv/installed ## Compile requirements.lock from requirements.txt, keeping versions that still fit
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" requirements.txt --group dev -o requirements.lock
repo: ## Write your repository's address into README, notebook and CITATION.cff: make repo OWNER=you NAME=mnist-6k
	@old=$$(sed -n 's|.*REPOSITORY = .*github\.com/\([^/]*/[^\\]*\).*|\1|p' MNIST_6k.ipynb); \
	for file in $(ADDRESSED); do grep -qs "github.com/$${old:-?}" $$file || \
		{ echo "The present address, github.com/$$old, was not found in $$file. Nothing was changed." >&2; exit 1; }; \
	done; old_owner=$${old%/*}; old_name=$${old#*/}; name=$${NAME:-$$old_name}; \
	case "$$OWNER/$$name" in -* | /* | */*/* | *[!A-Za-z0-9._/-]*) \
		echo "'$$OWNER/$$name' is not the address of a repository. Use: make repo OWNER=you" >&2; exit 1;; esac; \
	sed -i.bak -e "s|/$$old|/$$OWNER/$$name|g; s|cd $$old_name|cd $$name|g" \
		-e "s|$$old_owner\.github\.io/$$old_name|$$OWNER.github.io/$$name|g" \
		-e "s|](web/draw.html)|](https://$$OWNER.github.io/$$name/)|g" -e 's|<!-- published: \(.*\) -->|\1|' \
		$(ADDRESSED) && rm $(ADDRESSED:=.bak) && echo "$(ADDRESSED) now point to github.com/$$OWNER/$$name. Turn on Settings, Pages, Source: GitHub Actions"
clean: ## Remove .venv, build and caches
	rm -rf .venv build .pytest_cache .ruff_cache
