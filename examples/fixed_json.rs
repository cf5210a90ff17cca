//! The ceiling of the benchmark: an axum handler that reads the same request and answers fixed JSON.

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use tokio::net::TcpListener;

const ANSWER: &str = r#"{"decision":"allow","reason":"permitted","policies":["admins-manage-products"],"errors":[],"decision_id":"01930000-0000-7000-8000-000000000000","revision":"sha256:0000000000000000000000000000000000000000000000000000000000000000"}"#;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = Router::new()
        .route("/authorize", post(|_: Bytes| async { ([(CONTENT_TYPE, "application/json")], ANSWER) }));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8190".to_owned());
    axum::serve(TcpListener::bind(address).await?, app).await
}
