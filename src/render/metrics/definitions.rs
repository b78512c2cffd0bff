//! Every metric of ours, once. `docs/metrics.md` repeats this table, and a test holds that.

use super::family::MetricDesc;

macro_rules! catalogue {
    ($($name:ident = $kind:ident($($part:expr),* $(,)?);)*) => {
        $(pub(super) const $name: MetricDesc = MetricDesc::$kind($($part),*);)*
        /// In the order of the documentation.
        pub const DEFINITIONS: &[MetricDesc] = &[$($name),*];
    };
}

catalogue! {
    PROBE_SUCCESS = gauge("probe_success", &["target", "role"], "1 if every layer to the last was good in the latest probe; the last is http where no page check is configured.");
    FINDING_INFO = gauge("finding_info", &["target", "finding"], "1 while a finding holds: what a person should know but what does not stop a login.");
    TARGET_INFO = gauge("target_info", &["target", "role", "url", "module", "group"], "What is probed; targets of one group are ways to one page.");
    GROUP_WAY_SUCCESS = gauge("group_way_success", &["group", "target", "way"], "1 if the latest probe of one way to a group's page was good; way is direct or proxy. Only for groups of two targets or more.");
    PROBE_LAYER_SUCCESS = gauge("probe_layer_success", &["target", "layer"], "1 if the layer was good in the latest probe; absent for a layer that was not reached or is not configured.");
    PROBE_LAYER_DURATION = gauge("probe_layer_duration_seconds", &["target", "layer"], "What the layer took in the latest probe, over all hops.");
    PROBE_FAILURE_INFO = gauge("probe_failure_info", &["target", "layer", "reason"], "1 while the latest probe fails: its first failing layer and why.");
    PROBE_FAILURE_ADVICE_INFO = gauge("probe_failure_advice_info", &["target", "ask", "answered_by"], "1 while the latest probe fails: whom to ask (a key of the configuration's contacts), and who answered: origin, interceptor, unknown.");
    PROBE_ATTEMPTS = counter("probe_attempts_total", &["target"], "Probes since start.");
    PROBE_SUCCESSES = counter("probe_successes_total", &["target"], "Probes since start that were good.");
    PROBE_FAILURES = counter("probe_failures_total", &["target", "layer", "reason"], "Probes since start that failed, by first failing layer and reason.");
    PROBE_DURATION = histogram("probe_duration_seconds", &["target"], "What probes took until their verdict.");
    PROBE_TIMEOUT = gauge("probe_timeout_seconds", &["target"], "The limit that one probe shares among its layers.");
    PROBE_LAST_RUN = gauge("probe_last_run_timestamp_seconds", &["target"], "When the latest probe began.");
    PROBE_LAST_SUCCESS = gauge("probe_last_success_timestamp_seconds", &["target"], "When the latest good probe began; kept across restarts in the data directory, and absent until there was one.");
    PROBE_INTERVAL = gauge("probe_interval_seconds", &["target"], "How often the target is probed.");
    PROBE_MISSED = counter("probe_missed_total", &["target", "cause"], "Cycles not run in their time: overrun, limit or backoff.");
    DNS_LOOKUP_SUCCESS = gauge("dns_lookup_success", &["target", "resolver", "record"], "1 if the resolver, asked by itself, gave a usable answer; an empty one beside a good one of the other family is usable.");
    DNS_LOOKUP_DURATION = gauge("dns_lookup_duration_seconds", &["target", "resolver", "record"], "What the one question took.");
    DNS_ANSWERS = gauge("dns_answers", &["target", "resolver", "record"], "Addresses in the answer; absent without an answer.");
    DNS_MIN_TTL = gauge("dns_min_ttl_seconds", &["target", "resolver", "record"], "The smallest time to live among the addresses in the answer.");
    DNS_LOOKUP_FAILURE_INFO = gauge("dns_lookup_failure_info", &["target", "resolver", "record", "reason"], "1 while the resolver's latest answer is not usable, and why.");
    DNS_SESSION_DURATION = gauge("dns_session_duration_seconds", &["target", "resolver", "record"], "What the handshake with an encrypted resolver took; it is part of the question's time.");
    DNS_CERT_NOT_AFTER = gauge("dns_cert_not_after_timestamp_seconds", &["target", "resolver"], "The last instant of the validity of an encrypted resolver's certificate.");
    DNS_CERT_INFO = gauge("dns_cert_info", &["target", "resolver", "subject", "issuer", "serial", "fingerprint_sha256"], "The certificate that an encrypted resolver presented, whatever the verdict on it.");
    DNS_ANSWER_EXPECTED = gauge("dns_answer_expected", &["target", "resolver"], "1 if each address in the resolver's answer lies in the expected ranges; only where expected_addresses are configured.");
    DNS_RESOLVERS_AGREE = gauge("dns_resolvers_agree", &["target"], "1 if the resolvers that answered give the same addresses; absent with fewer than two.");
    DNS_ANSWER_CHANGES = counter("dns_answer_changes_total", &["target"], "How often the set of followed addresses changed since start.");
    ADDRESS_INFO = gauge("address_info", &["target", "address", "family"], "The addresses in use.");
    TCP_CONNECT_SUCCESS = gauge("tcp_connect_success", &["target", "address"], "1 if the address accepted a connection.");
    TCP_CONNECT_DURATION = gauge("tcp_connect_duration_seconds", &["target", "address"], "What the connection took, or how long it was waited for.");
    TLS_HANDSHAKE_SUCCESS = gauge("tls_handshake_success", &["target", "address"], "1 if the handshake and the certificate were good.");
    TLS_HANDSHAKE_DURATION = gauge("tls_handshake_duration_seconds", &["target", "address"], "What the handshake took.");
    TLS_INFO = gauge("tls_info", &["target", "address", "version", "cipher", "key_exchange", "alpn"], "The parameters of the session.");
    TLS_TRUSTED = gauge("tls_trusted", &["target", "roots"], "1 if the presented chain is trusted by these roots: platform (this host's), public_web, ca_file. The name is judged apart.");
    TLS_INTERCEPTED = gauge("tls_intercepted", &["target"], "1 if something between here and the server is suspected to sign in its place.");
    TLS_CERT_NOT_AFTER = gauge("tls_cert_not_after_timestamp_seconds", &["target", "host", "position"], "The last instant of the certificate's validity; position 0 is the leaf; the smallest over addresses.");
    TLS_CERT_NOT_BEFORE = gauge("tls_cert_not_before_timestamp_seconds", &["target", "host", "position"], "The first instant of the certificate's validity; position 0 is the leaf; the smallest over addresses.");
    TLS_CERT_INFO = gauge("tls_cert_info", &["target", "host", "position", "subject", "issuer", "serial", "fingerprint_sha256"], "A presented certificate, whatever the verdict on it.");
    TLS_OCSP_STAPLED = gauge("tls_ocsp_stapled", &["target"], "1 if an OCSP response came with the certificate; it is not verified.");
    TLS_PIN_MATCHED = gauge("tls_pin_matched", &["target"], "1 if one of the configured keys is in the chain; absent without pins.");
    HTTP_STATUS_CODE = gauge("http_status_code", &["target"], "The status of the last response; absent where none came.");
    HTTP_REDIRECTS = gauge("http_redirects", &["target"], "Redirects followed; absent where no response came.");
    HTTP_RESPONSE_BYTES = gauge("http_response_bytes", &["target"], "The last response's body as it came over the wire.");
    HTTP_CLOCK_SKEW = gauge("http_clock_skew_seconds", &["target"], "The server's clock minus this host's, from the Date header (whole seconds).");
    HTTP_DURATION = gauge("http_duration_seconds", &["target", "phase"], "first_byte: from the request to the response's head; transfer: the body; both summed over hops.");
    PAGE_CHECK_SUCCESS = gauge("page_check_success", &["target", "check"], "1 if the page passes the check: title, contains_1, not_contains_1, matches_1, form_field_1, block_marker_1.");
    LAST_GOOD_CHANGED_INFO = gauge("last_good_changed_info", &["target", "fact"], "1 while a failing target's issuer, key or addresses are not what they were when it was last good.");
    LAST_GOOD_CHANGED_TIMESTAMP = gauge("last_good_changed_timestamp_seconds", &["target", "fact"], "The probe that first saw the fact as it is now.");
    DEADLINE_START = gauge("deadline_start_timestamp_seconds", &["deadline"], "From when on the duty can be done.");
    DEADLINE_TIMESTAMP = gauge("deadline_timestamp_seconds", &["deadline", "bound"], "When the deadline is over: strict by the circular's text, outer by its table.");
    DEADLINE_ALERT_UNTIL = gauge("deadline_alert_until_timestamp_seconds", &["deadline"], "When a missed deadline stops to matter.");
    DEADLINE_BUSINESS_DAYS_LEFT = gauge("deadline_business_days_left", &["deadline"], "Hong Kong business days to the last day to act, today included; absent outside the calendar.");
    DEADLINE_DONE = gauge("deadline_done", &["deadline"], "1 if the configuration says that it is done, or, of connection_verification, if the evidence shows it: a full pass of every login target, and every terminal seen.");
    EVENT_START = gauge("event_start_timestamp_seconds", &["event"], "When a briefing or milestone begins, at the earliest.");
    EVENT_END = gauge("event_end_timestamp_seconds", &["event"], "When a briefing or milestone is over, at the latest.");
    EVENT_BUSINESS_DAYS_LEFT = gauge("event_business_days_left", &["event"], "Hong Kong business days to the event's first day; absent outside the calendar.");
    EVENT_INFO = gauge("event_info", &["event", "precision", "status"], "How precise the date is, and whether it is tentative.");
    PHASE = gauge("phase", &["phase"], "1 for the phase of the migration that holds now: preparation, parallel_run, sole_2fa; a tentative later phase holds from its earliest start.");
    PHASE_CERTAIN = gauge("phase_certain", &[], "0 between the earliest and the latest start of a tentative phase, unless its actual date is configured.");
    TIMETABLE_INFO = gauge("timetable_info", &["reference", "issued", "status", "hash"], "The timetable in force.");
    CALENDAR_VALID_UNTIL = gauge("calendar_valid_until_timestamp_seconds", &[], "The end of the table of Hong Kong's general holidays; business days after it are absent.");
    ACCOUNTS = gauge("accounts", &["kind", "email"], "Accounts by how far the registration of their e-mail address is: missing, submitted, confirmed; only where a readiness file is configured.");
    ACCOUNTS_AFTER_LAUNCH = gauge("accounts_created_after_launch", &["kind"], "Accounts created since the launch: they have no smartcard to fall back to.");
    ACCOUNTS_UPDATED = gauge("accounts_updated_timestamp_seconds", &[], "When the readiness file was written that the counts are of.");
    READINESS_MAX_AGE = gauge("readiness_max_age_seconds", &[], "How old the readiness file may be.");
    READINESS_READABLE = gauge("readiness_readable", &[], "1 if the readiness file can be read as it is now; else the counts are those of the last good one.");
    READINESS_CONTRADICTIONS = gauge("readiness_contradictions", &[], "Kinds of accounts whose deadline is marked as done while some are missing, and kinds with more or fewer than expected_total.");
    EVIDENCE_RECORDS = gauge("evidence_records", &[], "Records in the evidence; only where a data directory is configured.");
    EVIDENCE_HEAD_INFO = gauge("evidence_head_info", &["hash"], "The hash of the newest record; all zeros before the first. Kept off this host, it shows whether records were cut off.");
    EVIDENCE_FAULTS = gauge("evidence_faults", &[], "What the exporter read of its evidence that is not as it was written: altered, missing, out of order, or gone since it was read; `evidence check` names it.");
    EVIDENCE_ERRORS = counter("evidence_errors_total", &[], "Tries since start to record evidence that put nothing on disk.");
    VERIFICATION_LAST_PASS = gauge("verification_last_pass_timestamp_seconds", &["target"], "When the newest recorded full pass began: every layer good and the page checked.");
    TERMINALS_EXPECTED = gauge("terminals_expected", &[], "CCASS Terminals in the configuration.");
    TERMINALS_CHECKED = gauge("terminals_checked", &["outcome"], "Terminals by the newest check in Edge since the verification opened: seen, not-seen.");
    SERVICE_OPEN = gauge("service_open", &[], "1 inside the service hours and outside announced maintenance.");
    EXPECTED_SITES = gauge("expected_sites", &[], "How many sites should report; only where configured.");
    REFUSALS = counter("probe_endpoint_refusals_total", &["cause"], "Calls of /probe since start that were refused: unknown_module, time_limit, missing_target, parameter, malformed, scheme, credentials, host, port, address, busy.");
    CONFIG_RELOAD_SUCCESSFUL = gauge("config_last_reload_successful", &[], "1 if the files were read without a mistake when they were read last; else an older configuration is in force.");
    CONFIG_RELOAD_TIMESTAMP = gauge("config_last_reload_success_timestamp_seconds", &[], "When the configuration in force was read.");
    BUILD_INFO = gauge("build_info", &["version"], "The exporter's version.");
    EXPORTER_TIME = gauge("exporter_time_seconds", &[], "The exporter's clock at the scrape.");
}
