use std::net::IpAddr;

use ccass_2fa_lab::{HOST, HttpFault, Lab, Leaf, LoginServer};
use harness::exporter::{ConfigFile, Exporter};

use crate::lab_config::probed_every_ten_seconds;
use crate::waiting::wait_for_metric;

#[tokio::test(flavor = "multi_thread")]
async fn address_whose_requests_fail_is_named_while_another_one_works() {
    let lab = Lab::start().await.expect("the lab starts");
    let address = IpAddr::from([127, 0, 0, 2]);
    let port = lab.login_server.addr().port();
    let identity = lab.authority.issue(&Leaf::for_name(HOST));
    let failing = LoginServer::start_on_port(address, port, identity).await;
    let failing = failing.expect("the port is free on another address");
    failing.set_fault(HttpFault::Status(503));
    // A load balancer in DNS answers with one address at a time.
    lab.name_server.answer(HOST, &[address]);
    let config = ConfigFile::new(&probed_every_ten_seconds(&lab));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let series = |address| format!("address_probe_success{{address=\"{address}\",target=\"sso\"}}");
    let metrics = exporter.metrics().await;
    assert_eq!(
        metrics.value(&series("127.0.0.2")),
        None,
        "no other address was tried"
    );
    lab.name_server.answer(HOST, &[[127, 0, 0, 1].into()]);
    let metrics = wait_for_metric(&exporter, &series("127.0.0.1"), 1.0).await;
    metrics.expect(&series("127.0.0.2"), 0.0);
    let (_, page) = exporter.get("/").await;
    let expected = "requests to 127.0.0.2 (http_status) failed and requests to 127.0.0.1 succeeded";
    assert!(page.contains(expected), "{page}");
}
