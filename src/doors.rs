//! What each command does: read, call, render, and say how it ended.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::calendar::midnight;
use crate::cli::{DrillArgs, Flags, TimetableArgs, TimetableFormat, Verify, VerifyFormat};
use crate::clock::Clock;
use crate::config::{Clients, Config, LOGIN_MODULE, Target, WebConfig, duration};
use crate::drill::{self, Access, Drill};
use crate::memory::MemoryFile;
use crate::probe::{Engine, Roots};
use crate::render;
use crate::render::timetable::Explain;
use crate::report::{Report, Role};
use crate::serve::{self as service, Files, Prefix, ReloadRequest, Service};
use crate::timetable::Standing;

/// How a command ended, and its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// 0
    Good,
    /// 1: the answer is no.
    No,
    /// 2: usage or configuration.
    Mistaken,
    /// 3: a failure of our own.
    OwnFailure,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(match ending {
            Ending::Good => 0,
            Ending::No => 1,
            Ending::Mistaken => 2,
            Ending::OwnFailure => 3,
        })
    }
}

/// Serves until SIGTERM or Ctrl-C.
///
/// # Errors
/// Signals cannot be waited for, a listen address cannot be bound, or the data directory cannot be written into.
pub async fn serve(flags: &Flags, clock: Clock) -> anyhow::Result<Ending> {
    let prefix = match prefix(flags) {
        Ok(prefix) => prefix,
        Err(message) => {
            eprintln!("{message}");
            return Ok(Ending::Mistaken);
        }
    };
    let files = Files {
        config: flags.config_file.clone(),
        web: flags.web_config_file.clone(),
    };
    let (in_force, web) = match files.read(clock) {
        Ok(read) => read,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return Ok(Ending::Mistaken);
        }
    };
    let stop = CancellationToken::new();
    let reloads = service::reloads();
    let signals = heed_signals(stop.clone(), reloads.0.clone());
    tokio::spawn(signals.context("cannot wait for signals")?);
    let memory = match &in_force.config.data_directory {
        None => None,
        Some(directory) => Some(MemoryFile::open(directory).with_context(|| {
            let directory = directory.display();
            format!("cannot write into the data_directory {directory}")
        })?),
    };
    let mut listeners = Vec::new();
    for address in &flags.web_listen_address {
        let listener = service::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
        info!(address = %listener.local_addr()?, "listening");
        listeners.push(listener);
    }
    let targets = in_force.config.targets.len();
    info!(version = env!("CARGO_PKG_VERSION"), targets, "started");
    tell_service_manager(State::Ready);
    let service = Service {
        files,
        in_force,
        web,
        listeners,
        prefix,
        memory,
        clock,
        stop,
    };
    service::run(service, reloads).await;
    info!("stopped");
    Ok(Ending::Good)
}

/// What a service manager is told.
enum State {
    Ready,
    Stopping,
}

/// Where systemd waits for it (`Type=notify`); elsewhere nobody listens.
#[cfg(unix)]
fn tell_service_manager(state: State) {
    let state = match state {
        State::Ready => sd_notify::NotifyState::Ready,
        State::Stopping => sd_notify::NotifyState::Stopping,
    };
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

#[cfg(windows)]
fn tell_service_manager(_state: State) {}

fn prefix(flags: &Flags) -> Result<Prefix, String> {
    let external = flags.web_external_url.as_deref();
    Prefix::new(external, flags.web_route_prefix.as_deref())
}

/// Cancels `stop` on SIGTERM or Ctrl-C, and asks for a reload on SIGHUP. It listens from the call on,
/// so that no signal is lost between the start and the first line of the log.
#[cfg(unix)]
fn heed_signals(
    stop: CancellationToken,
    reload: mpsc::Sender<ReloadRequest>,
) -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = hangup.recv() => {
                    // Where several wait already, one of them reads what this one would.
                    let _ = reload.try_send(None);
                }
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        tell_service_manager(State::Stopping);
        stop.cancel();
    })
}

#[cfg(windows)]
fn heed_signals(
    stop: CancellationToken,
    _reload: mpsc::Sender<ReloadRequest>,
) -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
        tell_service_manager(State::Stopping);
        stop.cancel();
    })
}

