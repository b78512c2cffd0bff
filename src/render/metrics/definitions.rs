//! The definition of every metric; `docs/metrics.md` is generated from this table.

use super::family::MetricDesc;

macro_rules! definitions {
    ($($name:ident = $kind:ident($($part:expr),* $(,)?);)*) => {
        $(pub(super) static $name: MetricDesc = MetricDesc::$kind($($part),*);)*
        /// In the order of the documentation.
        pub static DEFINITIONS: &[&MetricDesc] = &[$(&$name),*];
    };
}

definitions! {
    PROBE_SUCCESS = gauge("probe_success", &["target", "role"], "1 if every layer succeeded in the latest probe; http is the last layer if no page check is configured.");
    FINDING_INFO = gauge("finding_info", &["target", "finding"], "1 while a finding is present: a problem that does not stop a login.");
    TARGET_INFO = gauge("target_info", &["target", "role", "url", "module", "group"], "The configured target; targets of one group lead to the same page.");
    GROUP_WAY_SUCCESS = gauge("group_way_success", &["group", "target", "way"], "1 if the latest probe of one path to a group's page succeeded; way is direct or proxy. Only for groups of two or more targets.");
    PROBE_LAYER_SUCCESS = gauge("probe_layer_success", &["target", "layer"], "1 if the layer succeeded in the latest probe; absent for a layer that was not reached or is not configured.");
    PROBE_LAYER_DURATION = gauge("probe_layer_duration_seconds", &["target", "layer"], "Duration of the layer in the latest probe, over all hops.");
    PROBE_FAILURE_INFO = gauge("probe_failure_info", &["target", "layer", "reason"], "1 while the latest probe fails: the first failing layer and the reason.");
    PROBE_FAILURE_ADVICE_INFO = gauge("probe_failure_advice_info", &["target", "ask", "answered_by"], "1 while the latest probe fails: the contact (a key of the configuration's contacts) and the origin of the response: origin, interceptor, proxy or unknown.");
    PROBE_ATTEMPTS = counter("probe_attempts_total", &["target"], "Probes since start.");
    PROBE_SUCCESSES = counter("probe_successes_total", &["target"], "Successful probes since start.");
    PROBE_FAILURES = counter("probe_failures_total", &["target", "layer", "reason"], "Failed probes since start, by first failing layer and reason.");
    PROBE_DURATION = histogram("probe_duration_seconds", &["target"], "Duration of probes until their verdict.");
    PROBE_TIMEOUT = gauge("probe_timeout_seconds", &["target"], "The timeout of a probe, shared by its layers.");
    PROBE_LAST_RUN = gauge("probe_last_run_timestamp_seconds", &["target"], "Start time of the latest probe.");
    PROBE_LAST_SUCCESS = gauge("probe_last_success_timestamp_seconds", &["target"], "Start time of the latest successful probe; kept across restarts in the data directory, absent until there was one.");
    PROBE_INTERVAL = gauge("probe_interval_seconds", &["target"], "The probe interval of the target.");
    PROBE_PAUSED_UNTIL = gauge("probe_paused_until_timestamp_seconds", &["target"], "Until when the target is not probed because the server asked to wait (429 or 503 with Retry-After), at most ten minutes; absent if the latest response did not ask.");
    PROBE_MISSED = counter("probe_missed_total", &["target", "cause"], "Probe cycles that did not run on time: overrun, limit or backoff.");
    BROWSER_SUCCESS = gauge("browser_success", &["target"], "1 if a browser of this host showed the page in its latest check and the page checks hold; 0 also if no browser could be started. Only for targets of the key browser.");
    BROWSER_DURATION = gauge("browser_duration_seconds", &["target"], "How long the browser took to load the page; absent if it did not.");
    BROWSER_FAILURE_INFO = gauge("browser_failure_info", &["target", "reason", "error"], "1 while the latest browser check fails: the reason, and the browser's own error or why no browser was started. The reason is empty if none fits that error.");
    BROWSER_LAST_RUN = gauge("browser_last_run_timestamp_seconds", &["target"], "Start time of the latest browser check.");
    BROWSER_INTERVAL = gauge("browser_interval_seconds", &["target"], "The interval of the browser checks.");
    BROWSER_DIFFERS = gauge("browser_differs_from_probe", &["target"], "1 if the browser shows the page and the latest probe does not reach it, or the reverse; absent if no browser was started, or not for two intervals.");
    DNS_LOOKUP_SUCCESS = gauge("dns_lookup_success", &["target", "resolver", "record"], "1 if the resolver returned a usable response; an empty one is usable if the other address family has addresses.");
    DNS_LOOKUP_DURATION = gauge("dns_lookup_duration_seconds", &["target", "resolver", "record"], "Duration of the query.");
    DNS_ANSWERS = gauge("dns_answers", &["target", "resolver", "record"], "Addresses in the response; absent without a response.");
    DNS_MIN_TTL = gauge("dns_min_ttl_seconds", &["target", "resolver", "record"], "The smallest TTL of the addresses in the response.");
    DNS_LOOKUP_FAILURE_INFO = gauge("dns_lookup_failure_info", &["target", "resolver", "record", "reason"], "1 while the resolver's latest response is not usable, with the reason.");
    DNS_SESSION_DURATION = gauge("dns_session_duration_seconds", &["target", "resolver", "record"], "Duration of the handshake with an encrypted resolver, included in the query's duration.");
    DNS_CERT_NOT_AFTER = gauge("dns_cert_not_after_timestamp_seconds", &["target", "resolver"], "Expiry time of an encrypted resolver's certificate.");
    DNS_CERT_INFO = gauge("dns_cert_info", &["target", "resolver", "subject", "issuer", "serial", "fingerprint_sha256"], "The certificate that an encrypted resolver presented, whether trusted or not.");
    DNS_ANSWER_EXPECTED = gauge("dns_answer_expected", &["target", "resolver"], "1 if every address in the resolver's response is within the expected ranges; only if expected_addresses are configured.");
    DNS_RESOLVERS_AGREE = gauge("dns_resolvers_agree", &["target"], "1 if all resolvers that responded return the same addresses; absent with fewer than two.");
    DNS_ANSWER_CHANGES = counter("dns_answer_changes_total", &["target"], "Changes of the set of addresses used for connections, since start.");
    ADDRESS_PROBE_SUCCESS = gauge("address_probe_success", &["target", "address"], "1 if the latest request of the last hour to the address succeeded; only while requests to some addresses succeed and to others fail.");
    ADDRESS_INFO = gauge("address_info", &["target", "address", "family"], "The addresses used for connections.");
    TCP_CONNECT_SUCCESS = gauge("tcp_connect_success", &["target", "address"], "1 if the address accepted a connection.");
    TCP_CONNECT_DURATION = gauge("tcp_connect_duration_seconds", &["target", "address"], "Duration of the connection attempt.");
    TLS_HANDSHAKE_SUCCESS = gauge("tls_handshake_success", &["target", "address"], "1 if the handshake succeeded and the certificate is valid.");
    TLS_HANDSHAKE_DURATION = gauge("tls_handshake_duration_seconds", &["target", "address"], "Duration of the handshake.");
    TLS_INFO = gauge("tls_info", &["target", "address", "version", "cipher", "key_exchange", "alpn"], "The negotiated session parameters.");
    TLS_TRUSTED = gauge("tls_trusted", &["target", "roots"], "1 if the presented chain is trusted by these roots: platform (this host), public_web, ca_file. The name is checked separately.");
    TLS_INTERCEPTED = gauge("tls_intercepted", &["target"], "1 if TLS inspection between this host and the server is suspected.");
    TLS_CERT_NOT_AFTER = gauge("tls_cert_not_after_timestamp_seconds", &["target", "host", "position"], "Expiry time of the certificate; position 0 is the leaf; the earliest over all addresses.");
    TLS_CERT_NOT_BEFORE = gauge("tls_cert_not_before_timestamp_seconds", &["target", "host", "position"], "Start of the certificate's validity; position 0 is the leaf; the earliest over all addresses.");
    TLS_CHAIN_VALID_UNTIL = gauge("tls_chain_valid_until_timestamp_seconds", &["target", "host", "roots"], "End of the path from the server's certificate to a trusted root that lasts longest, by verified signatures and whatever the present time; one series for each set of roots that the module lists; absent without such a path; the earliest over all addresses.");
    TLS_CERT_NEEDED = gauge("tls_cert_needed", &["target", "host", "position"], "1 if the path that counts needs the presented certificate, 0 for a spare one, whose end stops no login; absent without a path.");
    TLS_CERT_INFO = gauge("tls_cert_info", &["target", "host", "position", "subject", "issuer", "serial", "fingerprint_sha256"], "A presented certificate, whether trusted or not.");
    TLS_OCSP_STAPLED = gauge("tls_ocsp_stapled", &["target"], "1 if an OCSP response was stapled; it is not verified.");
    TLS_PIN_MATCHED = gauge("tls_pin_matched", &["target"], "1 if one of the configured pins is in the chain; absent without pins.");
    HTTP_STATUS_CODE = gauge("http_status_code", &["target"], "Status code of the last response; absent without a response.");
    HTTP_REDIRECTS = gauge("http_redirects", &["target"], "Redirects followed; absent without a response.");
    HTTP_REQUESTS_REPEATED = counter("http_requests_repeated_total", &["target"], "Requests sent a second time on another connection since start, because the server said that it had not processed them (HTTP/2).");
    HTTP_RESPONSE_BYTES = gauge("http_response_bytes", &["target"], "Size of the last response body on the wire.");
    HTTP_CLOCK_SKEW = gauge("http_clock_skew_seconds", &["target"], "The server's clock minus this host's clock, from the Date header (whole seconds).");
    HTTP_DURATION = gauge("http_duration_seconds", &["target", "phase"], "first_byte: from the request to the response headers; transfer: the body; both summed over hops.");
    PAGE_CHECK_SUCCESS = gauge("page_check_success", &["target", "check"], "1 if the page passes the check: title, contains_1, not_contains_1, matches_1, form_field_1, block_marker_1.");
    LAST_GOOD_CHANGED_INFO = gauge("last_good_changed_info", &["target", "fact"], "1 while the issuer, key or addresses of a failing target differ from those of its last success.");
    LAST_GOOD_CHANGED_TIMESTAMP = gauge("last_good_changed_timestamp_seconds", &["target", "fact"], "Time of the probe that first saw the current value.");
    DEADLINE_START = gauge("deadline_start_timestamp_seconds", &["deadline"], "Time from which the obligation can be fulfilled.");
    DEADLINE_TIMESTAMP = gauge("deadline_timestamp_seconds", &["deadline", "bound"], "Time of the deadline: strict by the circular's text, outer by its table.");
    DEADLINE_ALERT_UNTIL = gauge("deadline_alert_until_timestamp_seconds", &["deadline"], "Time at which alerts about a missed deadline end.");
    DEADLINE_BUSINESS_DAYS_LEFT = gauge("deadline_business_days_left", &["deadline"], "Hong Kong business days until the last day to act, today included; absent outside the calendar.");
    DEADLINE_DONE = gauge("deadline_done", &["deadline"], "1 if the configuration lists the deadline as done or, for connection_verification, if the evidence shows a full pass of every login target and every terminal seen.");
    EVENT_START = gauge("event_start_timestamp_seconds", &["event"], "Earliest start of a briefing or milestone.");
    EVENT_END = gauge("event_end_timestamp_seconds", &["event"], "Latest end of a briefing or milestone.");
    EVENT_BUSINESS_DAYS_LEFT = gauge("event_business_days_left", &["event"], "Hong Kong business days until the event's first day; absent outside the calendar.");
    EVENT_INFO = gauge("event_info", &["event", "precision", "status"], "Precision of the date, and whether it is tentative.");
    PHASE = gauge("phase", &["phase"], "1 for the current phase of the migration: preparation, parallel_run, sole_2fa; a tentative later phase counts from its earliest start.");
    PHASE_CERTAIN = gauge("phase_certain", &[], "0 between the earliest and the latest start of a tentative phase, unless its actual date is configured.");
    TIMETABLE_INFO = gauge("timetable_info", &["reference", "issued", "status", "hash"], "The active timetable.");
    CALENDAR_VALID_UNTIL = gauge("calendar_valid_until_timestamp_seconds", &[], "End of the table of Hong Kong's general holidays; business days after it are absent.");
    ACCOUNTS = gauge("accounts", &["kind", "email"], "Accounts by state of the e-mail registration: missing, submitted, confirmed; only if a readiness file is configured.");
    ACCOUNTS_AFTER_LAUNCH = gauge("accounts_created_after_launch", &["kind"], "Accounts created since the launch, which have no smartcard.");
    ACCOUNTS_UPDATED = gauge("accounts_updated_timestamp_seconds", &[], "Modification time of the readiness file that the counts come from.");
    READINESS_MAX_AGE = gauge("readiness_max_age_seconds", &[], "Maximum age of the readiness file.");
    READINESS_READABLE = gauge("readiness_readable", &[], "1 if the readiness file is valid; otherwise the counts are from the last valid one.");
    READINESS_CONTRADICTIONS = gauge("readiness_contradictions", &[], "Account kinds whose deadline is marked as done while addresses are missing, and kinds whose total differs from expected_total.");
    EVIDENCE_RECORDS = gauge("evidence_records", &[], "Records in the evidence; only if a data directory is configured.");
    EVIDENCE_HEAD_INFO = gauge("evidence_head_info", &["hash", "number"], "The hash and the number of the newest record, zeros before the first. Stored outside this host, it proves that no record was removed.");
    EVIDENCE_FAULTS = gauge("evidence_faults", &[], "Faults in the evidence: altered, missing, reordered or removed records; `evidence check` lists them.");
    EVIDENCE_ERRORS = counter("evidence_errors_total", &[], "Failed attempts to write evidence since start.");
    VERIFICATION_LAST_PASS = gauge("verification_last_pass_timestamp_seconds", &["target"], "Start time of the latest recorded full pass: every layer succeeded and the page was checked.");
    TERMINALS_EXPECTED = gauge("terminals_expected", &[], "CCASS Terminals in the configuration.");
    TERMINALS_CHECKED = gauge("terminals_checked", &["outcome"], "Terminals by their latest check since the verification opened: seen, not-seen by a person in Edge; browser-seen, browser-not-seen by an automatic check.");
    SERVICE_OPEN = gauge("service_open", &[], "1 inside the service hours and outside announced maintenance.");
    EXPECTED_SITES = gauge("expected_sites", &[], "Number of sites that should report; only if configured.");
    REFUSALS = counter("probe_endpoint_refusals_total", &["cause"], "Rejected /probe requests since start: unknown_module, time_limit, missing_target, parameter, malformed, scheme, credentials, host, port, address, busy.");
    FILE_READ_FAILURES = counter("file_read_failures_total", &["file"], "Failed attempts to read a file since start, for example because its file system did not answer in time: config, web_config, tls_key, roots, readiness, timetable, calendar, credentials, state, evidence.");
    RECORDING = gauge("recording", &["content"], "1 if the exporter saves history and evidence in its data directory; 0 if another exporter uses the directory, and for history also while the state file cannot be read or written; only if a data directory is configured.");
    CLOCK_STEPS = counter("clock_steps_total", &[], "Steps of the host's clock by more than a minute since start, measured against the monotonic clock; also after a suspension of the host.");
    CONFIG_RELOAD_SUCCESSFUL = gauge("config_last_reload_successful", &[], "1 if the last reload of the configuration succeeded; otherwise the previous configuration is active.");
    CONFIG_RELOAD_TIMESTAMP = gauge("config_last_reload_success_timestamp_seconds", &[], "Time at which the active configuration was loaded.");
    BUILD_INFO = gauge("build_info", &["version"], "The exporter's version.");
    EXPORTER_TIME = gauge("exporter_time_seconds", &[], "The exporter's clock at the scrape.");
}
