//! The mistakes that people make with tokens, in words: what was done, and how it is mended.

use std::borrow::Cow;

use super::claims::Claims;
use super::config::Config;
use super::token;
use crate::model::{Token, TokenUse};

/// What went wrong before any rule was broken, or why one is. It shows issuers and clients, and never a
/// token, a group or a `sub`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mistake {
    /// Quotes stand around the token.
    Quotes,
    /// It is the one element of a list.
    List,
    /// White space stands inside the token.
    Blanks,
    /// A whole `Authorization` header.
    HeaderLine,
    /// An `Authorization` header without `Bearer`.
    NoScheme,
    /// `Bearer` more than once.
    SchemeTwice,
    /// An event of API Gateway; its token is at this place.
    Event(String),
    /// An event of API Gateway that holds no token.
    EventWithoutToken,
    /// An event of API Gateway that holds several.
    EventWithSeveral,
    /// What a user pool answers, with a token at this name.
    PoolAnswer(&'static str),
    /// Claims without the signature over them.
    Claims,
    /// Names in brackets, as API Gateway writes `cognito:groups`.
    Groups,
    /// A JWE (RFC 7516, section 3.1).
    Encrypted,
    /// The address that a user comes back to from the sign-in page, with a code in it.
    Redirect,
    /// A UUID.
    Uuid,
    /// A session token of AWS.
    AwsSession,
    /// It names an issuer that is not configured.
    OtherIssuer {
        /// Its `iss`.
        named: String,
        /// Those that are configured.
        configured: Vec<String>,
    },
    /// It is of the kind that is not accepted.
    OtherKind {
        /// Its `token_use`.
        kind: TokenUse,
        /// The place of its issuer in the configuration.
        issuer: usize,
    },
    /// It was issued for a client that is not accepted.
    OtherClient {
        /// Its client.
        named: String,
        /// Those that are configured.
        configured: Vec<String>,
        /// The place of its issuer in the configuration.
        issuer: usize,
    },
}

/// A mistake in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// A stable name, for programs.
    pub code: &'static str,
    /// What was done.
    pub message: Cow<'static, str>,
    /// What to do instead.
    pub help: Cow<'static, str>,
}

impl Mistake {
    /// What the claims of a token say about where it belongs, against the configuration. Nothing of it is
    /// verified; a token that cannot be read says nothing.
    pub fn of_token(token: &Token, configs: &[Config], longest: usize) -> Vec<Self> {
        let Ok(parts) = token::split(token.expose(), longest) else { return Vec::new() };
        let Ok(members) = parts.claims() else { return Vec::new() };
        let Some(named) = members.string("iss").into_given() else { return Vec::new() };
        let known = configs.iter().enumerate().find(|(_, config)| config.forms().any(|form| form == named));
        let Some((issuer, config)) = known else {
            let configured = configs.iter().map(|config| config.issuer.clone()).collect();
            return vec![Self::OtherIssuer { named, configured }];
        };
        let claims = Claims::read(&members, &config.mapping());
        let Some(kind) = claims.token_use() else { return Vec::new() };
        let other_kind = !config.token_use.contains(&kind);
        let client = claims.client(kind).filter(|client| config.client_ids.iter().all(|id| id != client));
        let other_client = client.map(|named| Self::OtherClient {
            named: named.to_owned(),
            configured: config.client_ids.clone(),
            issuer,
        });
        other_kind.then_some(Self::OtherKind { kind, issuer }).into_iter().chain(other_client).collect()
    }

    /// The mistake in words.
    pub fn words(&self) -> Words {
        let (code, message, help) = match self {
            Self::Quotes => (
                "quotes",
                "quotes stand around the token",
                "send what is between them; `jq --raw-output` prints a string without its quotes",
            ),
            Self::List => ("list", "the token stands in a list", "send the element alone, without brackets"),
            Self::Blanks => ("blanks", "white space stands inside the token", "send it as one line"),
            Self::HeaderLine => (
                "header_line",
                "this is a whole `Authorization` header, and not a token alone",
                "the token is what stands behind `Bearer `",
            ),
            Self::NoScheme => (
                "no_scheme",
                "the `Authorization` header does not say `Bearer`",
                "forward it to Palisade as `Authorization: Bearer <token>`",
            ),
            Self::SchemeTwice => ("scheme_twice", "`Bearer` stands there more than once", "write it once"),
            Self::Event(place) => return event(place),
            Self::PoolAnswer(name) => return pool_answer(name),
            Self::EventWithoutToken => (
                "event_without_token",
                "this is an event of API Gateway without an `Authorization` header",
                "the client has to send one; what API Gateway read out of a token cannot stand in for it",
            ),
            Self::EventWithSeveral => (
                "event_with_several",
                "this event of API Gateway holds several tokens",
                "have the client send one `Authorization` header",
            ),
            Self::Claims => (
                "claims",
                "these are the claims of a token, and without its signature nobody can verify them",
                "forward the `Authorization` header that came with the request: API Gateway's `claims` are \
                 what it read out of that token",
            ),
            Self::Groups => (
                "groups",
                "this is a list in brackets, as API Gateway writes `cognito:groups`, and not a token",
                "forward the `Authorization` header that came with the request",
            ),
            Self::Encrypted => (
                "encrypted",
                "this is an encrypted token (JWE, five parts), as the refresh tokens of Cognito are",
                "a refresh token is for the user pool alone: exchange it there, and send the access or ID token",
            ),
            Self::Redirect => (
                "redirect",
                "this is an address with an OAuth code in it, and not a token",
                "exchange the code at the user pool's `/oauth2/token`, and send the access or ID token",
            ),
            Self::Uuid => (
                "uuid",
                "this is a UUID, as an OAuth code of Cognito or a user's `sub` is, and not a token",
                "a code is exchanged for tokens at the user pool's `/oauth2/token`",
            ),
            Self::AwsSession => (
                "aws_session",
                "this begins as the session tokens of AWS do, which sign requests to AWS",
                "send the access or ID token that the user pool issued",
            ),
            Self::OtherIssuer { named, configured } => return other_issuer(named, configured),
            Self::OtherKind { kind, issuer } => return other_kind(*kind, *issuer),
            Self::OtherClient { named, configured, issuer } => {
                return other_client(named, configured, *issuer);
            }
        };
        Words { code, message: message.into(), help: help.into() }
    }
}

