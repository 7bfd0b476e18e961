# Everything a person or CI does with this project. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help env up demo train serve dashboard mlflow lab test lint readme lock hooks clean test-tools test-long

# Company proxies bring certificates of their own; uv looks at the system's only when asked.
export UV_SYSTEM_CERTS := 1
# Neither MLflow nor ONNX Runtime reports to its maker, whatever is started from here, kernels too.
export MLFLOW_DISABLE_TELEMETRY := true
export ORT_DISABLE_TELEMETRY := 1
export PATH := $(CURDIR)/.venv/bin:$(PATH)
-include deploy/targets.mk docs.mk bench/targets.mk

# Nothing of this machine's Python may leak in.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

READY := .venv/.ready

# In a clone that was moved or renamed, the programs of .venv still name the old folder: it is made anew. A link is left alone.
ifneq ($(wildcard .venv/bin/iris-nb),)
ifeq ($(shell test -L .venv || head -n 3 .venv/bin/iris-nb | grep -cF '$(CURDIR)/.venv/'),0)
MOVED := $(shell rm -rf .venv)
endif
endif

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(READY) ## Make the environment in .venv, and nothing else.

up: $(READY) ## Train a model unless there is one, then start the service, the dashboard and MLflow's pages.
	@exec iris-nb up

demo: $(READY) ## The same with a lively hour in the log: traffic, a drift half-way, some true classes.
	@iris-nb train --unless-champion
	@iris-nb simulate --past 60 --rate 0.2 --drift any 1.3 --onset 0.6 --labels 0.3 --seed 2
	@iris-nb watch || true
	@exec iris-nb up

train: $(READY) ## Run the training notebook; a model that passes the gate becomes the champion.
	@exec iris-nb train

serve: $(READY) ## Start the REST service alone.
	@exec python -m serve

dashboard: $(READY) ## Start the monitoring dashboard alone.
	@exec iris-nb up dashboard

mlflow: $(READY) ## Start MLflow's pages alone.
	@exec iris-nb up mlflow

lab: $(READY) ## Open the notebooks in JupyterLab.
	@# Without this it asks whether it may bring news, and another server whether it is up to date.
	@mkdir -p .venv/etc/jupyter/labconfig
	@echo '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}' \
	  > .venv/etc/jupyter/labconfig/page_config.json
	@exec jupyter lab --LabApp.default_url=/lab/tree/nbs/start.ipynb

test: $(READY) lint ## The proof: lint, every lesson cell, every test (TESTS=… goes to pytest).
	@# Two processes share the cores: a library that starts a thread for each core in both only makes them wait.
	@echo "Running the lesson cells of every notebook…"
	@OMP_NUM_THREADS=1 nbdev-test --n-workers 2
	@OMP_NUM_THREADS=1 python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(TESTS)

test-long: $(READY) ## The tests that take minutes each: load, replacement and kills, many times over.
	@IRIS_LONG_TESTS=1 python -m pytest -m long

test-tools: $(READY) ## Get what some tests need and the environment has not: Chromium, PostgreSQL, Prometheus, kubectl.
	@python -m tests.tools

lint: $(READY) ## Check style and types.
	@ruff check .
	@ruff format --check serve tests bench deploy docs setup.py
	@mypy

README := README.md
readme: $(READY) ## Write README.md from nbs/index.ipynb.
	@jupyter nbconvert nbs/index.ipynb --to markdown --stdout --log-level ERROR \
	  --NbConvertBase.display_data_priority text/markdown --NbConvertBase.display_data_priority text/plain \
	  | awk '/^```/ {open = !open; if (open && $$0 == "```") $$0 = "```python"} 1' \
	  | sed -E 's#\]\((api|guides|pipeline|dashboard|images)/#](nbs/\1/#g; s#\]\(\.\./#](#g' | cat -s > $(README)

lock: $(READY) ## Lock every requirement of settings.ini again in constraints.txt.
	@.uv/bin/uv pip compile --quiet setup.py --all-extras --universal --python-version 3.11 --no-header --no-annotate \
	  --generate-hashes --override deploy/leave-out.txt --upgrade --refresh-package iris-nb --output-file constraints.txt
	@$(MAKE) --no-print-directory lock-images

hooks: $(READY) ## Install git hooks that keep notebooks clean, and show and merge them cell by cell.
	@nbdev-install-hooks
# git runs all three from the top of the working tree, and .venv/bin may not be on the PATH.
	@git config merge.jupyternotebook.driver '.venv/bin/nbdev-merge %O %A %B %P'
	@git config diff.jupyternotebook.command .venv/bin/nbdev-diff-driver
	@printf '#!/bin/sh\nexec .venv/bin/nbdev-trust\n' > "$$(git rev-parse --git-path hooks)/post-merge"

clean: ## Remove the environment, but not the trained models and the log in var/.
	rm -rf .venv .uv _docs _proc

# The newest Python there is, from 3.11 on.
PYTHON = $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# Whatever is installed is known by its hash, as in the images.
.uv/bin/uv:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found; install it and run make again."; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { echo "$(PYTHON) has no pip; install it (Debian: apt install python3-pip)."; exit 1; }
	@echo "Fetching uv, which installs the rest…"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-warn-script-location --root-user-action=ignore \
	  --target .uv --require-hashes --requirement deploy/lock/build.txt

$(READY): constraints.txt settings.ini setup.py | .uv/bin/uv
	@echo "Making .venv from constraints.txt (once, about a minute)…"
	@test -x .venv/bin/python || .uv/bin/uv venv --quiet --python $(PYTHON) .venv
	@.uv/bin/uv pip sync --python .venv/bin/python --compile-bytecode --require-hashes constraints.txt
	@.uv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --build-constraint deploy/lock/build.txt --editable .
	@touch $@
