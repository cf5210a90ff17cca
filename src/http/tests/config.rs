//! `[server]`: what may serve, and what is said of what may not.

use std::num::NonZero;

use super::Config;

#[test]
fn a_service_is_not_open_to_other_machines_by_accident() {
    let config = |json: &str| serde_json::from_str::<Config>(json).unwrap();
    assert_eq!(config("{}").check(), Ok(()));
    assert_eq!(config(r#"{"listen": "unix:/run/palisade.sock"}"#).check(), Ok(()));
    let open = config(r#"{"listen": "0.0.0.0:8180"}"#);
    assert!(open.check().unwrap_err().to_string().contains("`server.listen = \"0.0.0.0:8180\"`"));
    let allowed = config(r#"{"listen": "0.0.0.0:8180", "allow_anonymous": true}"#);
    assert_eq!(allowed.check(), Ok(()));
    assert_eq!(allowed.weak_settings()[0].setting, "server.allow_anonymous");
}

#[test]
fn a_wrong_number_of_workers_is_told_what_is_wanted() {
    let config = |workers: &str| serde_json::from_str::<Config>(&format!(r#"{{"workers": {workers}}}"#));
    assert_eq!(config("1").unwrap().workers, NonZero::new(1));
    assert_eq!(config("1024").unwrap().workers, NonZero::new(1024));
    for wrong in ["0", "-1", "1.5", "1025", "\"two\"", "null"] {
        let error = config(wrong).unwrap_err().to_string();
        assert!(error.starts_with("a whole number from 1 to 1024 is wanted"), "{wrong}: {error}");
    }
}
