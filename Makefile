# Every target makes or mends .venv first; that takes no time when it is as the lock says.
# HOST, PORT, DATABASE_URL and the others of .env.example come from the environment, or after the target: make dev PORT=9000

MANAGE := .venv/bin/python manage.py
# Two environments for `make check`, which looks at code, whatever your own says. Neither connects anywhere.
DEVELOPMENT := DEBUG=1 DATABASE_URL=sqlite:///.venv/check.sqlite3 REDIS_URL=
PRODUCTION := DEBUG=0 SITE_URL=https://www.example.com ALLOWED_HOSTS=www.example.com CSRF_TRUSTED_ORIGINS= \
  DATABASE_URL=postgres://starter@127.0.0.1/starter REDIS_URL=redis://127.0.0.1 EMAIL_URL=smtp+tls://127.0.0.1
NEW_SECRET := .venv/bin/python -c 'import secrets; print(secrets.token_urlsafe(50))'
# What npm writes last.
NODE_PACKAGES := tests/node/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help dev test test-browser test-node test-servers faults bench check schema lock clean environment

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F '|' '{ printf "  make %-14s %s\n", $$1, $$2 }'

dev: environment ## migrate, seed demo data, serve on http://127.0.0.1:8000/ with reload (HOST, PORT)
	@.venv/bin/python scripts/dev.py

test: environment ## the test suite, on SQLite or on DATABASE_URL and REDIS_URL (ARGS="-n0 -k bell -x")
	@.venv/bin/pytest -m "not browser and not faults and not node and not servers" -n auto --maxprocesses 2 --dist worksteal $(ARGS)

test-browser: environment ## the tests that drive Chromium (ARGS as above)
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || { \
	  echo "This needs Chromium: apt-get install chromium on Debian, or set CHROMIUM to its path." >&2; exit 1; }
	@.venv/bin/pytest -m browser -n auto --maxprocesses 2 --dist worksteal $(ARGS)

test-servers: environment ## the same site on Daphne, Uvicorn, Granian and Hypercorn (ARGS as above)
	@.venv/bin/pytest -m servers tests/servers $(ARGS)

test-node: environment $(NODE_PACKAGES) ## the specifications' own audits, and the standard client; needs Node.js 20 or newer
	@.venv/bin/pytest -m node $(ARGS)

$(NODE_PACKAGES): tests/node/package-lock.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null && command -v npm >/dev/null || { \
	  echo "This needs Node.js 20 or newer, with npm: apt-get install nodejs npm on Debian 13." >&2; exit 1; }
	@cd tests/node && npm ci

faults: environment ## delivery while what it needs is broken, at length (SHORT=1: in five minutes; ARGS as above)
	@.venv/bin/pytest -m faults tests/delivery $(if $(SHORT),,--long) $(ARGS)

bench: environment ## how fast it is, beside a plain set-up and the limit (ARGS=--quick, ARGS="--runs 3 --readme")
	@.venv/bin/python -m tests.bench $(ARGS)

check: environment ## formatting, lint, types, missing migrations, schema drift, production settings
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	$(DEVELOPMENT) $(MANAGE) makemigrations --check --dry-run
	$(DEVELOPMENT) $(MANAGE) export_schema config.schema >.venv/schema.graphql
	@diff -u schema.graphql .venv/schema.graphql || { \
	  echo "schema.graphql is not what the code says: run 'make schema', and look at the difference." >&2; exit 1; }
	$(PRODUCTION) SECRET_KEY="$$($(NEW_SECRET))" $(MANAGE) check --deploy --fail-level WARNING

schema: environment ## write schema.graphql from the code
	$(DEVELOPMENT) $(MANAGE) export_schema config.schema >.venv/schema.graphql
	cp .venv/schema.graphql schema.graphql

lock: ## compile requirements/*.txt from pyproject.toml (ARGS=--upgrade for the newest)
	@scripts/lock $(ARGS)

clean: ## remove what can be made again: .venv and caches (not the database, not uploads)
	rm -rf .venv staticfiles bench-results tests/node/node_modules test.sqlite3* .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

environment:
	@scripts/bootstrap
