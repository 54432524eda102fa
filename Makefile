# A thin face of `python -m helpers`. Every target sets up what it needs: a virtual environment in .venv with the exact
# versions of requirements.lock. `make run ARGS="changes=500 seed=7"` passes words on.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: run lab test bench notebooks site slides reference lock clean

run lab test bench notebooks site slides clean: $(VENV)/ready
	$(BIN)/python -m helpers $@ $(ARGS)

# helpers/localaws/README.md, from the code and the tests.
reference: $(VENV)/ready
	$(BIN)/python -m tests.localaws.reference

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# Only for those who change dependencies: the lock for every supported Python and system. Needs uv.
lock:
	uv pip compile --universal --python-version 3.11 pyproject.toml --group test --no-header --no-annotate \
		--no-emit-index-url --upgrade --quiet --output-file requirements.lock
