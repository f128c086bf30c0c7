# Gantry's build. Everything needs Go 1.26.7 or later; the race detector of `make test` also needs a C compiler.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X main.version=$(VERSION)
# Modules of their own, which ./... does not reach.
EXAMPLES = examples/meridian/kit examples/meridian/services/gateway examples/meridian/services/ledger \
  examples/meridian/services/marketdata examples/meridian/load

export GOTOOLCHAIN = local

SHELL       = /bin/bash
.SHELLFLAGS = -euo pipefail -c

.PHONY: all ui build up test conformance bench soak lint fuzz clean

all: lint ui build test

up: ui build ## starts the server with the example in it; its address is printed
	./bin/gantry up --demo $(UPFLAGS)

# The browser's half is built by npm and embedded by the next build. A binary without it works, and says how to get it.
UI_SOURCES = $(shell find web -path web/node_modules -prune -o -path web/dist -prune -o -type f ! -name '*.go' -print)

ui: web/dist/index.html ## the browser's half of the server

web/dist/index.html: $(UI_SOURCES)
	cd web && npm ci --no-audit --no-fund --loglevel=error && npm run build
	touch $@

build: ## bin/gantry, a static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/gantry ./cmd/gantry

test: ## all tests with the race detector
	$(GO) test -race -timeout 30m ./...
	for dir in $(EXAMPLES); do (cd $$dir && $(GO) test -race -timeout 30m ./...) || exit 1; done

conformance: ## the vendors' cases, a line a kind; GANTRY_CONFORMANCE names the folder
	$(GO) test -count=1 -run Conformance -v ./... 2>&1 | grep -vE '^ *(=== |--- PASS|testing: warning|PASS$$)|no test files|no tests to run'

bench: build ## measures against the budgets, see bench/README.md
	$(GO) run ./bench -gantry bin/gantry $(BENCHFLAGS)

ROUNDS ?= 1000
soak: build ## kills servers ROUNDS times and looks whether anything was lost; SOAKFLAGS=-faults, -releases, -ends, -withdrawals or -hostile for others; see soak/main.go
	$(GO) run ./soak -gantry bin/gantry -rounds $(ROUNDS) $(SOAKFLAGS)

lint: ## format, vet, layers
	@unformatted=$$(find . -name testdata -prune -o -name '*.go' -print0 | xargs -0 gofmt -l); \
	  for file in $$unformatted; do echo "$$file:1:1: run gofmt -w"; done; test -z "$$unformatted"
	$(GO) vet ./...
	for dir in $(EXAMPLES); do (cd $$dir && $(GO) vet ./...) || exit 1; done
	$(GO) test -count=1 -run 'Layers' .

FUZZTIME ?= 10s
fuzz: ## each fuzz target for FUZZTIME
	$(GO) list -f '{{.Dir}}' ./... | while read -r dir; do \
	  { grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$$dir"/*_test.go 2>/dev/null || true; } | sed 's/^func //' | while read -r target; do \
	    echo "$$dir $$target"; \
	    (cd "$$dir" && $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) . </dev/null) || exit 1; \
	  done || exit 1; \
	done

clean:
	rm -rf bin web/node_modules
	find web/dist -mindepth 1 ! -name .gitkeep -delete
