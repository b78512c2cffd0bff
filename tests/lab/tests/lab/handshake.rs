//! The login server's TCP and TLS faults, seen by rustls and by plain sockets.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};

use crate::client::{
    HelloSize, NAME, config, handshake, handshake_with, read_all, stays_pending, tls_error,
};
use ccass_2fa_lab::{
    Alpn, Authority, Identity, LARGE_HELLO, Leaf, LoginServer, TcpFault, TlsFault,
};
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible, ProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn lab() -> (Authority, LoginServer) {
    let authority = Authority::new("CCASS Lab");
    let server = LoginServer::start(authority.issue(&Leaf::for_name(NAME)))
        .await
        .expect("the login server starts");
    (authority, server)
}

fn certificate_error(error: Error) -> CertificateError {
    match error {
        Error::InvalidCertificate(error) => error,
        other => panic!("not a certificate error: {other:?}"),
    }
}

#[tokio::test]
async fn healthy_server_negotiates_tls_1_3_and_http_2() {
    let (authority, server) = lab().await;
    let stream = handshake(server.addr(), &authority)
        .await
        .expect("a session");
    let session = stream.get_ref().1;
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(session.peer_certificates().map(<[_]>::len), Some(2));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn recorded_hello_sizes_distinguish_post_quantum_from_classic() {
    let (authority, server) = lab().await;
    for size in [HelloSize::Large, HelloSize::Small] {
        let config = config(&authority, size, &["h2", "http/1.1"]);
        handshake_with(server.addr(), config)
            .await
            .expect("a session");
    }
    let hellos = server.hellos();
    assert!(hellos[0] > LARGE_HELLO, "{hellos:?}");
    assert!(hellos[1] < 600, "{hellos:?}");
}

#[tokio::test]
async fn alpn_protocols_are_configurable() {
    let (authority, server) = lab().await;
    server.set_alpn(Alpn::Http1);
    let stream = handshake(server.addr(), &authority)
        .await
        .expect("a session");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    server.set_alpn(Alpn::Absent);
    let stream = handshake(server.addr(), &authority)
        .await
        .expect("a session");
    assert_eq!(stream.get_ref().1.alpn_protocol(), None);
}

#[tokio::test]
async fn faulty_certificates_fail_with_their_error() {
    let (authority, server) = lab().await;
    let leaf = || Leaf::for_name(NAME);
    server.set_identity(authority.issue(&leaf().expired()));
    let error = certificate_error(tls_error(server.addr(), &authority).await);
    assert!(
        matches!(error, CertificateError::ExpiredContext { .. }),
        "{error:?}"
    );

    server.set_identity(authority.issue(&leaf().not_yet_valid()));
    let error = certificate_error(tls_error(server.addr(), &authority).await);
    assert!(
        matches!(error, CertificateError::NotValidYetContext { .. }),
        "{error:?}"
    );

    server.set_identity(Authority::new("Unknown CA").issue(&leaf()));
    let error = certificate_error(tls_error(server.addr(), &authority).await);
    assert_eq!(error, CertificateError::UnknownIssuer);

    server.set_identity(Identity::self_signed(&leaf()));
    let error = certificate_error(tls_error(server.addr(), &authority).await);
    assert_eq!(error, CertificateError::UnknownIssuer);

    server.set_identity(authority.issue(&leaf()).without_intermediate());
    let error = certificate_error(tls_error(server.addr(), &authority).await);
    assert_eq!(error, CertificateError::UnknownIssuer);

    server.set_identity(authority.issue(&Leaf::for_name("other.lab.test")));
    let error = certificate_error(tls_error(server.addr(), &authority).await);
    assert!(
        matches!(error, CertificateError::NotValidForNameContext { .. }),
        "{error:?}"
    );

    server.set_identity(Authority::impostor_of(&authority).issue(&leaf()));
    let error = certificate_error(tls_error(server.addr(), &authority).await);
    assert_eq!(error, CertificateError::BadSignature);

    server.set_identity(authority.issue(&leaf().rsa().also("127.0.0.1")));
    handshake(server.addr(), &authority)
        .await
        .expect("a session");
}

#[tokio::test]
async fn refused_port_stays_reserved_and_reopens() {
    let (authority, server) = lab().await;
    for _ in 0..3 {
        handshake(server.addr(), &authority)
            .await
            .expect("a session");
        server.set_fault(TcpFault::Refuse);
        let error = TcpStream::connect(server.addr())
            .await
            .expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = TcpListener::bind(server.addr())
            .await
            .expect_err("the port is kept");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        server.clear();
    }
    handshake(server.addr(), &authority)
        .await
        .expect("a session");
}

#[tokio::test]
async fn reset_on_accept_resets_the_connection() {
    let (_, server) = lab().await;
    server.set_fault(TcpFault::ResetOnAccept);
    let error = match TcpStream::connect(server.addr()).await {
        Ok(mut stream) => read_all(&mut stream).await.expect_err("a reset"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn close_on_accept_ends_in_order_although_the_client_sends_first() {
    let (authority, server) = lab().await;
    server.set_fault(TcpFault::CloseOnAccept);
    let mut stream = TcpStream::connect(server.addr())
        .await
        .expect("a connection");
    assert!(read_all(&mut stream).await.expect("an end").is_empty());
    let error = handshake(server.addr(), &authority)
        .await
        .expect_err("no session");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn server_stays_silent_before_or_after_the_hello() {
    let (authority, server) = lab().await;
    server.set_fault(TcpFault::AcceptAndSayNothing);
    let pending = handshake(server.addr(), &authority);
    assert!(stays_pending(pending, || server.connections() == 1).await);
    assert!(server.hellos().is_empty());
    server.set_fault(TlsFault::SilentAfterHello);
    let pending = handshake(server.addr(), &authority);
    assert!(stays_pending(pending, || server.hellos().len() == 1).await);
}

#[tokio::test]
async fn plain_http_server_answers_a_hello_with_http() {
    let (authority, server) = lab().await;
    server.set_fault(TlsFault::PlainHttp);
    let mut stream = TcpStream::connect(server.addr())
        .await
        .expect("a connection");
    stream
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("sent");
    let answer = String::from_utf8(read_all(&mut stream).await.expect("an answer"));
    let answer = answer.expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert!(
        head.contains(&format!("Content-Length: {}", body.len())),
        "{answer}"
    );
    let error = tls_error(server.addr(), &authority).await;
    assert!(matches!(error, Error::InvalidMessage(_)), "{error:?}");
}

#[tokio::test]
async fn garbage_is_an_invalid_tls_message() {
    let (authority, server) = lab().await;
    server.set_fault(TlsFault::Garbage);
    let error = tls_error(server.addr(), &authority).await;
    assert!(matches!(error, Error::InvalidMessage(_)), "{error:?}");
}

#[tokio::test]
async fn tls_1_0_server_answers_with_alert_or_server_hello() {
    let (authority, server) = lab().await;
    server.set_fault(TlsFault::Tls10Only);
    let error = tls_error(server.addr(), &authority).await;
    assert_eq!(
        error,
        Error::AlertReceived(AlertDescription::ProtocolVersion)
    );
    server.set_fault(TlsFault::Tls10Hello);
    let error = tls_error(server.addr(), &authority).await;
    assert_eq!(
        error,
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13)
    );
}

#[tokio::test]
async fn configured_alert_is_sent() {
    let (authority, server) = lab().await;
    for (number, alert) in [
        (40, AlertDescription::HandshakeFailure),
        (112, AlertDescription::UnrecognisedName),
    ] {
        server.set_fault(TlsFault::Alert(number));
        let error = tls_error(server.addr(), &authority).await;
        assert_eq!(error, Error::AlertReceived(alert));
    }
}

#[tokio::test]
async fn reset_and_close_after_the_hello_are_distinguishable() {
    let (authority, server) = lab().await;
    server.set_fault(TlsFault::ResetAfterHello);
    let error = handshake(server.addr(), &authority)
        .await
        .expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    server.set_fault(TlsFault::CloseAfterHello);
    let error = handshake(server.addr(), &authority)
        .await
        .expect_err("an end");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(server.hellos().len(), 2);
}

#[tokio::test]
async fn large_hello_is_dropped_or_reset_and_small_one_passes() {
    let (authority, server) = lab().await;
    let small = config(&authority, HelloSize::Small, &[]);
    server.set_fault(TlsFault::DropLargeHello);
    let pending = handshake(server.addr(), &authority);
    assert!(stays_pending(pending, || server.hellos().len() == 1).await);
    handshake_with(server.addr(), small.clone())
        .await
        .expect("a session");
    server.set_fault(TlsFault::ResetLargeHello);
    let error = handshake(server.addr(), &authority)
        .await
        .expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    handshake_with(server.addr(), small)
        .await
        .expect("a session");
}

#[tokio::test]
async fn tls_1_2_only_server_negotiates_tls_1_2() {
    let (authority, server) = lab().await;
    server.set_fault(TlsFault::Tls12Only);
    let stream = handshake(server.addr(), &authority)
        .await
        .expect("a session");
    let version = stream.get_ref().1.protocol_version();
    assert_eq!(version, Some(ProtocolVersion::TLSv1_2));
}

#[tokio::test]
async fn missing_client_certificate_is_refused_by_alert_on_first_read() {
    let (authority, server) = lab().await;
    server.set_fault(TlsFault::RequireClientCertificate);
    let mut stream = handshake(server.addr(), &authority)
        .await
        .expect("a session");
    let error = stream.read(&mut [0; 16]).await.expect_err("an alert");
    let error = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    assert_eq!(
        error,
        Some(&Error::AlertReceived(AlertDescription::CertificateRequired))
    );
}

#[tokio::test]
async fn fragmented_hello_is_read_completely() {
    let (authority, server) = lab().await;
    let mut session = rustls::ClientConnection::new(
        config(&authority, HelloSize::Large, &[]),
        NAME.try_into().expect("a name"),
    )
    .expect("a client");
    let mut hello = Vec::new();
    session.write_tls(&mut hello).expect("a hello");
    let mut stream = TcpStream::connect(server.addr())
        .await
        .expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    for piece in hello.chunks(100) {
        stream.write_all(piece).await.expect("sent");
        stream.flush().await.expect("sent");
    }
    let mut first = [0; 1];
    stream.read_exact(&mut first).await.expect("a ServerHello");
    assert_eq!(first, [22]);
    assert_eq!(server.hellos(), [hello.len()]);
}

#[tokio::test]
async fn invalid_hellos_do_no_harm() {
    let (authority, server) = lab().await;
    for bytes in [
        &b""[..],
        b"GET / HTTP/1.0\r\n\r\n",
        &[22, 3, 1, 0xff, 0xff],
        &[22, 3, 1, 0, 0],
    ] {
        let mut stream = TcpStream::connect(server.addr())
            .await
            .expect("a connection");
        stream.write_all(bytes).await.expect("sent");
        stream.shutdown().await.expect("an end");
        let _ = read_all(&mut stream).await;
    }
    assert!(server.hellos().is_empty());
    handshake(server.addr(), &authority)
        .await
        .expect("a session");
}

#[tokio::test]
async fn servers_on_several_addresses_share_a_port_but_not_faults() {
    let authority = Authority::new("CCASS Lab");
    let ips: Vec<IpAddr> = [1, 2, 3]
        .map(|n| Ipv4Addr::new(127, 0, 0, n).into())
        .to_vec();
    let servers = LoginServer::start_on_each(&ips, &authority.issue(&Leaf::for_name(NAME)))
        .await
        .expect("the login servers start");
    let ports: Vec<u16> = servers.iter().map(|server| server.addr().port()).collect();
    assert_eq!(ports, [ports[0]; 3]);
    servers[1].set_fault(TcpFault::Refuse);
    assert!(handshake(servers[0].addr(), &authority).await.is_ok());
    assert!(handshake(servers[1].addr(), &authority).await.is_err());
    assert!(handshake(servers[2].addr(), &authority).await.is_ok());
    let counts: Vec<u64> = servers.iter().map(LoginServer::connections).collect();
    assert_eq!(counts, [1, 0, 1]);
}

#[tokio::test]
async fn identity_is_written_as_pem_files() {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("CCASS Lab");
    let identity = authority.issue(&Leaf::for_name(NAME));
    let (chain, key) = identity.write_pem(directory.path()).expect("files");
    let read: Vec<_> = CertificateDer::pem_file_iter(chain)
        .expect("a file")
        .collect::<Result<_, _>>()
        .expect("certificates");
    assert_eq!(read, identity.chain);
    let read = PrivateKeyDer::from_pem_file(key).expect("a key");
    assert_eq!(read, identity.key);
}

#[test]
fn issued_certificates_have_authority_information_access() {
    // 1.3.6.1.5.5.7.1.1 and 1.3.6.1.5.5.7.48.2, as DER.
    const ACCESS: &[u8] = &[0x06, 8, 0x2b, 6, 1, 5, 5, 7, 1, 1];
    const CA_ISSUERS: &[u8] = &[0x06, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2];
    let identity = Authority::new("CCASS Lab").issue(&Leaf::for_name(NAME));
    assert_eq!(identity.chain.len(), 2);
    for certificate in &identity.chain {
        for part in [ACCESS, CA_ISSUERS] {
            assert!(certificate.windows(part.len()).any(|window| window == part));
        }
    }
}

#[tokio::test]
async fn dropped_server_refuses_connections_immediately() {
    let (_, server) = lab().await;
    let addr = server.addr();
    drop(server);
    let error = TcpStream::connect(addr).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}
