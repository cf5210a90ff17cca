# The dependencies are a layer of their own: an edit of the source compiles Palisade alone.
FROM rust:1.95-slim-bookworm AS build
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# As `make release` has it.
ENV RUSTFLAGS=-Cprofile-use=/build/benches/release.profdata
COPY Cargo.toml Cargo.lock ./
COPY benches/release.profdata benches/
RUN mkdir -p src tests/it \
 && echo 'fn main() {}' > src/main.rs && touch src/lib.rs tests/it/main.rs \
 && cargo build --release --locked \
 && rm -rf src
COPY src src
COPY policies policies
COPY schema schema
COPY docs docs
RUN touch src/main.rs src/lib.rs && cargo build --release --locked

# glibc, CA certificates for the user pool's keys, and nothing that runs as root.
FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 65532 --no-create-home --shell /usr/sbin/nologin palisade
COPY --from=build /build/target/release/palisade /usr/local/bin/palisade
COPY palisade.toml /etc/palisade/palisade.toml
COPY policies /etc/palisade/policies
COPY schema /etc/palisade/schema
USER 65532
WORKDIR /etc/palisade
# Decisions stay on loopback: containers of one pod share it. The probes come from outside of it.
ENV PALISADE__SERVER__LISTEN=127.0.0.1:8180 \
    PALISADE__SERVER__OPS_LISTEN=0.0.0.0:8181
EXPOSE 8181
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["palisade", "health"]
ENTRYPOINT ["palisade"]
CMD ["serve"]
