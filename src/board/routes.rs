//! What is asked and what is answered: pages, JSON, metrics, events, and the one form.

use super::access::Access;
use super::answering::{Answer, write};
use super::{Shared, reading};
use crate::config;
use crate::config::policy::Policy;
use crate::drive::clock;
use crate::model::books::Rollout;
use crate::model::ids::RolloutId;
use crate::model::limits::{BOARD_FORM_BYTES_MAX, BOARD_ROLLOUTS, BOARD_TRIES_MAX, BOARD_TRY_MS, BOARD_WRONG_MS};
use crate::report::html::board::{self, Board};
use crate::report::status::StatusView;
use crate::report::{history, status, textfile};
use crate::store::error::StoreError;
use crate::store::sqlstore::SqlStore;
use crate::store::{Store, keeper};
use axum::extract::{DefaultBodyLimit, Form, Path, Query, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

const OPENAPI: &str = include_str!("openapi.json");

type All = State<Arc<Shared>>;

/// Every way.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(train))
        .route("/rollouts/{id}", get(report))
        .route("/approvals", post(answer))
        .route("/events", get(events))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status_json))
        .route("/api/v1/rollouts", get(rollouts_json))
        .route("/api/v1/rollouts/{id}", get(rollout_json))
        .route("/api/v1/gates", get(gates_json))
        .route("/api/v1/openapi.json", get(|| async { ([(CONTENT_TYPE, "application/json")], OPENAPI) }))
        .fallback(|| async { Refused(StatusCode::NOT_FOUND, "there is no such page".into()) })
        .layer(DefaultBodyLimit::max(BOARD_FORM_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared)
}

/// Something that is not answered, and why.
pub struct Refused(pub StatusCode, pub String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Html(board::sentence("Not answered", &self.1))).into_response()
    }
}

/// Before every answer: by which name, and off loopback with a token. After it: nothing is kept, framed or guessed.
async fn guard(State(shared): All, request: Request, next: Next) -> Response {
    let access = &shared.board.access;
    let answer = if !access.knows_name(request.headers()) {
        Refused(StatusCode::MISDIRECTED_REQUEST, "it was asked for by a name that is not its own".into())
            .into_response()
    } else if access.guarded && known(&shared, Access::token(request.headers())).await.is_none() {
        let refused = Refused(StatusCode::UNAUTHORIZED, "a token is needed, as the password".into());
        ([(WWW_AUTHENTICATE, "Basic realm=\"pointsman\", charset=\"UTF-8\"")], refused).into_response()
    } else {
        next.run(request).await
    };
    let headers = [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    let mut answer = answer;
    headers.iter().for_each(|(name, value)| {
        answer.headers_mut().insert(*name, axum::http::HeaderValue::from_static(value));
    });
    answer
}

/// Whose token it is. A wrong one is answered late, and meanwhile no other is looked at.
async fn known(shared: &Shared, token: Option<String>) -> Option<String> {
    let token = token?;
    let _alone = shared.asking.lock().await;
    let who = shared.board.people.who(&token).map(str::to_owned);
    if who.is_none() {
        tokio::time::sleep(Duration::from_millis(BOARD_WRONG_MS)).await;
    }
    who
}

/// Does something with the books on a thread of its own, since they block. While somebody writes they may not be readable for
/// a moment, without a harm to either.
async fn with_books<T: Send + 'static>(
    shared: &Arc<Shared>,
    act: impl Fn(&Shared, &Policy, &SqlStore) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let shared = Arc::clone(shared);
    let once = move || {
        let _reading = shared.books.read().unwrap_or_else(PoisonError::into_inner);
        let policy = config::load(&shared.board.groups_yaml).map_err(failed)?;
        let store = keeper::open_read_only(&policy).map_err(unread)?;
        act(&shared, &policy, &store)
    };
    let done = tokio::task::spawn_blocking(move || {
        for _ in 1..BOARD_TRIES_MAX {
            match once() {
                Err(Refused(StatusCode::SERVICE_UNAVAILABLE, _)) => {
                    std::thread::sleep(Duration::from_millis(BOARD_TRY_MS));
                }
                done => return done,
            }
        }
        once()
    });
    done.await.map_err(failed)?
}

fn unread(error: StoreError) -> Refused {
    match error {
        StoreError::Unfinished(_) => Refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        error => failed(error),
    }
}

