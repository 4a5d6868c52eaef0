//! Puts the agent on a host, over the connection that is open anyway.
//!
//! Invariant: the machine is compared before anything is sent, and the host checks the digest of what it unpacked before
//! the program gets the name under which it is run. It goes as gzip packs it to every host that can unpack that.

use super::bootstrap::{self, Bare};
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

/// Puts `program` on the host at the other end of `connection`, which is `bare`.
pub async fn upload(connection: &Connection, program: &Program, bare: &Bare) -> Result<(), Fault> {
    bootstrap::check_machine(&bare.machine)?;
    let digest = program.digest().map_err(|e| ours(&e))?;
    let mut channel = connection.channel(bootstrap::UPLOAD).await?;
    let mut output = Vec::new();
    let Channel { input, output: from, .. } = &mut channel;
    let mut answer = from.take(NOISE_BYTES_MAX as u64);
    let read = async { answer.read_to_end(&mut output).await.map_err(|e| Stop::Wire(e.into())) };
    let wrote = both(send_program(program, input, bare.gzip), read).await;
    let said = bootstrap::parse(&output, digest);
    let stderr = channel.last_words().await;
    match (said, wrote) {
        (Some(said), _) => bootstrap::upload_fault(&said, &stderr, program.bytes()).map_or(Ok(()), Err),
        (None, Err(Stop::Fault(fault))) => Err(fault),
        (None, _) if !connection.alive().await => Err(connection.fault()),
        (None, _) => Err(spoken(&output, &stderr)),
    }
}

/// Writes digest, form and program, and ends the input, which is how the host knows that it has all.
async fn send_program(
    program: &Program,
    input: &mut BufWriter<Box<dyn AsyncWrite + Send + Sync + Unpin>>,
    gzip: bool,
) -> Result<(), Stop> {
    let unread = |e| Stop::Fault(ours(&e));
    let (digest, form) = (program.digest().map_err(unread)?, if gzip { "gzip" } else { "plain" });
    input.write_all(format!("{digest}\n{form}\n").as_bytes()).await.map_err(WireError::Io)?;
    if gzip {
        input.write_all(program.packed().await.map_err(unread)?).await.map_err(WireError::Io)?;
    } else {
        let mut offset = 0;
        while let Some(chunk) = program.chunk(offset).map_err(unread)? {
            input.write_all(&chunk).await.map_err(WireError::Io)?;
            offset += chunk.len() as u64;
        }
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
