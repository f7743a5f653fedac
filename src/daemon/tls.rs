//! TLS by rustls, with certificates that are read again when they change.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Error, ErrorKind, Result};

use super::config::Http;

/// The certificate as the files have it.
///
/// # Errors
///
/// `InvalidInput` for files that cannot be read or do not go together.
pub(super) async fn open(http: &Http) -> Result<RustlsConfig> {
    Ok(RustlsConfig::from_config(read(http.clone()).await?))
}

/// Reads the files again whenever they change. A pair that does not go together changes nothing.
#[expect(clippy::infinite_loop, reason = "it ends with the task it runs in")]
pub(super) async fn follow(settings: RustlsConfig, http: Http, every: Duration) {
    let mut seen = changed(&http);
    let mut ticks = tokio::time::interval(every);
    loop {
        ticks.tick().await;
        let now = changed(&http);
        if now == seen {
            continue;
        }
        seen = now;
        match read(http.clone()).await {
            Ok(fresh) => {
                settings.reload_from_config(fresh);
                tracing::info!("the certificate was replaced");
            }
            Err(error) => tracing::error!(error = ?error, "the certificate is not replaced"),
        }
    }
}

/// What changes with the files: their inodes, and when they were written.
fn changed(http: &Http) -> [Option<(u64, i64, i64)>; 2] {
    let of = |path: &Path| {
        let data = std::fs::metadata(path).ok()?;
        Some((data.ino(), data.mtime(), data.mtime_nsec()))
    };
    [of(&http.tls_certificate), of(&http.tls_key)]
}

async fn read(http: Http) -> Result<Arc<ServerConfig>> {
    let read = tokio::task::spawn_blocking(move || parse(&http)).await;
    read.map_err(|failed| {
        Error::new(ErrorKind::InvalidInput, format!("read certificate: {failed}"))
    })?
}

fn parse(http: &Http) -> Result<Arc<ServerConfig>> {
    let refuse = |path: &Path, error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::InvalidInput, format!("read {}: {error}", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(&http.tls_certificate)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|error| refuse(&http.tls_certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&http.tls_key)
        .map_err(|error| refuse(&http.tls_key, &error))?;
    let mut settings = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| refuse(&http.tls_certificate, &error))?;
    // ffmpeg closes without reading; tickets it never read would turn that into a reset, which
    // takes with it the last bytes of its push.
    settings.send_tls13_tickets = 0;
    settings.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(settings))
}
