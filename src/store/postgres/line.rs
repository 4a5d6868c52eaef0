//! One connection, on a thread of its own: the books are read and written by calls that block, and the thread that makes
//! them already runs a runtime, within which no second one may block.
//!
//! Invariant: nothing is waited for without a deadline, and no answer is taken that is longer than its limit. After a
//! deadline or a lost connection the line stays closed.

use super::super::backend::Value;
use super::address::{Host, Target, literal};
use crate::gate::signature::harmless;
use crate::model::limits::{
    BOOKS_ANSWER_BYTES_MAX, BOOKS_CONNECT_MS_MAX, BOOKS_ROWS_MAX, BOOKS_STATEMENT_MS_MAX, FAULT_CHARS_MAX,
};
use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, NoTls, Statement};

/// Why there is no answer.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The connection is gone, or never came about.
    Lost(String),
    /// Somebody else wrote for too long.
    Busy,
    /// A table or a column is not there.
    Missing(String),
    /// The server refused, or said what cannot be understood.
    Said(String),
}

type Rows = Vec<Vec<Value>>;

/// A statement that changes rows, and its values.
pub type Change = (&'static str, Vec<Value>);

/// What is asked.
pub enum Ask {
    /// Statements without values, for which no rows are wanted.
    Batch(String),
    /// One statement with its values.
    Statement(&'static str, Vec<Value>),
    /// A statement whose columns are others each time, so that it can't be kept prepared.
    Page(&'static str),
}

/// What comes before, what is asked, and where the answer goes.
type Question = (Vec<Change>, Ask, Sender<Result<Rows, Failure>>);

/// A connection.
pub struct Line {
    asks: Option<Sender<Question>>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("open", &self.asks.is_some()).finish()
    }
}

impl Line {
    /// None.
    pub fn closed() -> Self {
        Self { asks: None }
    }

    /// Connects.
    pub fn open(target: Arc<Target>) -> Result<Self, Failure> {
        let ((asks, asked), (opened, said)) = (channel(), channel());
        let thread = std::thread::Builder::new().name("books".to_owned());
        let spawned = thread.spawn(move || serve(&target, &opened, &asked));
        spawned.map_err(|e| Failure::Lost(e.to_string()))?;
        said.recv().unwrap_or_else(|_| Err(gone()))?;
        Ok(Self { asks: Some(asks) })
    }

    /// Makes changes, all under way at once, and then asks: the answer, or why there is none of the first that has none.
    pub fn answer(&mut self, before: Vec<Change>, ask: Ask) -> Result<Rows, Failure> {
        let asks = self.asks.as_ref().ok_or_else(gone)?;
        let (reply, answer) = channel();
        let answer = match asks.send((before, ask, reply)) {
            Ok(()) => answer.recv().unwrap_or_else(|_| Err(gone())),
            Err(_) => Err(gone()),
        };
        if matches!(answer, Err(Failure::Lost(_))) {
            self.asks = None;
        }
        answer
    }
}

fn gone() -> Failure {
    Failure::Lost("it was closed before".to_owned())
}

/// The thread: connects, then answers until nobody asks any more or the connection is lost.
fn serve(target: &Target, opened: &Sender<Result<(), Failure>>, asked: &Receiver<Question>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return drop(opened.send(Err(Failure::Lost(e.to_string())))),
    };
    let limit = Duration::from_millis(BOOKS_CONNECT_MS_MAX);
    let late = |_| Err(Failure::Lost(format!("no connection within {BOOKS_CONNECT_MS_MAX} ms")));
    let client = match runtime.block_on(async { timeout(limit, connect(target)).await }).unwrap_or_else(late) {
        Ok(client) => client,
        Err(failure) => return drop(opened.send(Err(failure))),
    };
    if opened.send(Ok(())).is_err() {
        return;
    }
    let mut statements = BTreeMap::new();
    // The server ends a statement by itself; this is for a server that does not answer at all.
    let limit = Duration::from_millis(BOOKS_STATEMENT_MS_MAX + BOOKS_CONNECT_MS_MAX);
    while let Ok((before, ask, reply)) = asked.recv() {
        let answer = async { timeout(limit, answer(&client, &mut statements, before, ask)).await };
        let late = |_| Err(Failure::Lost(format!("no answer within {} ms", limit.as_millis())));
        let answer = runtime.block_on(answer).unwrap_or_else(late);
        let lost = matches!(answer, Err(Failure::Lost(_)));
        if reply.send(answer).is_err() || lost {
            return;
        }
    }
}

async fn connect(target: &Target) -> Result<Client, Failure> {
    let io = |e: std::io::Error| Failure::Lost(e.to_string());
    let config = target.config();
    match (&target.host, &target.tls) {
        (Host::Socket(path), _) => {
            let stream = UnixStream::connect(path).await.map_err(io)?;
            let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|e| failure(&e))?;
            tokio::spawn(connection);
            Ok(client)
        }
        (Host::Tcp(name, port), tls) => {
            let address = match literal(name) {
                Some(address) => SocketAddr::new(address, *port),
                None => crate::signal::http::resolve(name, *port).await.map_err(Failure::Lost)?,
            };
            let stream = TcpStream::connect(address).await.map_err(io)?;
            stream.set_nodelay(true).map_err(io)?;
            let Some(tls) = tls else {
                let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|e| failure(&e))?;
                tokio::spawn(connection);
                return Ok(client);
            };
            let (client, connection) = config.connect_raw(stream, tls.clone()).await.map_err(|e| failure(&e))?;
            tokio::spawn(connection);
            Ok(client)
        }
    }
}

