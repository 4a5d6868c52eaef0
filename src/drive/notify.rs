//! Tells people who are not at the terminal: notices leave on a thread of their own.
//!
//! Invariants. What is told never waits for who is told: a notice is put into a bounded queue or dropped. Each notifier
//! has a queue and a task of its own and a deadline for each notice, so that a dead one keeps nothing from the others; its
//! first failure is one line of warning. The end of a command waits for what is under way, for a named time.
//!
//! Absent on purpose: trying again, and notices that outlive the command. What happened is in the books.

mod deliver;

use super::clock;
use crate::config::policy::NotifierPolicy;
use crate::model::books::Record;
use crate::model::health::HealthRecord;
use crate::model::limits::{NOTICES_WAITING_MAX, NOTIFY_FLUSH_MS_MAX, NOTIFY_MS_MAX};
use crate::model::notice::Notice;
use crate::report::notice;
use crate::store::Store;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

/// Says a warning to the person at the terminal.
pub type Warn = Arc<dyn Fn(&str) + Send + Sync>;

/// The notifiers of a site, from the first notice to the end of the command.
pub struct Notifier {
    to: Vec<NotifierPolicy>,
    warn: Warn,
    thread: Mutex<Option<(Sender<Notice>, JoinHandle<()>)>>,
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("to", &self.to.len()).finish_non_exhaustive()
    }
}

impl Notifier {
    /// Tells these; `warn` says what went wrong with one of them.
    pub fn new(to: Vec<NotifierPolicy>, warn: Warn) -> Self {
        Self { to, warn, thread: Mutex::new(None) }
    }

    /// Tells whoever wants to know, and returns at once.
    pub fn tell(&self, notices: impl IntoIterator<Item = Notice>) {
        for notice in notices {
            if self.to.iter().any(|to| to.on.contains(&notice.on)) {
                self.send(notice);
            }
        }
    }

    /// Tells of gates that began to wait for a person, as these records of theirs say, which are in the books.
    pub fn asked(&self, store: &dyn Store, records: &[Record]) {
        for record in records {
            let Record::Health(HealthRecord::Asked { rollout, gate }) = record else { continue };
            // Without books there is nobody to name, and whoever asked notices that.
            let books = store.load().ok();
            let rollout = books.as_ref().and_then(|books| books.rollouts.get(rollout));
            self.tell(rollout.map(|rollout| notice::asked(clock::now(), rollout, gate)));
        }
    }

    fn send(&self, notice: Notice) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            match begin(self.to.clone(), Arc::clone(&self.warn)) {
                Ok(begun) => *thread = Some(begun),
                Err(error) => return (self.warn)(&format!("nobody is notified: {error}")),
            }
        }
        if let Some((queue, _)) = &*thread {
            // A full queue is one whose thread can't follow; each notifier's own queue says when that happens.
            let _ = queue.try_send(notice);
        }
    }
}

/// Waits until everybody was told, for [`NOTIFY_FLUSH_MS_MAX`] at most.
impl Drop for Notifier {
    fn drop(&mut self) {
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((queue, thread)) = thread {
            drop(queue);
            let _ = thread.join();
        }
    }
}

fn begin(to: Vec<NotifierPolicy>, warn: Warn) -> std::io::Result<(Sender<Notice>, JoinHandle<()>)> {
    let (queue, notices) = channel(NOTICES_WAITING_MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("notify".to_owned()).spawn(move || {
        tokio::task::LocalSet::new().block_on(&runtime, all(&to, notices, warn));
        // A file system that hangs keeps its thread; nobody waits for it.
        runtime.shutdown_background();
    })?;
    Ok((queue, thread))
}

/// Hands each notice to those who want it, until no more can come; then waits for them.
async fn all(to: &[NotifierPolicy], mut notices: Receiver<Notice>, warn: Warn) {
    let mut tasks = JoinSet::new();
    let mut queues = Vec::new();
    let mut warned = BTreeMap::new();
    for policy in to {
        let (queue, waiting) = channel(NOTICES_WAITING_MAX);
        let said = Warned { name: policy.name.to_string(), done: Rc::default(), warn: Arc::clone(&warn) };
        warned.insert(policy.name.clone(), said.clone());
        queues.push((policy, queue, said.clone()));
        let policy = policy.clone();
        tasks.spawn_local(async move {
            one(&policy, waiting, &said).await;
            policy.name
        });
    }
    while let Some(notice) = notices.recv().await {
        for (policy, queue, said) in queues.iter().filter(|(policy, ..)| policy.on.contains(&notice.on)) {
            if queue.try_send(notice.clone()).is_err() {
                said.once(&format!("more than {NOTICES_WAITING_MAX} notices wait for {}", policy.name));
            }
        }
    }
    drop(queues);
    let rest = async {
        while let Some(Ok(name)) = tasks.join_next().await {
            warned.remove(&name);
        }
    };
    if tokio::time::timeout(Duration::from_millis(NOTIFY_FLUSH_MS_MAX), rest).await.is_err() {
        warned.values().for_each(|said| said.once(&format!("not all told within {NOTIFY_FLUSH_MS_MAX} ms")));
    }
}

/// Tells one notifier, notice after notice.
async fn one(policy: &NotifierPolicy, mut notices: Receiver<Notice>, said: &Warned) {
    while let Some(notice) = notices.recv().await {
        let within = Duration::from_millis(NOTIFY_MS_MAX);
        let told = tokio::time::timeout(within, deliver::deliver(&policy.to, &notice)).await;
        let why = match told {
            Ok(Ok(())) => continue,
            Ok(Err(why)) => why,
            Err(_) => format!("no answer within {NOTIFY_MS_MAX} ms"),
        };
        said.once(&format!("{} of {}: {why}", notice.on, notice.subject));
    }
}

/// Whether a warning about a notifier was said.
#[derive(Clone)]
struct Warned {
    name: String,
    done: Rc<Cell<bool>>,
    warn: Warn,
}

impl Warned {
    fn once(&self, why: &str) {
        if !self.done.replace(true) {
            (self.warn)(&format!("the notifier {} was not told {why}; nothing waits for it", self.name));
        }
    }
}

#[cfg(test)]
mod tests;