/// Probes once and tells.
///
/// # Errors
/// The output cannot be written.
pub async fn verify(flags: &Flags, args: &Verify, clock: Clock) -> anyhow::Result<Ending> {
    let Some(config) = configuration(flags) else {
        return Ok(Ending::Mistaken);
    };
    let targets = match chosen(&config, args.target.as_deref()) {
        Ok(targets) => targets,
        Err(message) => {
            eprintln!("{message}");
            return Ok(Ending::Mistaken);
        }
    };
    let roots = Roots::load();
    let engine = Engine::new(&config.modules, &roots, config.site.clone(), clock);
    let reports = probe_all(&engine, &targets, config.probe.concurrency).await;
    let memory = config.data_directory.as_deref();
    let memory = memory.map(|directory| MemoryFile::beside(directory).load());
    let memory = memory.unwrap_or_default();
    let contacts = &config.contacts;
    let told: Vec<&Report> = reports.iter().collect();
    let text = match args.format {
        VerifyFormat::Text => render::text::reports(&told, contacts, &memory),
        VerifyFormat::Json => render::json::reports(&told, contacts, &memory, clock.now())?,
    };
    put(&text, args.output.as_deref())?;
    // A control that fails is no answer to whether the login works, unless it was asked for.
    let decides = |report: &&Report| report.role == Role::Login || args.target.is_some();
    let mut deciding = reports.iter().filter(decides);
    Ok(match deciding.all(|report| report.verdict.is_good()) {
        true => Ending::Good,
        false => Ending::No,
    })
}

/// The targets that the argument means.
fn chosen(config: &Config, argument: Option<&str>) -> Result<Vec<Arc<Target>>, String> {
    let Some(argument) = argument else {
        return match config.targets.is_empty() {
            false => Ok(config.targets.clone()),
            true => Err("no target is configured; name an https address".to_owned()),
        };
    };
    if let Some(target) = config.target(argument) {
        return Ok(vec![Arc::clone(target)]);
    }
    let names: Vec<_> = config
        .targets
        .iter()
        .map(|target| target.name.as_str())
        .collect();
    let unknown = || {
        format!(
            "{argument:?} is neither a configured target ({}) nor an https address",
            names.join(", ")
        )
    };
    let module = config
        .modules
        .get(LOGIN_MODULE)
        .filter(|_| argument.contains("://"));
    let module = module.ok_or_else(unknown)?;
    let target = Target::ad_hoc(argument, Arc::clone(module), config.probe.timeout)?;
    Ok(vec![Arc::new(target)])
}

/// In the order of the targets, so many at a time.
async fn probe_all(engine: &Engine, targets: &[Arc<Target>], concurrency: usize) -> Vec<Report> {
    let probes = targets.iter().map(|target| engine.probe(target));
    stream::iter(probes).buffered(concurrency).collect().await
}

/// Shows the circular's dates.
///
/// # Errors
/// The output cannot be written.
pub fn timetable(flags: &Flags, args: &TimetableArgs, clock: Clock) -> anyhow::Result<Ending> {
    let Some(config) = configuration(flags) else {
        return Ok(Ending::Mistaken);
    };
    let at = match args.at.as_deref().map(instant) {
        None => clock.now(),
        Some(Ok(at)) => at,
        Some(Err(message)) => {
            eprintln!("--at: {message}");
            return Ok(Ending::Mistaken);
        }
    };
    let standing = config.timetable.standing(at, &config.calendar);
    let text = match args.format {
        TimetableFormat::Text => {
            let explain = match args.explain {
                true => Explain::WithSentences,
                false => Explain::DatesOnly,
            };
            render::timetable::text(&config.timetable, &standing, explain)
        }
        TimetableFormat::Json => {
            let value = render::timetable::json(&config.timetable, &standing);
            format!("{value:#}\n")
        }
        TimetableFormat::Alertmanager => match years(&args.year, &standing, &config) {
            Ok(years) => render::timetable::alertmanager(&config.calendar, &years),
            Err(message) => {
                eprintln!("--year: {message}");
                return Ok(Ending::Mistaken);
            }
        },
    };
    put(&text, None)?;
    Ok(Ending::Good)
}

/// The years asked for; without any, this one and the next, as far as the calendar goes.
fn years(asked: &[i16], standing: &Standing, config: &Config) -> Result<Vec<i16>, String> {
    let known = config.calendar.years();
    let outside = asked.iter().find(|year| !known.contains(year));
    match (outside, asked.is_empty()) {
        (Some(year), _) => Err(format!(
            "the calendar has no holidays of {year}; it goes from {} to {}",
            known.start(),
            known.end()
        )),
        (None, false) => Ok(asked.to_vec()),
        (None, true) => {
            let this = standing.today.year();
            Ok([this, this + 1]
                .into_iter()
                .filter(|year| known.contains(year))
                .collect())
        }
    }
}

/// A date means its first instant in Hong Kong.
fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    text.parse::<Date>().map(midnight).map_err(|_| {
        format!(
            "{text:?} is neither a date (2023-04-27) nor an instant (2023-04-27T08:05:00+08:00)"
        )
    })
}

