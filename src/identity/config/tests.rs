//! The settings of issuers: what is written, and what is refused with its key and its mend.

use super::*;

const POOL: &str = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE";
const OTHER: &str = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_OTHER";

fn good() -> Config {
    Config {
        issuer: POOL.to_owned(),
        client_ids: vec!["client".to_owned()],
        token_use: vec![TokenUse::Access],
        ..Config::default()
    }
}

fn other() -> Config {
    Config {
        issuer: OTHER.to_owned(),
        principal_type: "Partner".to_owned(),
        group_type: "PartnerGroup".to_owned(),
        ..good()
    }
}

fn refused(change: impl FnOnce(&mut Config)) -> String {
    let mut config = good();
    change(&mut config);
    let fault = config.check().unwrap_err();
    assert!(!fault.help.is_empty());
    fault.key
}

fn refused_together(configs: &[Config]) -> String {
    check_all(configs).unwrap_err().key
}

#[test]
fn the_least_that_is_written_has_the_contracts_defaults() {
    let text = format!("issuer = \"{POOL}\"\nclient_ids = [\"client\"]\ntoken_use = [\"access\"]\n");
    let config: Config = toml::from_str(&text).unwrap();
    assert_eq!(config, good());
    assert_eq!(config.check(), Ok(()));
    assert_eq!(config.keys_url(), format!("{POOL}/.well-known/jwks.json"));
    assert_eq!((config.leeway.0, config.max_token_age.0), (Duration::ZERO, Duration::from_hours(24)));
    assert_eq!((config.principal_type.as_str(), config.group_type.as_str()), ("User", "Group"));
    assert_eq!((config.groups_claim.as_str(), config.machine_type.as_deref()), ("cognito:groups", None));
}

#[test]
fn everything_can_be_written_and_nothing_else() {
    let config: Config = toml::from_str(
        r#"
        issuer = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE"
        issuer_aliases = ["https://issuer-cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE"]
        client_ids = ["client"]
        token_use = ["access", "id"]
        audiences = ["https://shop.example"]
        jwks_url = "http://127.0.0.1:5000/jwks.json"
        principal_type = "User"
        group_type = "Group"
        machine_type = "Machine"
        groups_claim = "cognito:groups"
        id_format = "pool|sub"
        max_token_age = "12h"
        leeway = "30s"
        max_stale = "6h"
        refresh = "10m"
        [attributes]
        department = { claim = "custom:department", immutable = true }
        email = "email"
        "#,
    )
    .unwrap();
    assert_eq!(check_all(&[config]), Ok(()));
    let unknown = toml::from_str::<Config>("client_id = \"x\"").unwrap_err();
    assert!(unknown.to_string().contains("unknown field `client_id`"), "{unknown}");
    assert!(toml::from_str::<Config>("token_use = [\"refresh\"]").is_err());
}

#[test]
fn what_decides_who_gets_in_has_no_default() {
    assert_eq!(refused(|config| config.issuer.clear()), "issuer");
    assert_eq!(refused(|config| config.client_ids.clear()), "client_ids");
    assert_eq!(refused(|config| config.client_ids.push(String::new())), "client_ids");
    assert_eq!(refused(|config| config.token_use.clear()), "token_use");
    assert_eq!(refused(|config| config.audiences.push(String::new())), "audiences");
    assert_eq!(refused(|config| config.groups_claim.clear()), "groups_claim");
}

#[test]
fn an_issuer_is_an_https_url_without_query() {
    for issuer in ["us-east-1_EXAMPLE", "http://example.com/x", "https://example.com/x?y", "https://a.b/x#y"]
    {
        assert_eq!(refused(|config| config.issuer = issuer.to_owned()), "issuer", "{issuer}");
        assert_eq!(refused(|config| config.issuer_aliases.push(issuer.to_owned())), "issuer_aliases");
    }
}

#[test]
fn keys_come_from_one_place_over_a_road_that_nobody_can_tamper_with() {
    assert_eq!(
        refused(|config| {
            config.jwks_url = Some("https://example.com/".to_owned());
            config.jwks_file = Some(PathBuf::from("jwks.json"));
        }),
        "jwks_file"
    );
    assert_eq!(refused(|config| config.jwks_url = Some("http://example.com/".to_owned())), "jwks_url");
    let mut loopback = good();
    loopback.jwks_url = Some("http://localhost:5000/jwks.json".to_owned());
    assert_eq!(loopback.check(), Ok(()));
}

