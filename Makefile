# The commands of this project. They need make and cargo, and apt to install missing packages.
# Additional arguments: make run ARGS="…", make test ARGS="name_of_a_test -- --nocapture"

# Queries are checked against the committed .sqlx, never against the database in DATABASE_URL.
export SQLX_OFFLINE = true

# --locked: only the dependency versions in Cargo.lock. After changing a Cargo.toml, run cargo check.
WITH_POSTGRES = cargo run --locked --quiet --package private-postgres -- run --
ARGS =

.DEFAULT_GOAL = help
.PHONY: help setup setup-test run test poolers proxies postgres-versions lint generate check-generated interop chaos bench fuzz supply-chain sbom

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install missing Debian packages: Postgres, a C compiler, git
	@scripts/setup.sh

setup-test: # also install what the tests need: PgBouncer, nginx, HAProxy
	@scripts/setup.sh test

run: setup ## start everything, run a sample export while you watch, stay up until Ctrl-C
	cargo run --locked --features dev -- dev $(ARGS)

test: setup-test ## run all tests on a throwaway Postgres
	$(WITH_POSTGRES) cargo test --locked --workspace --all-features --no-fail-fast $(ARGS)

# All commands build the whole workspace, so that they share one build of each dependency.
lint: setup ## check formatting, lints (with and without the dev feature) and rustdoc
	cargo fmt --all -- --check
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	cargo clippy --locked --workspace -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --locked --workspace --all-features --no-deps --document-private-items

generate: setup ## generate .sqlx, docs/schema.sql, openapi/ and migrations/CHECKSUMS from the code
	scripts/check-migrations.sh --add
	scripts/generate.sh write

check-generated: setup ## fail if `make generate` would change something
	scripts/check-migrations.sh
	scripts/generate.sh check

poolers: setup-test ## run the tests behind PgBouncer: the installed version and a newer one from Debian
	scripts/poolers.sh $(ARGS)

proxies: setup-test ## run the tests behind nginx and HAProxy, with Debian's settings and those of docs/proxies.md
	$(WITH_POSTGRES) cargo test --locked --workspace --all-features --test it -- proxies $(ARGS)

postgres-versions: setup-test ## run the tests on every supported major version of Postgres; VERSIONS="14 18"
	scripts/postgres-versions.sh $(VERSIONS)

interop: setup-test ## test the service and the simulator with third-party clients
	scripts/interop.sh $(ARGS)

# ROUNDS, SEED, ROUND_S (seconds per round), PAUSE_S (longest SIGSTOP in seconds), ARGS="--only silent",
# ARGS="--pooler session". docs/chaos.md says what is broken and what is counted.
CHAOS = $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SEED),--seed $(SEED)) $(if $(ROUND_S),--round-s $(ROUND_S)) $(if $(PAUSE_S),--pause-s $(PAUSE_S))

chaos: setup ## break the environment of three replicas and check that no export was lost or started twice
	cargo build --locked --workspace --all-features
	target/debug/chaos $(CHAOS) $(ARGS)

bench: setup ## measure the release build next to reference programs; ARGS="--only webhook --rounds 1"
	cargo build --locked --release --package tableferry --package bench
	target/release/bench $(ARGS)

supply-chain: setup ## check licences, banned and duplicate crates, registries and known vulnerabilities
	scripts/supply-chain.sh

sbom: setup ## write the service's bill of materials (CycloneDX) to target/sbom; ARGS="FOLDER"
	scripts/sbom.sh $(ARGS)

# SECONDS per target; ARGS="--only create_export --seed 7".
SECONDS = 20

fuzz: setup ## feed generated input to every parser; SECONDS per parser (20)
	cargo build --locked --workspace --all-features
	target/debug/fuzz --seconds $(SECONDS) $(ARGS)
