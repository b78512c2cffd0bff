//! What the results of several targets mean together: groups, which reach one page over several
//! paths, and controls, which show whether the local network works.

use ccass_2fa_lab::{LOGIN_PATH, Lab, Leaf, LoginServer, ProxyFault, TcpFault};
use harness::exporter::{ConfigFile, Exporter, TIMEOUT, run};
use tokio::time::{Duration, sleep, timeout};

/// The lab's page over two paths, and a control on another server.
struct Setup {
    lab: Lab,
    control: LoginServer,
    config: ConfigFile,
}

impl Setup {
    async fn start() -> Self {
        let lab = Lab::start().await.expect("the lab starts");
        let leaf = Leaf::for_name("control.lab.test");
        let control = LoginServer::start(lab.authority.issue(&leaf)).await;
        let control = control.expect("a server");
        let address = control.addr().ip();
        lab.name_server.answer("control.lab.test", &[address]);
        let usual = lab.config();
        let (modules, _) = usual.split_once("targets:").expect("targets");
        let direct = modules.split_once("lab_page:").expect("a module").1;
        let proxy = lab.proxy.addr().port();
        let text = format!(
            "{modules}  by_proxy:{direct}    proxy: \"http://proxy.lab.test:{proxy}\"\n\
             targets:\n\
             \x20 - {{name: sso, url: \"{url}\", module: lab_page, group: login}}\n\
             \x20 - {{name: sso-proxy, url: \"{url}\", module: by_proxy, group: login}}\n\
             controls:\n\
             \x20 - {{name: elsewhere, url: \"{other}\", module: lab_page}}\n",
            url = lab.url(),
            other = control.url("control.lab.test", LOGIN_PATH),
        );
        Self {
            lab,
            control,
            config: ConfigFile::new(&text),
        }
    }

    /// Runs `verify` on every target; returns its exit code and its output.
    async fn verify(&self, more: &[&str]) -> (i32, String) {
        let config = self.config.argument();
        let output = run(&[&[config.as_str(), "verify"], more].concat()).await;
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        (output.status.code().expect("an exit code"), text)
    }
}

/// `text` with every run of white space, such as a line break, as one space.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_and_metrics_compare_the_paths_of_a_group() {
    let setup = Setup::start().await;
    setup.lab.proxy.set_fault(ProxyFault::Forbid);

    let (code, text) = setup.verify(&[]).await;
    assert_eq!(code, 1, "{text}");
    let proxy = format!("http://proxy.lab.test:{}", setup.lab.proxy.addr().port());
    let expected = format!(
        "Paths The login page can be reached: the fault is on the failing path. Use another path of \
         the group to log in. login: direct (sso): OK; via proxy {proxy} (sso-proxy): failed at proxy \
         (proxy_denied)."
    );
    assert!(unwrapped(&text).contains(&expected), "{text}");

    let (_, json) = setup.verify(&["--format=json"]).await;
    let document: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let groups = &document["groups"];
    assert_eq!(groups[0]["good"], "some", "{groups:#}");
    assert_eq!(
        groups[0]["paths"][1]["reason"], "proxy_denied",
        "{groups:#}"
    );

    let exporter = Exporter::start(&[&setup.config.argument()]).await;
    // The targets are probed one after the other in the course of the interval.
    let both = async {
        loop {
            let metrics = exporter.metrics().await;
            if metrics.family("group_way_success").len() == 2 {
                break metrics;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let metrics = timeout(TIMEOUT, both).await;
    let metrics = metrics.unwrap_or_else(|_| panic!("no two results within {TIMEOUT:?}"));
    let series = |target: &str, way: &str| {
        format!("group_way_success{{group=\"login\",target=\"{target}\",way=\"{way}\"}}")
    };
    metrics.expect(&series("sso", "direct"), 1.0);
    metrics.expect(&series("sso-proxy", "proxy"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn controls_show_whether_the_local_network_works() {
    let setup = Setup::start().await;
    let expect = async |line: &str, code: i32| {
        let (actual, text) = setup.verify(&[]).await;
        assert!(unwrapped(&text).contains(line), "{text}");
        assert_eq!(actual, code, "{text}");
    };
    expect("Elsewhere 1 of 1 control reached.", 0).await;

    setup.lab.login_server.set_fault(TcpFault::Refuse);
    expect(
        "Elsewhere This site's network works: the fault is at the login server",
        1,
    )
    .await;

    setup.control.set_fault(TcpFault::Refuse);
    expect("Elsewhere Nothing is reachable from this site", 1).await;

    // A failing control alone is no outage.
    setup.lab.login_server.clear();
    expect("Elsewhere 0 of 1 control reached.", 0).await;
}
