//! Binary size and start-up time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::figures::Figures;
use crate::network::BenchNetwork;
use crate::programs::{Programs, targets};
use crate::samples::Samples;

const STARTS: usize = 21;
const MB: f64 = 1e6;
const PORT: u16 = 10762;

pub async fn measure(
    network: &BenchNetwork,
    programs: &Programs,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let size = std::fs::metadata(&programs.ours)?.len() as f64;
    figures.row(
        "the release binary, stripped",
        "MB",
        Samples::one(size / MB),
        (14.0, 10.0),
    );
    let text = format!(
        "modules: {{page: {{tls: {{ca_file: {}}}}}}}\ntargets:{}\n",
        network.path("ca.pem").display(),
        targets(1)
    );
    let config = network.write("one.yml", &text)?;
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let mut child = Command::new(&programs.ours)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{PORT}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let began = Instant::now();
        let answered = first_answer(began);
        child.kill()?;
        child.wait()?;
        starts.push(answered?.as_secs_f64() * 1e3);
    }
    figures.row(
        "start to first response of /-/healthy",
        "ms",
        Samples::of(starts),
        (30.0, 10.0),
    );
    Ok(())
}

/// Time from `began` until it is healthy.
fn first_answer(began: Instant) -> anyhow::Result<Duration> {
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", PORT)) {
            Ok(stream) => break stream,
            Err(_) => std::thread::sleep(Duration::from_micros(200)),
        }
        ensure!(
            began.elapsed() < Duration::from_secs(10),
            "the exporter does not start"
        );
    };
    let request = "GET /-/healthy HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let after = began.elapsed();
    let line = answer.lines().next().context("an answer")?;
    ensure!(line.contains(" 200 "), "{line}");
    Ok(after)
}