/// Reads every file; a mistake in any is told on standard error.
///
/// # Errors
/// The output cannot be written.
pub fn check(flags: &Flags, clock: Clock) -> anyhow::Result<Ending> {
    let config = configuration(flags);
    let web = WebConfig::load(flags.web_config_file.as_deref());
    if let Err(mistakes) = &web {
        eprintln!("{mistakes}");
    }
    let (Some(config), Ok(_)) = (config, web) else {
        return Ok(Ending::Mistaken);
    };
    put(&render::summary::of(&config, clock.now()), None)?;
    Ok(Ending::Good)
}

/// Rehearses the alarm.
///
/// # Errors
/// Standard output cannot be written.
pub async fn drill(flags: &Flags, args: &DrillArgs, clock: Clock) -> anyhow::Result<Ending> {
    let Some(config) = configuration(flags) else {
        return Ok(Ending::Mistaken);
    };
    let (alertmanager, hold) = match (args.alertmanager.parse(), duration(&args.hold)) {
        (Ok(url), Ok(hold)) => (url, hold),
        (Err(error), _) => {
            eprintln!("--alertmanager: {error}; write for example http://localhost:9093");
            return Ok(Ending::Mistaken);
        }
        (_, Err(message)) => {
            eprintln!("--hold: {message}");
            return Ok(Ending::Mistaken);
        }
    };
    let drill = Drill {
        alertmanager,
        severity: args.severity.code().to_owned(),
        site: config.site,
        hold,
        access: Access {
            username: args.username.clone(),
            password_file: args.password_file.clone(),
            ca_file: args.ca_file.clone(),
        },
    };
    match drill::run(&drill, clock, |step| {
        let _ = writeln!(io::stdout(), "{step}");
    })
    .await
    {
        Ok(()) => Ok(Ending::Good),
        Err(error) => {
            eprintln!("{error:#}");
            Ok(Ending::No)
        }
    }
}

/// Asks the first listen address on this host, as the same flags would make it listen. A listener
/// that wants a password answers by asking for it, which is a sign of life; one that wants a
/// certificate is only connected to.
///
/// # Errors
/// The question cannot be put at all.
pub async fn healthcheck(flags: &Flags) -> anyhow::Result<Ending> {
    let (prefix, web) = match (
        prefix(flags),
        WebConfig::load(flags.web_config_file.as_deref()),
    ) {
        (Ok(prefix), Ok(web)) => (prefix, web),
        (Err(message), _) => {
            eprintln!("{message}");
            return Ok(Ending::Mistaken);
        }
        (_, Err(mistakes)) => {
            eprintln!("{mistakes}");
            return Ok(Ending::Mistaken);
        }
    };
    let address = flags.web_listen_address.first().map_or("", String::as_str);
    let authority = match address.rsplit_once(':') {
        Some(("" | "0.0.0.0" | "[::]", port)) => format!("localhost:{port}"),
        Some(_) | None => address.to_owned(),
    };
    let answered = match &web.tls {
        Some(tls) if tls.clients == Clients::NeedACertificate => {
            let connected = tokio::net::TcpStream::connect(&authority);
            match tokio::time::timeout(HEALTH_LIMIT, connected).await {
                Ok(connected) => connected.map(drop).map_err(anyhow::Error::from),
                Err(elapsed) => Err(elapsed.into()),
            }
        }
        tls => {
            let scheme = if tls.is_some() { "https" } else { "http" };
            let path = prefix.path("/-/healthy");
            ask_health(&format!("{scheme}://{authority}{path}")).await
        }
    };
    match answered {
        Ok(()) => Ok(Ending::Good),
        Err(error) => {
            eprintln!("{error:#}");
            Ok(Ending::No)
        }
    }
}

const HEALTH_LIMIT: Duration = Duration::from_secs(5);

async fn ask_health(url: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .timeout(HEALTH_LIMIT)
        .no_proxy()
        // Nothing secret is sent, and the certificate names the host as others call it.
        .tls_danger_accept_invalid_certs(true)
        .build()?;
    let answer = client.get(url).send().await?;
    if answer.status() != reqwest::StatusCode::UNAUTHORIZED {
        answer.error_for_status()?;
    }
    Ok(())
}

/// The configuration, or its mistakes on standard error.
fn configuration(flags: &Flags) -> Option<Config> {
    Config::load(flags.config_file.as_deref())
        .map_err(|error| eprintln!("{error}"))
        .ok()
}

/// Writes text that may hold colours: they stay on a terminal only.
fn put(text: &str, file: Option<&Path>) -> anyhow::Result<()> {
    match file {
        Some(path) => {
            let plain = anstream::adapter::strip_str(text).to_string();
            fs::write(path, plain).with_context(|| format!("cannot write {}", path.display()))
        }
        None => match anstream::stdout().write_all(text.as_bytes()) {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.context("cannot write to standard output"),
        },
    }
}