#[test]
fn the_issuer_of_dev_is_refused_by_whatever_name() {
    assert_eq!(refused(|config| config.issuer = DEV_ISSUER.to_owned()), "issuer");
    assert_eq!(refused(|config| config.issuer_aliases.push(DEV_ISSUER.to_owned())), "issuer");
}

#[test]
fn the_three_types_of_an_issuer_differ() {
    assert_eq!(refused(|config| config.group_type = "User".to_owned()), "group_type");
    assert_eq!(refused(|config| config.machine_type = Some("User".to_owned())), "machine_type");
    assert_eq!(refused(|config| config.machine_type = Some("Shop::Group".to_owned())), "machine_type");
    assert_eq!(refused(|config| config.principal_type.clear()), "principal_type");
}

#[test]
fn periods_have_their_bounds() {
    assert_eq!(refused(|config| config.leeway = Period(Duration::from_secs(61))), "leeway");
    assert_eq!(refused(|config| config.max_token_age = Period(Duration::ZERO)), "max_token_age");
    assert_eq!(refused(|config| config.refresh = Period(Duration::from_secs(9))), "refresh");
    assert_eq!(refused(|config| config.max_stale = Period(Duration::from_mins(59))), "max_stale");
}

#[test]
fn pool_and_sub_need_a_pool() {
    let pool_sub = |issuer: &str| {
        let issuer = issuer.to_owned();
        Config { id_format: IdFormat::PoolSub, issuer, ..good() }.check()
    };
    assert_eq!(pool_sub(POOL), Ok(()));
    assert_eq!(pool_sub("https://example.com/a|b").unwrap_err().key, "id_format");
}

#[test]
fn an_iss_is_configured_once() {
    let mut second = other();
    second.issuer_aliases.push(POOL.to_owned());
    assert_eq!(refused_together(&[good(), second]), "issuers.1.issuer_aliases");
    assert_eq!(
        refused_together(&[good(), Config { issuer: POOL.to_owned(), ..other() }]),
        "issuers.1.issuer"
    );
    assert_eq!(check_all(&[good(), other()]), Ok(()));
}

#[test]
fn a_fault_names_its_issuer() {
    assert_eq!(
        refused_together(&[good(), Config { client_ids: Vec::new(), ..other() }]),
        "issuers.1.client_ids"
    );
}

#[test]
fn types_are_shared_only_where_the_pool_keeps_ids_apart() {
    let shares = |change: &dyn Fn(&mut Config)| {
        let mut configs = [good(), other()];
        configs[1].principal_type = "User".to_owned();
        configs.iter_mut().for_each(change);
        check_all(&configs).map_err(|fault| fault.key)
    };
    assert_eq!(shares(&|_| ()), Err("issuers.1.principal_type".to_owned()));
    assert_eq!(shares(&|config| config.id_format = IdFormat::PoolSub), Ok(()));
    let only_one = |config: &mut Config| {
        if config.issuer == POOL {
            config.id_format = IdFormat::PoolSub;
        }
    };
    assert_eq!(shares(&only_one), Err("issuers.1.principal_type".to_owned()));
}

#[test]
fn two_issuers_of_one_pool_id_do_not_share_a_type() {
    let twin = "https://issuer-cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE".to_owned();
    let mut configs = [good(), Config { issuer: twin, ..good() }];
    for config in &mut configs {
        config.id_format = IdFormat::PoolSub;
    }
    assert_eq!(refused_together(&configs), "issuers.1.principal_type");
}

#[test]
fn the_users_of_one_issuer_are_never_the_groups_of_another() {
    let mut configs = [good(), other()];
    configs[1].principal_type = "Group".to_owned();
    for config in &mut configs {
        config.id_format = IdFormat::PoolSub;
    }
    assert_eq!(refused_together(&configs), "issuers.1.principal_type");
}

#[test]
fn a_short_name_may_mean_a_full_one() {
    let with = |name: &str| Config { principal_type: name.to_owned(), ..other() };
    assert_eq!(refused_together(&[good(), with("Shop::User")]), "issuers.1.principal_type");
    let full = Config { principal_type: "Shop::User".to_owned(), ..good() };
    assert_eq!(check_all(&[full, with("Partners::User")]), Ok(()));
}
