# One target per task; CI calls the same targets.

CARGO ?= cargo
# Always the whole workspace: a package by itself would build its dependencies anew with fewer features.
TEST := $(CARGO) test --workspace --locked
# Most tests wait for something, so several share a processor.
export RUST_TEST_THREADS ?= $(shell expr 4 \* $$(nproc))
# Debian's newest Prometheus and Alertmanager, in addition to the installed ones.
NEWEST := $(CURDIR)/target/newest/root/usr/bin
# The release binary, static, as deploy/build.sh makes it, and what is built from it.
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
BINARY := $(or $(CARGO_TARGET_DIR),target)/$(HOST)/release/ccass-2fa-exporter
DIST := dist

.PHONY: help run quick quick-serve quick-others test test-packages test-basics test-outages test-calculations test-rules test-network prepare test-programs install release mutants current bench microbench rehearsal fleet fleet-size soak lint deny \
  fuzz image deb rpm windows windows-test packages kubernetes dist verify-dist dist-test documents pictures book notices clean \
  cargo-auditable cargo-cyclonedx cargo-deb cargo-generate-rpm mdbook

help:           ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

run:            ## serve on port 10762 with the built-in configuration
	$(CARGO) run --release --locked

# The suites mostly wait, so two run at a time.
quick:          ## unit tests and loopback suites: no root, nothing to install, under 90 seconds
	@$(TEST) --no-run --quiet --lib --bins --test lab --test cli --test probe --test serve --test evidence
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target quick-serve quick-others

quick-serve:
	$(TEST) --test serve

quick-others:
	$(TEST) --lib --bins --test lab --test cli --test probe --test evidence

test:           ## every test; without root all but the network suite
	@$(MAKE) --no-print-directory --jobs 4 test-packages test-basics
	@tests/with_namespaces.sh $(TEST) --test packages -- --skip dist:: --skip windows::
	$(TEST) --test browser -- --test-threads 2
	@$(MAKE) --no-print-directory --jobs $$(nproc) --output-sync=target test-outages test-calculations
	$(TEST) --test interop -- --skip performance::
	$(TEST) --test interop performance:: -- --test-threads 1
	@$(MAKE) --no-print-directory --jobs $$(nproc) --output-sync=target test-rules test-network

# The image needs one of the installed programs.
test-packages: prepare
	@$(MAKE) --no-print-directory packages

# These need nothing of what is installed or released, so they run while the release build ends.
test-basics: test-programs
	$(TEST) --lib --bins --test lab --test cli --test probe --test serve --test evidence

# Tests that mostly wait run beside tests that calculate, which would delay them on a single processor.
test-outages:
	$(TEST) --test alerts -- --skip rules:: --test-threads $$(expr 10 \* $$(nproc))

test-calculations:
	$(TEST) --test alerts -- rules::migration rules::vmalert

test-rules:
	$(TEST) --test alerts -- rules:: --skip rules::migration --skip rules::vmalert

test-network:
	@tests/with_namespaces.sh $(TEST) --test network

# The last step of the release build, the longest, uses one processor: the tests are built beside it.
prepare: install release cargo-deb cargo-generate-rpm test-programs

test-programs:
	$(CARGO) build --workspace --locked --bins
	$(TEST) --no-run

install:        ## the programs that the tests use, from Debian and npm
	tests/install.sh

cargo-auditable cargo-cyclonedx cargo-deb cargo-generate-rpm mdbook:
	@deploy/install-tools.sh $@

# The release build, the longest, waits for the first of them alone.
cargo-deb cargo-generate-rpm: | cargo-auditable

release: cargo-auditable ## the release binary: static, reproducible, with the list of its dependencies inside
	deploy/build.sh

deb: release cargo-deb ## the Debian package, into dist/
	deploy/packages/build.sh $(BINARY) $(DIST) deb

rpm: release cargo-generate-rpm ## the RPM package, into dist/
	deploy/packages/build.sh $(BINARY) $(DIST) rpm

image: release  ## the container image as an archive, into dist/; as root, with buildah, without a daemon
	deploy/image/build.sh $(BINARY) $(DIST)/ccass-2fa-exporter-image.tar

windows: cargo-auditable ## the programs for Windows, as a zip, into dist/; by the cross compiler of Debian
	deploy/windows/build.sh $(DIST)