fn event(place: &str) -> Words {
    Words {
        code: "event",
        message: format!("this is an event of API Gateway, and its token is in `{place}`").into(),
        help: "forward that, and nothing else of the event".into(),
    }
}

fn pool_answer(name: &str) -> Words {
    Words {
        code: "pool_answer",
        message: format!("this is what a user pool answers, and `{name}` in it is judged here").into(),
        help: "send that token alone".into(),
    }
}

fn other_issuer(named: &str, configured: &[String]) -> Words {
    Words {
        code: "other_issuer",
        message: format!("this token names the issuer `{named}`; configured is {}", listed(configured))
            .into(),
        help: "send a token of the configured user pool, or configure the pool that issued this one".into(),
    }
}

fn other_kind(kind: TokenUse, issuer: usize) -> Words {
    let (this, wanted) = match kind {
        TokenUse::Id => ("an ID token", "access"),
        TokenUse::Access => ("an access token", "ID"),
    };
    Words {
        code: "other_kind",
        message: format!("this is {this}, and `issuers.{issuer}.token_use` expects the {wanted} token")
            .into(),
        help: format!("send the {wanted} token of the same sign-in, or change `issuers.{issuer}.token_use`")
            .into(),
    }
}

fn other_client(named: &str, configured: &[String], issuer: usize) -> Words {
    Words {
        code: "other_client",
        message: format!("this token is of the client `{named}`; configured is {}", listed(configured))
            .into(),
        help: format!(
            "sign in through a configured client, or add this one to `issuers.{issuer}.client_ids`"
        )
        .into(),
    }
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const POOL: &str = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_OURS";

    fn configs() -> [Config; 1] {
        [Config {
            issuer: POOL.to_owned(),
            client_ids: vec!["web".to_owned()],
            token_use: vec![TokenUse::Access],
            ..Config::default()
        }]
    }

    /// The mistakes of a token with these claims, whose signature nobody looks at.
    fn mistakes(claims: &Value, configs: &[Config]) -> Vec<Mistake> {
        use base64::Engine as _;
        let part = |json: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json);
        let token = Token::new(format!("{}.{}.c2ln", part("{}"), part(&claims.to_string())));
        Mistake::of_token(&token, configs, 4_096)
    }

    #[test]
    fn a_token_of_ours_is_no_mistake() {
        let claims = json!({"iss": POOL, "token_use": "access", "client_id": "web"});
        assert_eq!(mistakes(&claims, &configs()), []);
    }

    #[test]
    fn either_kind_where_the_other_is_expected_is_named() {
        let id = json!({"iss": POOL, "token_use": "id", "aud": "web"});
        let [mistake] = &*mistakes(&id, &configs()) else { panic!("one mistake") };
        assert_eq!(
            mistake.words().message,
            "this is an ID token, and `issuers.0.token_use` expects the access token"
        );
        let [config] = configs();
        let id_only = [Config { token_use: vec![TokenUse::Id], ..config }];
        let access = json!({"iss": POOL, "token_use": "access", "client_id": "web"});
        assert_eq!(mistakes(&access, &id_only), [Mistake::OtherKind { kind: TokenUse::Access, issuer: 0 }]);
    }

    #[test]
    fn another_pool_and_another_client_are_named_beside_ours() {
        let other =
            json!({"iss": "https://elsewhere.example/pool", "token_use": "access", "client_id": "web"});
        let [mistake] = &*mistakes(&other, &configs()) else { panic!("one mistake") };
        let message = mistake.words().message;
        assert!(message.contains("https://elsewhere.example/pool") && message.contains(POOL), "{message}");

        let client = json!({"iss": POOL, "token_use": "access", "client_id": "mobile"});
        let [mistake] = &*mistakes(&client, &configs()) else { panic!("one mistake") };
        assert_eq!(mistake.words().message, "this token is of the client `mobile`; configured is `web`");
    }

    #[test]
    fn the_other_form_of_a_pool_is_the_pool() {
        let [config] = configs();
        let alias = "https://issuer-cognito-idp.us-east-1.amazonaws.com/us-east-1_OURS";
        let aliased = [Config { issuer_aliases: vec![alias.to_owned()], ..config }];
        let claims = json!({"iss": alias, "token_use": "access", "client_id": "web"});
        assert_eq!(mistakes(&claims, &aliased), []);
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        for claims in [json!({}), json!({"iss": 7}), json!({"iss": POOL, "token_use": "refresh"}), json!([])]
        {
            assert_eq!(mistakes(&claims, &configs()), [], "{claims}");
        }
        assert_eq!(Mistake::of_token(&Token::new("garbage"), &configs(), 4_096), []);
    }
}
