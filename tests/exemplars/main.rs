//! Exemplars: from metrics to traces.
