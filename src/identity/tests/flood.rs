//! Many tokens that are well-formed and wrong, beside one that is known.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::task::{JoinSet, yield_now};

use super::{ana, class, pool, verifier};
use crate::model::Token;

/// The same token with a signature of its own.
fn forged(token: &Token, number: u16) -> Token {
    let (signed, _) = token.expose().rsplit_once('.').unwrap();
    let signature: Vec<_> = number.to_be_bytes().into_iter().cycle().take(256).collect();
    Token::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[tokio::test]
async fn a_flood_of_wrong_tokens_evicts_none_that_is_known() {
    let (verifier, token) = (verifier(), pool().issue(&ana()).unwrap());
    let known = verifier.verify(&token).await.unwrap();
    for number in 0..500 {
        assert_eq!(class(&verifier.verify(&forged(&token, number)).await), "signature");
    }
    assert_eq!(verifier.0.cache.count(), 1);
    assert!(Arc::ptr_eq(known.identity(), verifier.verify(&token).await.unwrap().identity()));
}

#[tokio::test]
async fn a_known_token_does_not_wait_for_a_flood_of_wrong_ones() {
    let (verifier, token) = (verifier(), pool().issue(&ana()).unwrap());
    verifier.verify(&token).await.unwrap();
    let count = 500;
    let mut flood = JoinSet::new();
    for number in 0..count {
        let (verifier, wrong) = (verifier.clone(), forged(&token, number));
        flood.spawn(async move { class(&verifier.verify(&wrong).await) });
    }
    let mut served = 0;
    while !flood.is_empty() {
        verifier.verify(&token).await.unwrap();
        served += 1;
        yield_now().await;
        while let Some(judged) = flood.try_join_next() {
            assert_eq!(judged.unwrap(), "signature");
        }
    }
    let at_once = std::thread::available_parallelism().unwrap().get();
    assert!(served >= usize::from(count) / at_once / 2, "{served} beside {count}, {at_once} at once");
}
