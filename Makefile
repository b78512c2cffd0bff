# One word a chore; CI calls the same words.

CARGO ?= cargo
# Tests are run with --workspace: by itself a package has its libraries built anew, with fewer features.

# Not among the tests that run all at once, each for a reason that Cargo.toml gives.
WORLDS := --test firewall --test disk --test peers --test blackbox
BESIDE := --test alerts --test dashboards --test migration
APART := $(WORLDS) $(BESIDE) --test paging --test rehearsal
# By itself, so that what is lost is lost on the way and not in the machine.
LOSSY := a_hundred_probes_over_a_long_and_lossy_way
# The newest that Debian has, beside what is installed.
NEWEST := $(CURDIR)/target/newest/root/usr/bin

.PHONY: help run test release mutants current bench microbench rehearsal lint deny image documents notices clean

help:           ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile

run:            ## serve on port 10762 with the built-in configuration
	$(CARGO) run --release --locked

test:           ## every test, after installing from Debian what they need; as root, or NO_NETNS=1
	tests/install.sh
	$(CARGO) build --release --locked
	$(CARGO) test --workspace --locked --no-run
	$(CARGO) test --workspace --test paging $(BESIDE) --locked --no-run
# Paging waits for minutes; what works meanwhile makes way for it.
	$(CARGO) test --workspace --test paging --locked -- --test-threads=8 >target/paging.log 2>&1 & paging=$$!; \
	nice -n 19 $(CARGO) test --workspace --locked && nice -n 19 $(CARGO) test --workspace $(BESIDE) --locked; rest=$$?; \
	wait $$paging; paging=$$?; cat target/paging.log; exit $$((paging + rest))
ifeq ($(NO_NETNS),1)
	@echo "NO_NETNS=1: NOT RUN are the tests in namespaces: firewall, disk, peers, blackbox" >&2
else
	$(CARGO) test --workspace $(WORLDS) --locked -- --test-threads=10 --skip $(LOSSY)
	$(CARGO) test --workspace --test firewall --locked $(LOSSY)
endif
	$(CARGO) test --workspace --test rehearsal --locked

release:        ## the program, small and quick
	$(CARGO) build --release --locked

rehearsal:      ## an outage goes by, from the probe to the page: no network, no root
	@$(CARGO) test --quiet --locked --workspace --test rehearsal

mutants:        ## change the alert rules one thing at a time; the unit tests must notice (minutes)
	tests/install.sh
	alerts/tests/mutants.py

current:        ## the alerting tests against the newest Prometheus and Alertmanager in Debian
	tests/install.sh
	tests/newest.sh again
	PATH="$(NEWEST):$$PATH" $(CARGO) test --workspace --locked --test alerts --test drill --test migration
	PATH="$(NEWEST):$$PATH" $(CARGO) test --workspace --locked --test paging -- --test-threads=8

bench:          ## what it costs beside blackbox_exporter, into docs/performance.md; as root, 15 minutes
	tests/install.sh
	$(CARGO) build --release --locked
	$(CARGO) build --release --locked --package ccass-2fa-bench
	$(CARGO) run --release --locked --package ccass-2fa-bench -- --json target/bench.json --document docs/performance.md $(PARTS)

microbench:     ## what its parts cost: rendering, judging a chain, a page, the calendar
	$(CARGO) bench --locked --package ccass-2fa-bench

lint:           ## format, clippy, licences of what is linked in
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings
	$(CARGO) clippy --workspace --locked $(APART) -- --deny warnings
	tests/notices.py

deny:           ## advisories, licences and sources by cargo-deny, which it installs
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --workspace check

image:          ## the container image
	docker build --tag ccass-2fa-exporter .

documents:      ## write the documents that repeat tables of the code
	UPDATE_DOCUMENTS=1 $(CARGO) test --workspace --locked --test documents --test migration --test alerts --test blackbox

notices:        ## write THIRD-PARTY-NOTICES.md
	tests/notices.py --write

clean:          ## remove what was built
	$(CARGO) clean
