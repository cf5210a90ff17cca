//! What operators see of a running service: the program log and the metrics.

pub mod log;
pub mod metrics;

pub use metrics::Metrics;
