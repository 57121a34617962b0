# The two commands of README set everything up by themselves: a virtual environment in .venv, then the work.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
# Compiled files are kept even where the environment says not to: every kernel and command would compile anew.
export PYTHONDONTWRITEBYTECODE :=
# A worker runs whole files, one thread each.
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# pip would compile all that is installed, one file after the other; Python compiles what it uses.
PIP := $(BIN)/pip install --progress-bar off --no-compile --prefer-binary

.PHONY: reproduce test test-kills test-suites mutants lab clean

reproduce: .venv/main
	$(BIN)/selfie reproduce

test: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(PYTEST)

# What takes minutes and shows little more than `make test`.
test-kills: .venv/test
	$(PYTEST) -n 0 -m kills

test-suites: .venv/test
	$(PYTEST) -m suites

# Slips that no test notices: make mutants MODULE=labels, or make mutants SAMPLE=150 for some of all modules.
MODULE ?=
SAMPLE ?= $(if $(MODULE),0,150)
SEED ?= 0
mutants: .venv/test
	$(BIN)/python tests/mutants.py $(MODULE) --sample $(SAMPLE) --seed $(SEED)

# At the project's root, so that figures, docs and runs can be reached too, with the list of notebooks in view.
lab: .venv/main
	$(BIN)/jupyter lab --notebook-dir=. --LabApp.default_url=/lab/tree/notebooks

clean:
	rm -rf .venv runs .mutants

# A stamp file a set-up, made last, so that an interrupted installation starts again.
.venv/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	touch $@

.venv/main: .venv/python pyproject.toml
	$(PIP) -e .
	touch $@

# What the tests need holds all that the notebooks need: one call of pip for both.
.venv/test: .venv/python pyproject.toml
	$(PIP) -e '.[test]'
# Blender asks for NumPy 1, which would make the tests those of older packages; what we use of it works with 2.
	if $(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then \
		$(PIP) --no-deps bpy anny zstandard; fi
	touch .venv/main $@
