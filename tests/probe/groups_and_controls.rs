//! What several targets say together: the ways to one page, and the controls.

use ccass_2fa_lab::{Lab, LoginServer, ProxyFault, TcpFault};
use harness::exporter::{ConfigFile, Exporter, run};

/// The lab's page by two ways, and a control behind another server.
struct Surroundings {
    lab: Lab,
    control: LoginServer,
    config: ConfigFile,
}

impl Surroundings {
    async fn start() -> Self {
        let lab = Lab::start().await.expect("the lab starts");
        let leaf = ccass_2fa_lab::Leaf::for_name("control.lab.test");
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
            other = control.url("control.lab.test", ccass_2fa_lab::LOGIN_PATH),
        );
        Self {
            lab,
            control,
            config: ConfigFile::new(&text),
        }
    }
}

/// Runs `verify` on every target; its exit code and what it says.
async fn verify(world: &Surroundings, more: &[&str]) -> (i32, String) {
    let config = world.config.argument();
    let output = run(&[&[config.as_str(), "verify"], more].concat()).await;
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.code().expect("an exit code"), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ways_to_one_page_are_set_side_by_side_in_verify_and_in_the_metrics() {
    let world = Surroundings::start().await;
    world.lab.proxy.set_fault(ProxyFault::Forbid);

    let (code, text) = verify(&world, &[]).await;
    assert_eq!(code, 1, "{text}");
    let proxy = format!("http://proxy.lab.test:{}", world.lab.proxy.addr().port());
    let told = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = format!(
        "Group login: direct (sso) good; by the proxy {proxy} (sso-proxy) fails at proxy: \
         proxy_denied. The page can be reached: the fault lies on the way that fails"
    );
    assert!(told.contains(&expected), "{text}");

    let (_, json) = verify(&world, &["--format=json"]).await;
    let document: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(document["groups"][0]["good"], "some", "{document:#}");
    assert_eq!(document["groups"][0]["ways"][1]["reason"], "proxy_denied");

    let mut exporter = Exporter::start(&[&world.config.argument()]).await;
    for _target in 0..3 {
        exporter.first_probe().await;
    }
    let metrics = exporter.metrics().await;
    let way = |target: &str, way: &str| {
        metrics.value(&format!(
            "group_way_success{{group=\"login\",target=\"{target}\",way=\"{way}\"}}"
        ))
    };
    assert_eq!(way("sso", "direct"), Some(1.0), "{}", metrics.text);
    assert_eq!(way("sso-proxy", "proxy"), Some(0.0), "{}", metrics.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controls_say_whether_it_is_us_or_them() {
    let world = Surroundings::start().await;
    let line = async |expected: &str, code: i32| {
        let (ended, text) = verify(&world, &[]).await;
        let told = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(expected), "{text}");
        assert_eq!(ended, code, "{text}");
    };
    line("Controls 1 of 1 reached.", 0).await;

    world.lab.login_server.set_fault(TcpFault::Refuse);
    line(
        "Controls 1 of 1 reached. This site's network works: the fault is the login server's",
        1,
    )
    .await;

    world.control.set_fault(TcpFault::Refuse);
    line("Controls 0 of 1 reached. Nothing is reached from here", 1).await;

    // A control that fails is no outage.
    world.lab.login_server.clear();
    line("Controls 0 of 1 reached.", 0).await;
}