windows-test: install windows ## the programs for Windows under wine, with a login server, and the unit tests; as root, minutes
	tests/wine.sh
	$(CARGO) build --workspace --locked --bins
	$(TEST) --test packages windows:: -- --test-threads 3
	AWS_LC_SYS_PREBUILT_NASM=1 CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=$(CURDIR)/tests/wine.sh \
	  $(CARGO) test --locked --target x86_64-pc-windows-gnu --lib

# Without root no image.
packages: deb rpm $(if $(filter 0,$(shell id -u)),image)

dist: deb rpm image cargo-cyclonedx ## everything of a release, into dist/; signed with MINISIGN_KEY if that names a key
	deploy/packages/build.sh $(BINARY) $(DIST) tarball sbom
	deploy/sign.sh $(DIST)

kubernetes:     ## write what the Prometheus Operator reads, from alerts/ and grafana/
	deploy/kubernetes/generate.py

verify-dist:    ## check dist/ as a customer would; with PUBLIC_KEY its signature, too
	deploy/verify.sh $(DIST) $(PUBLIC_KEY)

dist-test: install dist ## install the packages in a fresh Debian, build twice and compare; as root, 15 minutes
	$(TEST) --test packages dist::

fleet-size: install ## a centre of 1,500 sites: series, bytes, time of rules and dashboards; 10 minutes for each engine
	tests/newest.sh
	$(CARGO) build --quiet --workspace --locked --bins
	tests/bench/fleet_size.py prometheus target/debug
	tests/bench/fleet_size.py newest-prometheus target/debug
	tests/bench/fleet_size.py victoria-metrics target/debug

rehearsal:      ## an outage from the first failing probe to the page: no network, no root
	@$(CARGO) build --quiet --workspace --locked --bins
	@target/debug/rehearsal

fleet:          ## two sites whose agents send to a centre: one loses its uplink, one its login; no root
	@$(CARGO) build --quiet --workspace --locked --bins
	@target/debug/fleet

HOURS ?= 72

soak: install   ## three days of probes in half an hour: memory, descriptors and files stay flat; HOURS for another time
	$(CARGO) build --release --locked
	@$(CARGO) build --quiet --workspace --locked --bins
	@target/debug/soak $(HOURS)

mutants: install ## mutation test of the alert rules: every change must fail a unit test (minutes)
	alerts/tests/mutants.py

current: install ## the alert suite against the newest Prometheus and Alertmanager in Debian
	tests/newest.sh again
	PATH="$(NEWEST):$$PATH" $(TEST) --test alerts

bench: install release ## CPU and memory beside blackbox_exporter, into docs/performance.md; as root, 15 minutes
	$(CARGO) build --release --locked --package ccass-2fa-bench
	$(CARGO) run --release --locked --package ccass-2fa-bench -- --json target/bench.json --document docs/performance.md $(PARTS)

microbench:     ## cost of single parts: rendering, chain verification, page checks, calendar
	$(CARGO) bench --locked --package ccass-2fa-bench

# The targets by their seeds; SECONDS for each, or FUZZ for some of them.
FUZZ ?= $(notdir $(wildcard fuzz/seeds/*))
SECONDS ?= 120

fuzz:           ## fuzz each reader of foreign input for two minutes, with cargo-fuzz and a nightly toolchain
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-fuzz
	@fuzz/run.sh $(SECONDS) $(FUZZ)

lint:           ## format, clippy, plain language, links in the documentation, licenses of dependencies
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings
	tests/plain_language.py
	tests/links.py
	tests/notices.py

deny:           ## advisories, licenses and sources, with cargo-deny, which it installs
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --workspace check

documents: pictures ## rewrite the documents that repeat the code
	UPDATE_DOCUMENTS=1 $(TEST) --test cli --test alerts
	UPDATE_DOCUMENTS=1 $(TEST) --test interop browser_parity::
	UPDATE_DOCUMENTS=1 $(TEST) --test network blackbox_exporter::

pictures: install ## take the pictures of the README: the status page and an alert, from the real programs
	UPDATE_DOCUMENTS=1 $(TEST) --test interop status_page::
	UPDATE_DOCUMENTS=1 $(TEST) --test alerts installed_prometheus::outage_pages

book: mdbook    ## docs/ as a book with search, into target/book; with mdBook, which it installs
	docs/book.py target/book

notices:        ## write THIRD-PARTY-NOTICES.md
	tests/notices.py --write

clean:          ## remove build output
	$(CARGO) clean
