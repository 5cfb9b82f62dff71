# syntax=docker/dockerfile:1
# One static binary on an image that holds certificates and nothing to run: no shell, no package manager, no root.

FROM rust:1.95-alpine3.22 AS build
RUN apk add --no-cache build-base=~0.5
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package trace-server \
    && install -D target/release/trace-server /image/usr/local/bin/trace-server \
    && install -d -m 1777 /image/data

FROM gcr.io/distroless/static-debian12:nonroot
LABEL org.opencontainers.image.title="trace-server" \
      org.opencontainers.image.description="Serves traces of MLflow and Databricks to the review app" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/usr /usr
# Our own database: reviews where no workspace keeps them, and how analyses stand.
COPY --from=build --chown=65532:65532 /image/data /data
ENV TRACE_SERVER_HOST=0.0.0.0 \
    PORT=8000 \
    DATABASE_URL=sqlite:///data/trace-server.db \
    TRACE_SERVER_LOG_FORMAT=json
WORKDIR /data
VOLUME /data
EXPOSE 8000
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/usr/local/bin/trace-server", "health"]
ENTRYPOINT ["/usr/local/bin/trace-server"]
