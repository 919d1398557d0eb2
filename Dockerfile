# syntax=docker/dockerfile:1
# Two images from one file: `docker build --target service .` (the default, for production) and `--target simulator`
# (simulated AWS, for development). Dependencies are built in separate layers (cargo-chef), so a change of the code
# alone does not rebuild them.

ARG RUST=1.95.0
ARG DEBIAN=bookworm

FROM rust:${RUST}-slim-${DEBIAN} AS tools
ARG RUST
# Use the image's own toolchain: rust-toolchain.toml also installs clippy and rustfmt, which are not needed here.
ENV RUSTUP_TOOLCHAIN=${RUST}
RUN cargo install cargo-chef --version 0.1.78 --locked
WORKDIR /build

FROM tools AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

# The two programs are built separately, so that features which only the simulator enables in a shared dependency are
# not built into the service.
FROM tools AS build-service
COPY --from=plan /build/recipe.json .
RUN cargo chef cook --locked --release --package tableferry --bin tableferry --recipe-path recipe.json
COPY . .
ENV SQLX_OFFLINE=true
# The build context has no git folder: docker build --build-arg SOURCE_COMMIT="$(git rev-parse HEAD)" .
ARG SOURCE_COMMIT
RUN cargo build --locked --release --package tableferry --bin tableferry

FROM tools AS build-simulator
COPY --from=plan /build/recipe.json .
RUN cargo chef cook --locked --release --package tableferry-simulator --recipe-path recipe.json
COPY . .
RUN cargo build --locked --release --package tableferry-simulator

FROM debian:${DEBIAN}-slim AS base
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tableferry
STOPSIGNAL SIGTERM

FROM base AS simulator
RUN install -d -o tableferry -g tableferry /data
COPY --from=build-simulator /build/target/release/tableferry-simulator /usr/local/bin/
USER 10001:10001
VOLUME /data
EXPOSE 8001 8002
# The image has no curl, so bash sends the HTTP request.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=5 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8001 && printf 'GET /_control/health HTTP/1.0\\r\\n\\r\\n' >&3 && read -r answer <&3 && [[ $answer == *' 200 '* ]]"]
ENTRYPOINT ["tableferry-simulator"]
CMD ["--listen", "0.0.0.0:8001", "--s3-listen", "0.0.0.0:8002", "--data-dir", "/data", "--seed", "sample", "--speed", "60"]

FROM base AS service
# For TLS to AWS, to webhook receivers and to Postgres.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build-service /build/target/release/tableferry /usr/local/bin/
ARG SOURCE_COMMIT
LABEL org.opencontainers.image.title="Tableferry" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${SOURCE_COMMIT}"
USER 10001:10001
ENV TABLEFERRY_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["tableferry", "healthcheck"]
ENTRYPOINT ["tableferry"]
CMD ["serve"]
