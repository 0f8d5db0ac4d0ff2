SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 10s
ROUNDS ?= 5
VERSIONTIME ?= 10m
BLACKBOX := ./cmd/internal/blackbox/...

# Real clients must be there: the tests that need them fail instead of skipping.
export DYNARING_TEST_CLIENTS ?= required

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/dynaring
	go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/dynaring ./cmd/dynaring

.PHONY: run
run: build ## Run a cluster of three nodes on ports 7001, 7002 and 7003
	bin/dynaring local --nodes 3

.PHONY: test
test: deps lint layers suite ## Everything: installs what it needs, lint, the suite under -race, real clients

.PHONY: deps
deps: ## Install the clients that the tests use
	testdata/install-deps.sh

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go' | while read -r f; do [ ! -e "$$f" ] || echo "$$f"; done)); \
	if [ -n "$$unformatted" ]; then echo "gofmt these files:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...

.PHONY: layers
layers: ## Check that arrows between packages point down
	go test -count=1 ./cmd/internal/layers

.PHONY: suite
suite: ## The whole suite under -race; real processes last, on their own
	go test -race -timeout 20m $$(go list ./... | grep -v /cmd/internal/blackbox)
	go test -timeout 20m ./cmd/internal/sim # what would take too long under -race
	go test -count=1 -timeout 10m ./cmd/internal/replay # builds the simulator itself, whatever it is now
	go test -race -count=1 -timeout 40m $(BLACKBOX)

.PHONY: race
race: ## go test -race, without the real processes
	go test -race -timeout 20m $$(go list ./... | grep -v /cmd/internal/blackbox)

.PHONY: blackbox
blackbox: deps ## Real processes and clients, without -race
	go test -count=1 -timeout 40m $(BLACKBOX)

.PHONY: soak
soak: ## Simulate with new seeds until stopped (SEED, JOBS, RACE=1, EXACT=1): failing ones are printed
	testdata/soak.sh

.PHONY: replay
replay: ## Run one seed of the simulation as the same execution every time (SEED, ORDER, ORDERS, TIMES=2, LOG)
	@test -n "$(SEED)" || { echo "make replay SEED=n: which seed?"; exit 2; }
	go run ./cmd/internal/replay -seed $(SEED) -order $(or $(ORDER),0) -orders $(or $(ORDERS),1) -times $(or $(TIMES),2) -log "$(LOG)"

.PHONY: mutants
mutants: ## Break the code in known ways, one after the other, and see that a test fails each time
	go test -count=1 -timeout 2h -v -run '^TestMutants$$' ./cmd/internal/sim -sim.mutants $(or $(MUTANTS),all)

.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME (10s)
	@for pkg in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

.PHONY: bench
bench: deps build ## Compare with redis-server and redcon; what refilling a node and finding a difference cost
	go run ./cmd/internal/bench -binary bin/dynaring -rounds $(ROUNDS)
	go run ./cmd/internal/bench -binary bin/dynaring -rounds $(ROUNDS) -refill
	go test ./antientropy -run '^$$' -bench Million

.PHONY: versions
versions: ## How many versions reads see while nodes fail, for VERSIONTIME (10m)
	DYNARING_TEST_VERSIONS=$(VERSIONTIME) go test -count=1 -v -timeout 24h -run TestVersionsSeen $(BLACKBOX)

.PHONY: clean
clean: ## Remove what was built and the data of local clusters
	rm -rf bin dynaring-data testdata/clients/js/node_modules
