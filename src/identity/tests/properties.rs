//! Whatever is sent: no panic, and nothing that was changed is accepted.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::*;

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_is_accepted_or_brings_the_verifier_down(text in ".{0,200}") {
        prop_assert!(block_on(verifier().verify(&Token::new(text))).is_err());
    }

    #[test]
    fn no_three_parts_are_accepted_or_bring_the_verifier_down(
        header in any::<Vec<u8>>(), payload in any::<Vec<u8>>(), signature in any::<Vec<u8>>(),
    ) {
        let parts = [header, payload, signature].map(|part| URL_SAFE_NO_PAD.encode(part));
        prop_assert!(block_on(verifier().verify(&Token::new(parts.join(".")))).is_err());
    }

    #[test]
    fn no_claims_bring_the_verifier_down_even_where_they_are_signed(
        claim in prop::sample::select(vec![
            "iss", "sub", "exp", "iat", "nbf", "token_use", "client_id", "aud", "username", "scope", "jti",
            "cognito:groups", "email_verified",
        ]),
        value in "(null|true|-?[0-9]{1,25}|[0-9]\\.[0-9]e[0-9]{1,3}|\"[a-z]{0,5}\"|\\[\\]|\\{\\}|\\[\"a\",1\\]|[{\\[\",]{1,5})",
    ) {
        let payload = ana().without(claim).to_json(POOL).to_string();
        let payload = payload.replacen('{', &format!("{{\"{claim}\": {value},"), 1);
        let token = pool().key().token(HEADER, &payload).unwrap();
        let _ = block_on(verifier().verify(&token));
    }

    #[test]
    fn a_token_that_was_changed_anywhere_is_refused(place in any::<prop::sample::Index>(), with in "[A-Za-z0-9_.=-]") {
        static TOKEN: OnceLock<Token> = OnceLock::new();
        let genuine = TOKEN.get_or_init(|| pool().issue(&ana()).unwrap());
        let mut text = genuine.expose().to_owned();
        let place = place.index(text.len());
        text.replace_range(place..=place, &with);
        prop_assume!(text != genuine.expose());
        prop_assert!(block_on(verifier().verify(&Token::new(text))).is_err());
    }

    #[test]
    fn a_token_that_was_cut_or_lengthened_is_refused(place in any::<prop::sample::Index>(), with in "[A-Za-z0-9_.=-]{1,4}") {
        let genuine = pool().issue(&ana()).unwrap();
        let place = place.index(genuine.expose().len());
        let mut longer = genuine.expose().to_owned();
        longer.insert_str(place, &with);
        let shorter = genuine.expose().get(..place).unwrap().to_owned();
        for text in [longer, shorter] {
            prop_assert!(block_on(verifier().verify(&Token::new(text))).is_err());
        }
    }
}