/// What can't be helped.
pub fn failed(error: impl std::fmt::Display) -> Refused {
    Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

/// The books and the site, as they are now.
pub fn view(policy: &Policy, store: &SqlStore) -> Result<StatusView, Refused> {
    let (books, lives) = (store.load().map_err(unread)?, store.holder_lives().map_err(unread)?);
    Ok(StatusView::of(policy, books, lives, clock::now(), "the board"))
}

fn rollout(store: &SqlStore, id: &str) -> Result<Rollout, Refused> {
    let missing = || Refused(StatusCode::NOT_FOUND, "the books have no such undertaking".into());
    let id: RolloutId = id.parse().map_err(|_| missing())?;
    store.rollout(id).map_err(unread)?.ok_or_else(missing)
}

/// What an answer said, by its word.
#[derive(Deserialize)]
struct Said {
    said: Option<String>,
}

async fn train(State(shared): All, Query(said): Query<Said>) -> Result<Html<String>, Refused> {
    let said = said.said.as_deref().and_then(|word| match word {
        "approved" => Some("The approval is on the books."),
        "denied" => Some("The refusal is on the books."),
        _ => None,
    });
    let page = move |shared: &Shared, policy: &Policy, store: &SqlStore| {
        let view = view(policy, store)?;
        let rollouts = store.rollouts(BOARD_ROLLOUTS).map_err(unread)?;
        let newest = shared.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let takes_approvals = !shared.board.people.is_empty();
        let newest = newest.case.as_ref();
        Ok(board::page(Board { view: &view, newest, rollouts: &rollouts, takes_approvals, said }))
    };
    with_books(&shared, page).await.map(Html)
}

async fn report(State(shared): All, Path(id): Path<String>) -> Result<Html<String>, Refused> {
    let page = move |_: &Shared, _: &Policy, store: &SqlStore| {
        let rollout = rollout(store, &id)?;
        reading::report(store, rollout, clock::now()).map_err(unread)
    };
    with_books(&shared, page).await.map(Html)
}

async fn answer(State(shared): All, headers: HeaderMap, Form(form): Form<Answer>) -> Result<Response, Refused> {
    if !shared.board.access.is_from_here(&headers) {
        return Err(Refused(StatusCode::FORBIDDEN, "the form did not come from the board".into()));
    }
    let nobody = || Refused(StatusCode::FORBIDDEN, "nobody has this token".into());
    let name = known(&shared, Some(form.token.clone())).await.ok_or_else(nobody)?;
    let written = tokio::task::spawn_blocking(move || write(&shared, &form, &name)).await;
    let back = if written.map_err(failed)?? { "/?said=approved" } else { "/?said=denied" };
    Ok((StatusCode::SEE_OTHER, [(LOCATION, back)]).into_response())
}

/// One event whenever the journal has more: the number of its events.
async fn events(State(shared): All) -> impl IntoResponse {
    let stream = futures_util::stream::unfold(shared.events.clone(), |mut events| async move {
        events.changed().await.ok()?;
        let now = *events.borrow_and_update();
        Some((Ok::<_, Infallible>(Event::default().data(now.to_string())), events))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

async fn metrics(State(shared): All) -> Result<impl IntoResponse, Refused> {
    let text = |_: &Shared, policy: &Policy, store: &SqlStore| {
        let events = store.head().map_err(unread)?.events;
        Ok(textfile::books(&view(policy, store)?, events))
    };
    let text = with_books(&shared, text).await?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (CACHE_CONTROL, "no-store")], text))
}

async fn status_json(State(shared): All) -> Result<impl IntoResponse, Refused> {
    with_books(&shared, |_, policy, store| Ok(Json(status::json(&view(policy, store)?)))).await
}

async fn rollouts_json(State(shared): All) -> Result<impl IntoResponse, Refused> {
    let list = |_: &Shared, _: &Policy, store: &SqlStore| {
        Ok(Json(history::json(&store.rollouts(BOARD_ROLLOUTS).map_err(unread)?)))
    };
    with_books(&shared, list).await
}

async fn rollout_json(State(shared): All, Path(id): Path<String>) -> Result<impl IntoResponse, Refused> {
    let whole = move |_: &Shared, _: &Policy, store: &SqlStore| {
        let rollout = rollout(store, &id)?;
        let (after, steps) = (store.snapshot(rollout.to).map_err(unread)?, store.steps(rollout.id).map_err(unread)?);
        let health = store.load().map_err(unread)?.health;
        Ok(Json(history::show_json(&rollout, after.as_ref(), &steps, health.gates.get(&rollout.id))))
    };
    with_books(&shared, whole).await
}

async fn gates_json(State(shared): All) -> Result<impl IntoResponse, Refused> {
    let gates = |_: &Shared, _: &Policy, store: &SqlStore| {
        let health = store.load().map_err(unread)?.health;
        let of = |(id, gates): (&RolloutId, _)| (id.to_string(), json!(gates));
        Ok(Json(health.gates.iter().map(of).collect::<serde_json::Map<_, _>>()))
    };
    with_books(&shared, gates).await
}
