# What a person does with this project, each by one command. It needs make, cargo and (for what is missing) apt.
# More arguments: make run ARGS="…", make test ARGS="name_of_a_test -- --nocapture"

# Queries are checked against the committed .sqlx, never against whatever database DATABASE_URL happens to name.
export SQLX_OFFLINE = true

# Nobody gets another version of a dependency than Cargo.lock names. After changing a Cargo.toml: cargo check.
WITH_POSTGRES = cargo run --locked --quiet --package private-postgres -- run --
ARGS =

.DEFAULT_GOAL = help
.PHONY: help setup setup-test run test poolers proxies postgres-versions lint generate check-generated interop chaos bench fuzz supply-chain sbom

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing: Postgres, a C compiler and git from Debian's packages
	@scripts/setup.sh

setup-test: # what tests need besides: PgBouncer, nginx, HAProxy
	@scripts/setup.sh test

run: setup ## start everything, export a sample table before your eyes, stay up until Ctrl-C
	cargo run --locked --features dev -- dev $(ARGS)

test: setup-test ## run every test, on a throwaway Postgres
	$(WITH_POSTGRES) cargo test --locked --workspace --all-features --no-fail-fast $(ARGS)

# Every call takes the whole workspace, so that all share one build of each dependency.
lint: setup ## check the formatting, the lints with and without the dev feature, and the docs
	cargo fmt --all -- --check
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	cargo clippy --locked --workspace -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --locked --workspace --all-features --no-deps --document-private-items

generate: setup ## make .sqlx, openapi/ and migrations/CHECKSUMS from the code
	scripts/check-migrations.sh --add
	scripts/generate.sh write

check-generated: setup ## fail if `make generate` would change something
	scripts/check-migrations.sh
	scripts/generate.sh check

poolers: setup-test ## test behind PgBouncer: this machine's, and a newer one of Debian's
	scripts/poolers.sh $(ARGS)

proxies: setup-test ## test behind nginx and HAProxy, as Debian ships them and as docs/proxies.md recommends
	$(WITH_POSTGRES) cargo test --locked --workspace --all-features --test it -- proxies $(ARGS)

postgres-versions: setup-test ## test on every major version of Postgres that is supported; VERSIONS="14 18"
	scripts/postgres-versions.sh $(VERSIONS)

interop: setup-test ## let other people's clients use the service and the simulator
	scripts/interop.sh $(ARGS)

# ROUNDS, SEED, ROUND_S (seconds a round), PAUSE_S (the longest SIGSTOP), ARGS="--only silent", ARGS="--pooler session"; docs/chaos.md says what
# is broken and what is counted.
CHAOS = $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SEED),--seed $(SEED)) $(if $(ROUND_S),--round-s $(ROUND_S)) $(if $(PAUSE_S),--pause-s $(PAUSE_S))

chaos: setup ## break what three replicas stand on, round by round, and check that nothing was lost or started twice
	cargo build --locked --workspace --all-features
	target/debug/chaos $(CHAOS) $(ARGS)

bench: setup ## build for release and measure, beside references in the same run; ARGS="--only webhook --rounds 1"
	cargo build --locked --release --package tableferry --package bench
	target/release/bench $(ARGS)

supply-chain: setup ## check licences, banned and double crates, registries, and (where it can be fetched) known vulnerabilities
	scripts/supply-chain.sh

sbom: setup ## write what the service is made of to target/sbom (CycloneDX); ARGS="FOLDER"
	scripts/sbom.sh $(ARGS)

# SECONDS for each target; ARGS="--only create_export --seed 7".
SECONDS = 20

fuzz: setup ## throw made-up input at every parser, SECONDS for each (20)
	cargo build --locked --workspace --all-features
	target/debug/fuzz --seconds $(SECONDS) $(ARGS)
