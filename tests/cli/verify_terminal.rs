//! `verify` as it looks in a terminal, and its one line for scripts.

use ccass_2fa_lab::{HttpFault, Lab, scenario};
use harness::exporter::{ConfigFile, command, output_of, run};
use harness::terminal::Terminal;

/// A control sequence that sets a color or another style.
fn has_styles(text: &str) -> bool {
    text.split("\u{1b}[").skip(1).any(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';');
        end.is_some_and(|end| rest[end..].starts_with('m'))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_shows_each_layer_while_it_runs_and_then_only_the_report() {
    let lab = Lab::start().await.unwrap();
    lab.login_server.set_fault(HttpFault::SilentAfterRequest);
    let text = lab.config().replace("timeout: 10s", "timeout: 3s");
    let config = ConfigFile::new(&text);
    let argument = config.argument();
    let mut terminal = Terminal::start(100, &[&argument, "verify"], &[]);
    terminal.wait_until("the HTTP layer in progress", |terminal| {
        let screen = terminal.screen();
        let line = |start: &str| screen.lines().any(|line| line.starts_with(start));
        line("  DNS   OK ")
            && line("  TCP   OK ")
            && line("  TLS   OK ")
            && line("  HTTP  running ")
    });
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(1), "{screen}");
    assert!(screen.starts_with("sso  https://sso.lab.test:"), "{screen}");
    assert!(screen.contains("FAILED at HTTP"), "{screen}");
    assert!(
        !screen.contains("running") && !screen.contains("probing"),
        "{screen}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_shows_a_line_for_each_of_several_targets() {
    let lab = Lab::start().await.unwrap();
    lab.login_server.set_fault(HttpFault::SilentAfterRequest);
    let text = lab.config().replace("timeout: 10s", "timeout: 3s");
    let second = format!(
        "  - {{name: second, url: \"{}\", module: lab_page}}\n",
        lab.url()
    );
    let config = ConfigFile::new(&format!("{text}{second}"));
    let argument = config.argument();
    let mut terminal = Terminal::start(100, &[&argument, "verify"], &[]);
    terminal.wait_until("two targets in progress", |terminal| {
        let screen = terminal.screen();
        screen.contains("sso  probing: HTTP ") && screen.contains("second  probing: HTTP ")
    });
    let (_, screen) = terminal.finish();
    assert!(!screen.contains("probing"), "{screen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_and_a_dumb_terminal_get_no_control_sequences() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    let output = run(&[&config.argument(), "verify"]).await;
    for stream in [&output.stdout, &output.stderr] {
        assert!(
            !stream.contains(&b'\x1b'),
            "{}",
            String::from_utf8_lossy(stream)
        );
    }
    let argument = config.argument();
    let mut terminal = Terminal::start(100, &[&argument, "verify"], &[("TERM", "dumb")]);
    terminal.finish();
    assert!(!terminal.raw.contains('\u{1b}'), "{:?}", terminal.raw);
}

#[tokio::test(flavor = "multi_thread")]
async fn colors_depend_on_the_terminal_no_color_and_the_flag() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    let argument = config.argument();
    for (flags, environment, is_colored) in [
        (&[][..], &[][..], true),
        (&[], &[("NO_COLOR", "1")], false),
        (&["--color=auto"], &[("NO_COLOR", "1")], false),
        (&["--color=never"], &[], false),
        (&["--color=always"], &[("NO_COLOR", "1")], true),
    ] {
        let arguments = [&[argument.as_str(), "verify"], flags].concat();
        let mut terminal = Terminal::start(100, &arguments, environment);
        let (code, screen) = terminal.finish();
        assert_eq!(code, Some(0), "{screen}");
        assert_eq!(
            has_styles(&terminal.raw),
            is_colored,
            "{flags:?} {environment:?}"
        );
        assert!(screen.contains("REACHED, page checked"), "{screen}");
    }
    // In a pipe.
    for (flag, is_colored) in [("--color=auto", false), ("--color=always", true)] {
        let mut verify = command();
        let output = output_of(verify.args([&argument, "verify", flag])).await;
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert_eq!(has_styles(&stdout), is_colored, "{flag}: {stdout}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_aligned_and_nothing_is_broken_at_80_and_at_120_columns() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&format!("site: central\n{}", lab.config()));
    let argument = config.argument();
    for (scenario_name, columns) in [
        (None, 80),
        (None, 120),
        (Some("tls-expired"), 80),
        (Some("tls-expired"), 120),
    ] {
        lab.heal();
        if let Some(name) = scenario_name {
            lab.provoke(scenario(name).unwrap());
        }
        let mut terminal = Terminal::start(columns, &[&argument, "verify"], &[]);
        let (_, screen) = terminal.finish();
        let lines: Vec<&str> = screen.lines().collect();
        // A line that the terminal had to break would be longer than its width here.
        let longest = lines.iter().map(|line| line.chars().count()).max().unwrap();
        assert!(
            longest <= usize::from(columns),
            "{longest} at {columns}:\n{screen}"
        );
        assert!(
            longest > usize::from(columns) * 8 / 10,
            "{longest} at {columns}:\n{screen}"
        );
        let layers: Vec<&&str> = lines
            .iter()
            .filter(|line| {
                ["  DNS ", "  TCP ", "  TLS "]
                    .iter()
                    .any(|name| line.starts_with(name))
            })
            .collect();
        assert_eq!(layers.len(), 3, "{screen}");
        for line in layers {
            let (left, right) = line.split_at(24);
            assert!(left.ends_with("  ") && !right.starts_with(' '), "{line:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_prints_one_line_for_scripts() {
    let lab = Lab::start().await.unwrap();
    let second = format!(
        "  - {{name: second, url: \"{}\", module: lab_page}}\n",
        lab.url()
    );
    let config = ConfigFile::new(&format!("{}{second}", lab.config()));
    let output = run(&[&config.argument(), "verify", "--quiet"]).await;
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "OK sso=ok second=ok\n"
    );
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    lab.provoke(scenario("tcp-refused").unwrap());
    let output = run(&[&config.argument(), "verify", "--quiet"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "FAILED sso=tcp_refused second=tcp_refused\n"
    );
    let output = run(&[&config.argument(), "verify", "--quiet", "--format=json"]).await;
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_prints_changes_until_ctrl_c_and_then_a_summary() {
    let lab = Lab::start().await.unwrap();
    let text = format!("contacts: {{firewall: \"ext. 7\"}}\n{}", lab.config());
    let config = ConfigFile::new(&text);
    let argument = config.argument();
    let mut terminal = Terminal::start(120, &[&argument, "verify", "--watch"], &[]);
    terminal.wait_for("REACHED, page checked");
    terminal.wait_for(" OK, 0 failed; next in ");
    lab.provoke(scenario("tcp-refused").unwrap());
    terminal.wait_for("sso  FAILED at TCP (tcp_refused). Contact your firewall team (ext. 7).");
    terminal.wait_for(" failed; next in ");
    lab.heal();
    terminal.wait_for("; it failed for ");
    terminal.interrupt();
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(1), "{screen}");
    // How many probes there were depends on the machine, what is said of them does not.
    let number = |before: &str, after: &str| -> u32 {
        let (_, rest) = screen.rsplit_once(before).expect(before);
        let (number, _) = rest.split_once(after).expect(after);
        number.parse().expect("a number")
    };
    let (probes, ok) = (number("\nsso  ", " probes, "), number(" probes, ", " OK ("));
    assert!(probes > ok && ok >= 2, "{screen}");
    let summary = format!(
        "sso  {probes} probes, {ok} OK ({:.1} %), average ",
        100.0 * f64::from(ok) / f64::from(probes)
    );
    assert!(screen.contains(&summary), "{screen}");
    let failed = format!("tcp_refused {}", probes - ok);
    assert!(screen.contains(&failed), "{screen}");
    assert!(!screen.contains("next in"), "{screen}");
    // The unchanged report is not repeated.
    assert_eq!(screen.matches("REACHED").count(), 1, "{screen}");
}
