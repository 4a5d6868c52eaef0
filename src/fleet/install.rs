//! Puts this very program on a host, over the connection that is open anyway.
//!
//! Invariant: the machine is compared before anything is sent, and the host checks the digest before the program gets
//! the name under which it is run.

use super::bootstrap;
use super::channel::Channel;
use super::classify;
use super::exchange::{Stop, both};
use super::program::Program;
use super::ssh::Connection;
use crate::model::fault::Fault;
use crate::model::limits::NOISE_BYTES_MAX;
use crate::wire::frame::WireError;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};

/// Puts `program` on the host at the other end of `connection`, whose machine `uname -s -m` names so.
pub async fn upload(connection: &Connection, program: &Program, machine: &str) -> Result<(), Fault> {
    bootstrap::check_machine(machine)?;
    let digest = program.digest().map_err(|e| ours(&e))?;
    let mut channel = connection.channel(bootstrap::UPLOAD).await?;
    let mut output = Vec::new();
    let Channel { input, output: from, .. } = &mut channel;
    let mut answer = from.take(NOISE_BYTES_MAX as u64);
    let read = async { answer.read_to_end(&mut output).await.map_err(|e| Stop::Wire(e.into())) };
    let wrote = both(send_program(program, input, digest), read).await;
    let said = bootstrap::parse(&output, digest);
    let stderr = channel.last_words().await;
    match (said, wrote) {
        (Some(said), _) => bootstrap::upload_fault(&said, &stderr, program.bytes()).map_or(Ok(()), Err),
        (None, Err(Stop::Fault(fault))) => Err(fault),
        (None, _) if !connection.alive().await => Err(connection.fault()),
        (None, _) => Err(spoken(&output, &stderr)),
    }
}

/// Writes digest and program, and ends the input, which is how the host knows that it has all.
async fn send_program(
    program: &Program,
    input: &mut BufWriter<Box<dyn AsyncWrite + Send + Sync + Unpin>>,
    digest: &str,
) -> Result<(), Stop> {
    input.write_all(format!("{digest}\n").as_bytes()).await.map_err(WireError::Io)?;
    let mut offset = 0;
    while let Some(chunk) = program.chunk(offset).map_err(|e| Stop::Fault(ours(&e)))? {
        input.write_all(&chunk).await.map_err(WireError::Io)?;
        offset += chunk.len() as u64;
    }
    input.flush().await.map_err(WireError::Io)?;
    *input = BufWriter::new(Box::new(tokio::io::sink()));
    Ok(())
}

/// The fault of a host whose shell ended without an agent: its own words.
pub fn spoken(output: &[u8], stderr: &str) -> Fault {
    let words = classify::last_line(stderr.as_bytes()).or_else(|| classify::last_line(output));
    match words {
        Some(words) => Fault::Protocol(format!("its shell ended with `{words}`")),
        None => Fault::ClosedEarly,
    }
}

fn ours(error: &io::Error) -> Fault {
    Fault::Other(format!("here: the program cannot be read: {error}"))
}
