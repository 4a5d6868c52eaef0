//! Columns of a row as the texts, numbers and hashes that they should be.
//!
//! Invariant: whatever stands there is a value or an error that names table and row, never a panic and never a guess.

use super::backend::Value;
use super::error::StoreError;
use crate::model::digest::Digest;
use crate::model::limits::BOOKS_ROW_BYTES_MAX;

/// A row's key as text.
pub fn key(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Int(n) => n.to_string(),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The text of a column, bounded.
pub fn text<'r>(table: &'static str, row: &str, value: &'r Value) -> Result<&'r str, StoreError> {
    let text = match value {
        Value::Text(text) => text.as_str(),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|e| StoreError::row(table, row, e))?,
        Value::Null | Value::Int(_) => return Err(StoreError::row(table, row, "a column is not a text")),
    };
    match text.len() > BOOKS_ROW_BYTES_MAX {
        true => Err(StoreError::row(table, row, "it is too long")),
        false => Ok(text),
    }
}

/// The number of a column.
pub fn number(table: &'static str, row: &str, value: &Value) -> Result<u64, StoreError> {
    match value {
        Value::Int(number) => Ok(*number),
        _ => Err(StoreError::row(table, row, "a column is not a whole number")),
    }
}

/// The hash of a column.
pub fn hash(table: &'static str, row: &str, value: &Value) -> Result<Digest, StoreError> {
    let bytes = match value {
        Value::Bytes(bytes) => <[u8; 32]>::try_from(bytes.as_slice()).ok(),
        _ => None,
    };
    bytes.map(Digest::from_bytes).ok_or_else(|| StoreError::row(table, row, "a hash is not 32 bytes"))
}

/// A column of a row.
pub fn column<'r>(table: &'static str, key: &str, row: &'r [Value], n: usize) -> Result<&'r Value, StoreError> {
    row.get(n).ok_or_else(|| StoreError::row(table, key, "a column is missing"))
}
