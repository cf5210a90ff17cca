//! Palisade: authorization for applications whose users sign in with Amazon Cognito.
//!
//! A pure core and a thin shell. `ARCHITECTURE.md` has the map and the arrows.

// ---- core: no files, no sockets, no clock ----
pub mod cedar;
pub mod gateway;
pub mod impact;
pub mod model;
pub mod suite;
// ---- shell: each file touches one part of the world ----
pub mod audit;
pub mod authorizer;
pub mod cli;
pub mod clock;
pub mod config;
pub mod decision;
pub mod endpoint;
pub mod http;
pub mod identity;
pub mod lambda;
pub mod store;
pub mod telemetry;
pub mod workers;
