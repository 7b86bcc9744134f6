# Needs python3 (>= 3.11), git and make; everything else is installed into .venv/ from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY ?= true
export RAY_USAGE_STATS_ENABLED ?= 0
export DVC_NO_ANALYTICS ?= 1
PORT ?= 5000

.DEFAULT_GOAL := help
.PHONY: help env repro test check ui edge wheel lock clean

help:  ## say what each target does
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' | column -t -s '|' 2>/dev/null \
	  || grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST)

repro: env  ## run the pipeline: images in, models, leaderboard and reports/report.html out
	@python -m neocog.orchestration.dangling_links
	@neocog repro

test: env  ## run all tests, the fast ones first, the slow ones in any case
	@begun=$$(date +%s); python -m pytest -m "not slow" -n 2 && fast=passed || fast=failed; \
	middle=$$(date +%s); python -m pytest -m slow -n 3 --dist loadfile --no-loadscope-reorder && slow=passed || slow=failed; \
	echo "fast tests: $$fast in $$((middle - begun)) s; slow tests: $$slow in $$(($$(date +%s) - middle)) s"; \
	test $$fast$$slow = passedpassed

check: env  ## lint, format check, types, import arrows
	ruff check . && ruff format --check . && mypy && lint-imports

ui: env  ## open the MLflow UI of the default store on http://127.0.0.1:5000 (PORT=...), and say where it shows the runs
	@python -m neocog.tracking.ui $(PORT)
	mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port $(PORT) --workers 1

edge: env  ## add the runtimes that `neocog export` writes for: ExecuTorch and OpenVINO
	uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements-edge.lock

wheel: env  ## write dist/neocog-<version>-py3-none-any.whl, for projects of your own (docs/projects.md)
	rm -rf build dist
	uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir dist

lock: env  ## write requirements.lock and requirements-edge.lock anew from pyproject.toml
	uv pip compile --quiet --universal --generate-hashes --no-header --extra dev pyproject.toml -o requirements.lock
	cp requirements.lock requirements-edge.lock  # the same versions, wherever the extras allow them
	uv pip compile --quiet --universal --generate-hashes --no-header --extra dev --extra executorch --extra openvino pyproject.toml -o requirements-edge.lock

clean:  ## remove working checkpoints, caches and unsent logs; keeps data, models, reports and mlflow.db
	rm -rf .neocog .pytest_cache .mypy_cache .ruff_cache .hypothesis dvc_plots
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

env: .venv/.locked

.venv/.locked: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "neocog needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "python3 cannot make environments; on Debian: apt-get install python3-venv"; exit 2; }
	@sed -n '/^uv==/,/^[^ ]/p' requirements.lock | sed '$$d' > .venv/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r .venv/uv.lock
	@echo "Installing the locked environment (about 7 GB, once) ..."
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