async fn answer(client: &Client, statements: &mut Statements, before: Vec<Change>, ask: Ask) -> Result<Rows, Failure> {
    let mut changes = Vec::new();
    for (sql, values) in before {
        let statement = prepared(client, statements, sql).await?;
        changes.push(async move { rows(client, &statement, values).await });
    }
    try_join_all(changes).await?;
    match ask {
        Ask::Batch(sql) => client.batch_execute(&sql).await.map(|()| Vec::new()).map_err(|e| failure(&e)),
        Ask::Page(sql) => {
            let statement = client.prepare(sql).await.map_err(|e| failure(&e))?;
            rows(client, &statement, Vec::new()).await
        }
        Ask::Statement(sql, values) => {
            let statement = prepared(client, statements, sql).await?;
            rows(client, &statement, values).await
        }
    }
}

/// Statements that the server knows.
type Statements = BTreeMap<&'static str, Statement>;

async fn prepared(client: &Client, known: &mut Statements, sql: &'static str) -> Result<Statement, Failure> {
    if let Some(statement) = known.get(sql) {
        return Ok(statement.clone());
    }
    let statement = client.prepare(&sql.replace('?', "$")).await.map_err(|e| failure(&e))?;
    known.insert(sql, statement.clone());
    Ok(statement)
}

/// All rows that a statement answers with.
async fn rows(client: &Client, statement: &Statement, values: Vec<Value>) -> Result<Rows, Failure> {
    let bound: Result<Vec<_>, Failure> = values.into_iter().zip(statement.params()).map(bound).collect();
    let mut stream = pin!(client.query_raw(statement, bound?).await.map_err(|e| failure(&e))?);
    let (mut rows, mut bytes) = (Rows::new(), 0);
    while let Some(row) = stream.try_next().await.map_err(|e| failure(&e))? {
        let columns: Result<Vec<Value>, _> = (0..row.len()).map(|n| row.try_get(n)).collect();
        let columns = columns.map_err(|e| failure(&e))?;
        bytes += columns.iter().map(size).sum::<usize>();
        rows.push(columns);
        if rows.len() > BOOKS_ROWS_MAX || bytes > BOOKS_ANSWER_BYTES_MAX {
            return Err(Failure::Lost(format!(
                "an answer has more than {BOOKS_ROWS_MAX} rows or {BOOKS_ANSWER_BYTES_MAX} bytes"
            )));
        }
    }
    Ok(rows)
}

/// A value as the parameter's type wants it.
fn bound((value, wanted): (Value, &Type)) -> Result<Box<dyn ToSql + Sync + Send>, Failure> {
    Ok(match value {
        Value::Null => Box::new(None::<String>),
        Value::Int(n) => {
            Box::new(i64::try_from(n).map_err(|_| Failure::Said(format!("{n} is too large a number for the books")))?)
        }
        Value::Text(text) if *wanted == Type::BYTEA => Box::new(text.into_bytes()),
        Value::Text(text) => Box::new(text),
        Value::Bytes(bytes) => Box::new(bytes),
    })
}

fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Int(_) => 8,
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
    }
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        match *kind {
            Type::INT8 => {
                let n = i64::from_sql(kind, raw)?;
                Ok(u64::try_from(n).map_or_else(|_| Value::Text(n.to_string()), Value::Int))
            }
            Type::BYTEA => Ok(Value::Bytes(raw.to_owned())),
            _ => Ok(Value::Text(String::from_sql(kind, raw)?)),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Value::Null)
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::BYTEA | Type::TEXT | Type::VARCHAR | Type::NAME)
    }
}

/// What the server or the connection said, told apart; harmless to show.
fn failure(error: &tokio_postgres::Error) -> Failure {
    let shown = |text: &str| harmless(text, FAULT_CHARS_MAX);
    let Some(said) = error.as_db_error() else {
        let mut words = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            words = inner.to_string();
            cause = inner.source();
        }
        return Failure::Lost(shown(&words));
    };
    let words = shown(said.message());
    let is_one_of = |states: &[SqlState]| states.contains(said.code());
    if is_one_of(&[SqlState::LOCK_NOT_AVAILABLE]) {
        return Failure::Busy;
    }
    if is_one_of(&GONE) {
        return Failure::Lost(words);
    }
    match is_one_of(&[SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN]) {
        true => Failure::Missing(words),
        false => Failure::Said(words),
    }
}

/// What a server says that is going, or that ends this session.
const GONE: [SqlState; 5] = [
    SqlState::ADMIN_SHUTDOWN,
    SqlState::CRASH_SHUTDOWN,
    SqlState::CANNOT_CONNECT_NOW,
    SqlState::TOO_MANY_CONNECTIONS,
    SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
];
