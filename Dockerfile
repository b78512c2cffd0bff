# Built in one stage, run in another that holds the program and the public roots alone.
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked --package ccass-2fa-exporter

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /source/target/release/ccass-2fa-exporter /usr/local/bin/ccass-2fa-exporter
LABEL org.opencontainers.image.title="ccass-2fa-exporter" \
      org.opencontainers.image.licenses="Apache-2.0"
# Nobody in particular; it needs no right, and writes only into a data_directory, which is to be mounted
# and to belong to it.
USER 65534:65534
EXPOSE 10762
# It asks the address that the exporter listens on; set it by the environment, so that both know it.
HEALTHCHECK --interval=30s --timeout=6s --start-period=5s \
  CMD ["/usr/local/bin/ccass-2fa-exporter", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/ccass-2fa-exporter"]
# A configuration is mounted and named by CCASS2FA_CONFIG_FILE. Your firm's own CA: mount the bundle
# over /etc/ssl/certs/ca-certificates.crt, or name it as ca_file in the configuration.
