# Commands for a newcomer on Linux with Python 3.10 to 3.13: `make demo`, `make training`, `make test`.
# All set up .venv by themselves and use it again until pyproject.toml changes.

PYTHON ?= python3
# What pip is given to install PyTorch; may hold options of pip, for a build that suits the machine.
TORCH ?= torch==2.13.0

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# What VTK, and in the tests Qt, need to draw pictures without a screen.
SYSTEM_PACKAGES := libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libxrender1 fonts-dejavu-core \
  libxkbcommon0 libfontconfig1 libglib2.0-0 libdbus-1-3

# What the tests of `ear app` look at it with.
BROWSER_PACKAGES := chromium chromium-driver

.DEFAULT_GOAL := help
.PHONY: help demo app training test lint system browser clean
.NOTPARALLEL:

help:
	@echo "make demo        rebuild a vertebra from the sample case's two X-rays, with pictures"
	@echo "make app         the same and more in a browser, on 3D Slicer's own scene and views"
	@echo "make training    set up what the commands prepare, train, evaluate and study need"
	@echo "make test        linters, types and all tests"
	@echo "make lint        linters and types only"
	@echo "make clean       remove .venv and every cache"
	@echo "Options: PYTHON=python3.12 (3.10 to 3.13), TORCH=\"what pip shall install as PyTorch\""

demo: system $(VENV)/.installed-demo
	@$(BIN)/ear demo
	@echo "To turn the spine, move boxes and open X-rays of your own in a browser: make app"

app: system $(VENV)/.installed-app
	@$(BIN)/ear app

training: system $(VENV)/.installed-training
	@echo "Ready: $(BIN)/ear prepare, train, evaluate, study. See README.md."

test: lint system browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile  # of three, one waits for a page or a child

lint: $(VENV)/.installed-test
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

$(VENV)/.installed-demo: $(VENV)/.installed-torch pyproject.toml
	@echo "Installing SlicerEAR into $(VENV)."
	@$(PIP) install -e .
	@touch $@

$(VENV)/.installed-app: $(VENV)/.installed-torch pyproject.toml
	@echo "Installing SlicerEAR and what its page needs into $(VENV)."
	@$(PIP) install -e ".[app]"
	@touch $@

$(VENV)/.installed-training: $(VENV)/.installed-torch pyproject.toml
	@echo "Installing SlicerEAR and its training libraries into $(VENV)."
	@$(PIP) install -e ".[training]"
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed-torch pyproject.toml
	@echo "Installing SlicerEAR and its test tools into $(VENV)."
	@$(PIP) install --no-compile -e ".[test]"  # Python compiles what the tests import
	@touch $@

# An interrupted set-up leaves no stamp and is made anew.
$(VENV)/.installed-torch:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "$(PYTHON) is missing or not Python 3.10 to 3.13. Name one that is: make $(firstword $(MAKECMDGOALS)) PYTHON=python3.12" >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV) with $$($(PYTHON) --version)."
	@$(PYTHON) -m venv --clear $(VENV) || { \
	  echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing PyTorch ($(TORCH)) into $(VENV): a large download, some minutes."
	@$(PIP) install $(TORCH)
	@touch $@

# Installs packages where apt-get can: $(1) says what for, $(2) what is missing, $(3) are the packages. Never fails.
define install_packages
	test -n "$(2)" || exit 0; \
	install="apt-get install --yes --no-install-recommends $(3)"; \
	if ! command -v apt-get >/dev/null; then \
	  echo "Missing for $(1):$(2). Install the packages that hold them, and go on."; exit 0; \
	elif [ "$$(id -u)" = 0 ]; then as_root="env"; \
	elif sudo -n true 2>/dev/null; then as_root="sudo -n env"; \
	else echo "Missing for $(1):$(2). To have them: sudo $$install"; exit 0; fi; \
	echo "Installing what it takes for $(1): $(3)"; \
	{ $$as_root apt-get update -qq && $$as_root DEBIAN_FRONTEND=noninteractive $$install -qq >/dev/null; } \
	  || echo "That did not work; by hand: sudo $$install"
endef

# What draws nothing works without it, and what draws says so.
system:
	@libraries=$$(PATH="$$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null); \
	missing=""; for library in libEGL.so.1 libGL.so.1 libXrender.so.1 libxkbcommon.so.0 libfontconfig.so.1 \
      libglib-2.0.so.0 libdbus-1.so.3; do \
	  case "$$libraries" in *$$library*) ;; *) missing="$$missing $$library" ;; esac; \
	done; \
	$(call install_packages,pictures without a screen,$$missing,$(SYSTEM_PACKAGES))

# The tests of the page are skipped without it, and say so.
browser:
	@missing=""; for program in chromium chromedriver; do \
	  command -v $$program >/dev/null || missing="$$missing $$program"; \
	done; \
	$(call install_packages,the tests in a browser,$$missing,$(BROWSER_PACKAGES))

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
