# One machine, everything on it. What each command promises is in README.md; the work is in Python.
# Variables: PORT (8000), DATA (./var), BIND (127.0.0.1), HOST, WORKSPACE_URL_TEMPLATE, CACHE.

PYTHON ?= python3
BIN := .venv/bin
UV_COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header --no-annotate

.PHONY: up down test check audit bench screenshots lock dev browser
.SILENT:
MAKEFLAGS += --no-print-directory

up:
	exec $(PYTHON) deploy/trial/bootstrap.py up

down:
	exec $(PYTHON) deploy/trial/bootstrap.py down

dev:
	$(PYTHON) deploy/trial/bootstrap.py dev

browser: dev
	$(BIN)/python -m tests.install_browser

test: browser check
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: dev
	$(BIN)/python -m tests.check

audit: dev
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements-dev.lock

bench: dev
	$(BIN)/python -m tests.bench

screenshots: browser
	$(BIN)/python -m tests.screenshots

lock: dev
	$(UV_COMPILE) --extra trial -o requirements.lock
	$(UV_COMPILE) --extra trial --extra dev -c requirements.lock -o requirements-dev.lock
