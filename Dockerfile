# The first stage builds the program as the packages contain it. The last one is the whole image; `make
# image` builds it from the binary that is there already.
ARG BUILDER=rust:1.95-bookworm
FROM ${BUILDER} AS build
WORKDIR /source
COPY . .
RUN deploy/install-tools.sh cargo-auditable \
 && deploy/image/stage.sh "$(deploy/build.sh)" /image

FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ccass-2fa-exporter" \
      org.opencontainers.image.description="Prometheus exporter for the CCASS 2FA login server" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image/root/ /
COPY --from=build --chown=65532:65532 /image/data/ /data/
# Mount your own configuration over this file, your firm's CA over /etc/ssl/certs/ca-certificates.crt.
ENV CCASS2FA_CONFIG_FILE=/etc/ccass-2fa-exporter/ccass.yml
USER 65532:65532
# Evidence and history. Nothing else is written, so the rest can be read-only.
VOLUME /data
EXPOSE 10762
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=6s --start-period=5s \
  CMD ["/usr/bin/ccass-2fa-exporter", "healthcheck"]
ENTRYPOINT ["/usr/bin/ccass-2fa-exporter"]
