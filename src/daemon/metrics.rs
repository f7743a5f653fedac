//! What is counted, and how it is shown to Prometheus.

/// The counters.
#[derive(Debug)]
pub(super) struct Metrics {}

impl Metrics {
    pub(super) fn new() -> Self {
        Self {}
    }
}
