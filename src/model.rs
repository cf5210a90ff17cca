//! The nouns that every other module speaks of: plain data, no engine, no clock, no I/O.

pub mod decision;
pub mod entity_name;
pub mod finding;
pub mod identity;
pub mod issuer;
pub mod limits;
pub mod object;
pub mod printed;
pub mod question;
pub mod record;
pub mod refusal;
pub mod status;
pub mod suggestion;
pub mod time;
pub mod token;
pub mod value;

pub use decision::{Decision, Evaluation, PolicyError, PolicyErrorCode, Reason};
pub use entity_name::EntityName;
pub use finding::{Finding, Fix, Place, Places, Severity};
pub use identity::{Identity, Kind, Origin, TokenUse};
pub use issuer::{IdFormat, Issuer, MappedClaim};
pub use limits::Limits;
pub use question::{Batch, BatchItem, Body, EntityDescription, EntityReference, Question};
pub use record::Record;
pub use refusal::{Refusal, RefusalCode};
pub use time::{Now, Period, Timestamp};
pub use token::Token;
pub use value::Value;
