//! The streaming endpoint of docs/platform.md, as a program that a test runs.

use std::{env, error::Error, path::PathBuf};

use axum::{
    extract::{Path, Request, State},
    http::{header, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
    Router,
};
use serde::Deserialize;
use sqlx::PgPool;
use tower_http::services::ServeFile;
use uuid::Uuid;

#[derive(Clone)]
struct App {
    db: PgPool,
    root: PathBuf, // canonical
    http: reqwest::Client,
    api: String,
    token: String, // with the scope tracks:play
}

#[derive(Deserialize)]
struct Playback {
    url: String,
}

async fn stream(State(app): State<App>, Path(id): Path<Uuid>, request: Request) -> Result<Response, StatusCode> {
    let row: Option<(String, String)> =
        sqlx::query_as("SELECT storage_backend, coalesce(file_path, '') FROM tracks WHERE id = $1 AND deleted_at IS NULL")
            .bind(id)
            .fetch_optional(&app.db)
            .await
            .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let (backend, path) = row.ok_or(StatusCode::NOT_FOUND)?;
    if backend == "local" {
        if let Ok(file) = tokio::fs::canonicalize(app.root.join(path)).await {
            if file.starts_with(&app.root) && file.is_file() {
                let served = ServeFile::new(file).try_call(request).await; // Range, If-Modified-Since
                return served.map(IntoResponse::into_response).map_err(|_| StatusCode::SERVICE_UNAVAILABLE);
            }
        }
        // It may just have moved: trackstore knows.
    }
    let answer = app
        .http
        .get(format!("{}/v1/tracks/{id}/audio?redirect=0", app.api))
        .bearer_auth(&app.token)
        .send()
        .await
        .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    if !answer.status().is_success() {
        return Err(answer.status());
    }
    let playback: Playback = answer.json().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok((StatusCode::FOUND, [(header::LOCATION, playback.url)]).into_response())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = App {
        db: PgPool::connect(&env::var("DATABASE_URL")?).await?,
        root: PathBuf::from(env::var("TRACK_LOCAL_DIR")?).canonicalize()?,
        http: reqwest::Client::new(),
        api: env::var("TRACKSTORE_URL")?,
        token: env::var("TRACKSTORE_TOKEN")?,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, Router::new().route("/stream/{id}", get(stream)).with_state(app)).await?;
    Ok(())
}
