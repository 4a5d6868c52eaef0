//! What gates see of the fleet: questions to agents over sessions of their own, and the addresses of web servers.
//!
//! Invariant: nothing here can send a command. A session that failed is not used again.

use super::CLOSE;
use super::clock;
use crate::config::policy::{Policy, Transport, Web};
use crate::fleet::session::Session;
use crate::fleet::{Fleet, Install};
use crate::model::fault::Fault;
use crate::model::limits::CONFIG_BYTES_MAX;
use crate::model::names::HostName;
use crate::model::question::{Answer, Question};
use crate::model::time::Time;
use crate::signal::World;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The fleet, for gates.
pub struct FleetWorld {
    fleet: Arc<Fleet>,
    /// Whether a host without an agent is given one.
    install: Install,
    web: Web,
    /// The address of each host that has one in groups.yaml.
    addresses: BTreeMap<HostName, String>,
    sessions: RefCell<BTreeMap<HostName, Session>>,
}

impl FleetWorld {
    /// The fleet of `policy`.
    pub fn new(fleet: &Arc<Fleet>, policy: &Policy, install: Install) -> Self {
        let address = |(host, transport): (&HostName, &Transport)| match transport {
            Transport::Ssh { address: Some(address), .. } => (host.clone(), address.to_string()),
            Transport::Ssh { .. } | Transport::Local { .. } => (host.clone(), host.to_string()),
        };
        let addresses = policy.hosts.iter().map(|(host, policy)| address((host, &policy.transport))).collect();
        Self { fleet: Arc::clone(fleet), install, web: policy.web.clone(), addresses, sessions: RefCell::default() }
    }

    /// Ends every session.
    pub async fn close(&self) {
        let sessions = std::mem::take(&mut *self.sessions.borrow_mut());
        let closing: tokio::task::JoinSet<()> = sessions.into_values().map(|session| session.close(CLOSE)).collect();
        closing.join_all().await;
    }
}

impl World for FleetWorld {
    async fn ask(&self, host: &HostName, question: Question, within: Duration) -> Result<Answer, Fault> {
        let kept = self.sessions.borrow_mut().remove(host);
        let asked = async {
            let mut session = match kept {
                Some(session) => session,
                None => self.fleet.session(host, self.install).await?,
            };
            let answer = session.question(&question, within).await?;
            Ok((answer, session))
        };
        let answered = tokio::time::timeout(within, asked).await;
        let (answer, session) = answered.unwrap_or_else(|_| Err(Fault::TimedOut("asking a gate's question".into())))?;
        self.sessions.borrow_mut().insert(host.clone(), session);
        Ok(answer)
    }

    async fn web(&self, host: &HostName) -> Result<SocketAddr, String> {
        if let Some(file) = &self.web.addresses
            && let Some(found) = listed(file, host)?
        {
            return Ok(found);
        }
        let name = self.addresses.get(host).ok_or_else(|| format!("{host} is not in groups.yaml"))?;
        match name.parse::<IpAddr>() {
            Ok(address) => Ok(SocketAddr::new(address, self.web.port)),
            Err(_) => crate::signal::http::resolve(name, self.web.port).await,
        }
    }

    fn now(&self) -> Time {
        clock::now()
    }
}

/// The line of `host` in a file of lines `HOST ADDRESS:PORT`; it is read each time, since it may change while a gate
/// is asked.
fn listed(file: &Path, host: &HostName) -> Result<Option<SocketAddr>, String> {
    let failed = |why: String| format!("{}: {why}", file.display());
    let opened = std::fs::File::open(file).map_err(|error| failed(error.to_string()))?;
    let mut text = String::new();
    opened.take(CONFIG_BYTES_MAX).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let (name, address) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
        if name == host.as_str() {
            let wrong = || failed(format!("line {}: `HOST ADDRESS:PORT` must stand here", number + 1));
            return address.trim().parse().map(Some).map_err(|_| wrong());
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_where_the_file_says() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("web");
        let said = |text: &str| {
            std::fs::write(&file, text).expect("it is ours");
            listed(&file, &"mw2020.codfw.wmnet".parse().expect("a host"))
        };
        let found = said("mw1.x 127.0.0.1:1\n\nmw2020.codfw.wmnet 127.0.0.1:8020\n");
        assert_eq!(found, Ok(Some("127.0.0.1:8020".parse().expect("an address"))));
        assert_eq!(said("mw1.x 127.0.0.1:1\n"), Ok(None));
        let wrong = said("mw1.x 1\nmw2020.codfw.wmnet 127.0.0.1\n").expect_err("there is no port");
        assert!(wrong.ends_with("web: line 2: `HOST ADDRESS:PORT` must stand here"), "{wrong}");
        let gone = listed(Path::new("/no/such/file"), &"a.b".parse().expect("a host")).expect_err("it is not there");
        assert!(gone.starts_with("/no/such/file: "), "{gone}");
    }
}
