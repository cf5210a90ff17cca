//! What operators see of a running service: the log's subscriber and the metrics.
