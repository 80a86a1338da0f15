# Two commands do all set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# With it each start of `deploy` compiles torch anew, which takes longer than most tests do.
unexport PYTHONDONTWRITEBYTECODE
BOARD_PACKAGES := mmdebstrap qemu-system-arm e2fsprogs openssh-server openssh-client openssl qemu-utils adb g++-aarch64-linux-gnu

.PHONY: demo test test-all lint docs docs-check lab clean

# A sixth of the default's steps: minutes less, and no accuracy on this example.
demo: .venv/demo  ## install, then deploy the bundled example to this machine
	$(BIN)/deploy --target host --set recovery.steps=60

# Two processes, of one thread each: what tests wait for, the other goes on with. A file's tests share what they made.
IN_TWO := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile
# Any selection of tests by their marks, for `make test-all`.
SELECT ?= unit or loop or native or board
# How pytest ends where it selects no test.
NONE := 5

test: .venv/dev  ## install, then run what needs nothing but Python: a quarter of an hour on two cores
	$(IN_TWO) -m "(unit or loop) and not slow"

# The longest files lie first: what is left at the end is short, and neither process waits long for the other.
test-all: .venv/all  ## the other tests too: compiled ones, boards, slow ones; what a machine lacks skips and says so
	$(IN_TWO) --no-loadscope-reorder -m "$(SELECT)" device_tests tests || [ $$? -eq $(NONE) ]

lint: .venv/dev  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/dev  ## write docs/cli.md and docs/results.md from what they describe
	$(BIN)/python docs/generate.py

docs-check: .venv/dev  ## fail where one of them is stale
	$(BIN)/python docs/generate.py --check

lab: .venv/demo  ## Debian packages for the emulated board (as root), then boot it
	command -v qemu-system-aarch64 mmdebstrap mke2fs >/dev/null || apt-get install -y --no-install-recommends $(BOARD_PACKAGES)
	$(BIN)/deploy lab up emulated-pi

clean:
	rm -rf .venv

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

# Python compiles what is imported; to compile all that is installed takes half of the installation.
.venv/demo: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --no-compile -c constraints.txt -e .
	touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --no-compile -c constraints.txt -e '.[dev]'
	touch $@ .venv/demo

.venv/all: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --no-compile -c constraints.txt -e '.[executorch,text,dev]'
	touch $@ .venv/dev .venv/demo
