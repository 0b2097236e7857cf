//! TLS with certificates of the user's own, and mutual TLS, against a receiver that demands it.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tower_telemetry::{
    Telemetry,
    setup::{Otlp, OtlpProtocol},
};

use crate::{
    ENDPOINT, PROTOCOL, PROTOCOLS, notes, one_of_each, receiver::Receiver, shutdown, telemetry,
};

/// An authority, a receiver that demands a certificate of it, and the files of a client.
struct Setting {
    receiver: Receiver,
    folder: PathBuf,
}

impl Setting {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tower-telemetry-{name}-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let leaf = |name: &str, purpose| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.extended_key_usages = vec![purpose];
            (params.signed_by(&key, &authority).unwrap(), key)
        };
        let (server, server_key) = leaf("127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth);
        let (client, client_key) = leaf("client", ExtendedKeyUsagePurpose::ClientAuth);
        let write = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
        write("ca.pem", authority.pem());
        write("client.pem", client.pem());
        write("client.key", client_key.serialize_pem());
        write("other.key", KeyPair::generate().unwrap().serialize_pem());
        write("empty.pem", String::new());
        let receiver = Receiver::start_with_mutual_tls(
            server.der().clone(),
            server_key.serialize_der(),
            authority.der().clone(),
        );
        Self { receiver, folder }
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn received(receiver: &Receiver) -> (usize, usize, bool) {
    let received = receiver.received();
    let metrics = !received.metrics("orders").is_empty();
    (received.spans().len(), received.log_records().len(), metrics)
}

const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const CLIENT_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
const CLIENT_KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";

/// All signals arrive, by each protocol, with variables for all signals, for each signal, and in code.
#[test]
fn mutual_tls() {
    for protocol in PROTOCOLS {
        let setting = Setting::new("mutual");
        let url = setting.receiver.url();
        let general = telemetry(&[
            (ENDPOINT, &url),
            (PROTOCOL, protocol),
            (CERTIFICATE, &setting.file("ca.pem")),
            (CLIENT_CERTIFICATE, &setting.file("client.pem")),
            (CLIENT_KEY, &setting.file("client.key")),
        ]);
        one_of_each(&general);
        assert_eq!(shutdown(&general, 20_000), Ok(()), "{protocol}");
        assert_eq!(received(&setting.receiver), (1, 1, true), "{protocol}");

        // A file of a signal takes precedence over a general one that does not exist.
        let files = [
            ("CERTIFICATE", "ca.pem"),
            ("CLIENT_CERTIFICATE", "client.pem"),
            ("CLIENT_KEY", "client.key"),
        ];
        let mut variables = vec![
            (ENDPOINT.to_owned(), url.clone()),
            (PROTOCOL.to_owned(), protocol.to_owned()),
            (CERTIFICATE.to_owned(), "/nowhere/ca.pem".to_owned()),
        ];
        for signal in ["TRACES", "METRICS", "LOGS"] {
            let named = files.map(|(variable, file)| {
                (format!("OTEL_EXPORTER_OTLP_{signal}_{variable}"), setting.file(file))
            });
            variables.extend(named);
        }
        let variables: Vec<_> = variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let of_signals = telemetry(&variables);
        one_of_each(&of_signals);
        assert_eq!(shutdown(&of_signals, 20_000), Ok(()), "{protocol}");
        assert_eq!(received(&setting.receiver), (2, 2, true), "{protocol}");
    }
    let setting = Setting::new("code");
    let otlp = Otlp::new()
        .with_endpoint(setting.receiver.url())
        .with_protocol(OtlpProtocol::Grpc)
        .with_certificate_file(setting.file("ca.pem"))
        .with_client_certificate_files(setting.file("client.pem"), setting.file("client.key"));
    let builder = Telemetry::builder().with_variables(|_| None).without_globals();
    let in_code = builder.with_otlp(otlp).build().unwrap();
    one_of_each(&in_code);
    assert_eq!(shutdown(&in_code, 20_000), Ok(()));
    assert_eq!(received(&setting.receiver), (1, 1, true));
}

/// Without a certificate, the receiver refuses; with the system's certificates, the exporter does.
#[test]
fn certificates_are_demanded_and_checked() {
    notes::listen();
    let setting = Setting::new("demanded");
    let url = setting.receiver.url();
    let ca = setting.file("ca.pem");
    // With TLS 1.3 the refusal comes after the handshake, and may be overtaken by the end of the connection.
    let alert = ["TLS: received fatal alert: CertificateRequired", "the connection was closed"];
    let unknown = ["TLS: invalid peer certificate: UnknownIssuer"];
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let rows: [Row<'_>; 2] = [(&[(CERTIFICATE, &ca)], &alert), (&[], &unknown)];
    for (variables, reasons) in rows {
        let mut variables = variables.to_vec();
        variables.extend([(ENDPOINT, &*url), (PROTOCOL, "http/protobuf")]);
        let telemetry = telemetry(&variables);
        one_of_each(&telemetry);
        let undelivered = shutdown(&telemetry, 1000).unwrap_err().to_string();
        assert!(reasons.iter().any(|reason| undelivered.contains(reason)), "{undelivered}");
    }
    assert_eq!(received(&setting.receiver), (0, 0, false));
}

/// Files that are missing, empty, or do not fit: nothing is exported, and one sentence says why.
#[test]
fn files_at_fault() {
    notes::listen();
    let setting = Setting::new("fault");
    let url = setting.receiver.url();
    let [ca, client, key, other, empty] =
        ["ca.pem", "client.pem", "client.key", "other.key", "empty.pem"]
            .map(|name| setting.file(name));
    let missing = setting.file("missing.pem");
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
    let rows: &[Row<'_>] = &[
        (&[(CERTIFICATE, &missing)], CERTIFICATE, "which can't be read or is not PEM"),
        (&[(CERTIFICATE, &empty)], CERTIFICATE, "which holds no certificate in PEM"),
        (
            &[(CERTIFICATE, &ca), (CLIENT_KEY, &key)],
            CLIENT_KEY,
            "but no file with its certificate is set",
        ),
        (
            &[(CERTIFICATE, &ca), (CLIENT_CERTIFICATE, &client)],
            CLIENT_CERTIFICATE,
            "but no file with its key is set",
        ),
        (
            &[(CERTIFICATE, &ca), (CLIENT_CERTIFICATE, &client), (CLIENT_KEY, &empty)],
            CLIENT_KEY,
            "which holds no private key in PEM or can't be read",
        ),
        (
            &[(CERTIFICATE, &ca), (CLIENT_CERTIFICATE, &client), (CLIENT_KEY, &other)],
            CLIENT_KEY,
            "whose key does not fit to the certificate",
        ),
    ];
    for (variables, name, reason) in rows {
        let mut all = variables.to_vec();
        all.push((ENDPOINT, &url));
        let path = variables.iter().find(|(variable, _)| variable == name).unwrap().1;
        let sentence = format!("{name} names the file {path}, {reason}");
        let telemetry = telemetry(&all);
        one_of_each(&telemetry);
        assert_eq!(shutdown(&telemetry, 1000), Ok(()), "nothing is exported");
        let warnings = notes::about(path);
        assert!(
            warnings.contains(&format!("{sentence}; nothing is exported with it")),
            "{warnings:#?}"
        );

        let values: Vec<_> = all.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let look_up = move |name: &str| Some(values.iter().find(|(n, _)| n == name)?.1.clone());
        let strict = Telemetry::builder().with_variables(look_up).without_globals();
        let error = strict.with_strict_environment().build().unwrap_err();
        assert_eq!((error.variable_name(), error.to_string()), (Some(*name), sentence));
    }
    let in_code = Otlp::new().with_endpoint(&*url).with_certificate_file(Path::new(&missing));
    let builder = Telemetry::builder().with_variables(|_| None).without_globals();
    let error = builder.with_otlp(in_code).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the certificate files of `Otlp`: the file {missing}, which can't be read or is not PEM"
        )
    );
}
