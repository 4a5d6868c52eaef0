//! An entry of the section `notify` as it is written: its shape, and how it is read from YAML.

use crate::config::diagnostic::{Place, Sink};
use crate::config::fields::{Fields, argv, choice, list, text, texts};
use crate::config::raw::At;
use crate::config::yaml::{Node, Value};
use crate::model::notice::Occasion;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// How somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A line in the log of the site.
    Sal,
    /// By HTTP.
    Webhook,
    /// By mail.
    Mail,
    /// The system's log, here or elsewhere.
    Syslog,
}

/// What a webhook is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As Slack reads it.
    Slack,
    /// As Mattermost reads it.
    Mattermost,
    /// As Matterbridge reads it, which brings it to IRC.
    IrcBridge,
    /// Every part by its name.
    Json,
}

/// The names of ways.
pub const WAYS: [(&str, Way); 4] =
    [("sal", Way::Sal), ("webhook", Way::Webhook), ("mail", Way::Mail), ("syslog", Way::Syslog)];

/// The names of forms.
pub const FORMS: [(&str, Form); 4] =
    [("slack", Form::Slack), ("mattermost", Form::Mattermost), ("irc-bridge", Form::IrcBridge), ("json", Form::Json)];

/// Somebody who is told what became of rollouts.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct NotifyEntry {
    /// Its name, which warnings say.
    pub name: At<String>,
    /// `sal`, `webhook`, `mail` or `syslog`.
    #[schemars(schema_with = "ways_schema")]
    pub to: At<Way>,
    /// Of what; of everything when it is not said.
    #[schemars(schema_with = "occasions_schema")]
    pub on: Option<At<Vec<Occasion>>>,
    /// sal: the file to which a line is appended, absolute.
    pub file: Option<At<String>>,
    /// sal: the program that gets the line on its stdin.
    pub argv: Option<At<Vec<At<String>>>>,
    /// webhook: what is sent.
    #[schemars(schema_with = "forms_schema")]
    pub form: Option<At<Form>>,
    /// webhook: where its URL stands: `env:NAME` or `file:PATH`.
    pub url: Option<At<String>>,
    /// webhook: where a token stands that is sent as `Authorization: Bearer`.
    pub token: Option<At<String>>,
    /// webhook: a file of PEM certificates that are trusted instead of the system's.
    pub ca: Option<At<String>>,
    /// webhook, irc-bridge: the gateway of Matterbridge.
    pub gateway: Option<At<String>>,
    /// mail: from whom.
    pub from: Option<At<String>>,
    /// mail: to whom.
    pub recipients: Option<At<Vec<At<String>>>>,
    /// mail: the program, absolute; `/usr/sbin/sendmail` when it is not said.
    pub sendmail: Option<At<String>>,
    /// syslog: a socket, or HOST:PORT for UDP; `/dev/log` when it is not said.
    pub address: Option<At<String>>,
}

impl NotifyEntry {
    /// Its keys, in the order in which they are documented.
    pub const KEYS: &'static [&'static str] = &[
        "name",
        "to",
        "on",
        "file",
        "argv",
        "form",
        "url",
        "token",
        "ca",
        "gateway",
        "from",
        "recipients",
        "sendmail",
        "address",
    ];

    /// The keys that belong to one way only, with where they stand if they do.
    pub fn own(&self) -> [(&'static str, Way, Option<Place>); 11] {
        fn place<T>(at: &Option<At<T>>) -> Option<Place> {
            at.as_ref().map(|at| at.place)
        }
        [
            ("file", Way::Sal, place(&self.file)),
            ("argv", Way::Sal, place(&self.argv)),
            ("form", Way::Webhook, place(&self.form)),
            ("url", Way::Webhook, place(&self.url)),
            ("token", Way::Webhook, place(&self.token)),
            ("ca", Way::Webhook, place(&self.ca)),
            ("gateway", Way::Webhook, place(&self.gateway)),
            ("from", Way::Mail, place(&self.from)),
            ("recipients", Way::Mail, place(&self.recipients)),
            ("sendmail", Way::Mail, place(&self.sendmail)),
            ("address", Way::Syslog, place(&self.address)),
        ]
    }
}

/// Reads one entry.
pub fn entry(node: &Node, sink: &mut Sink) -> Option<NotifyEntry> {
    let mut f = Fields::of(node, NotifyEntry::KEYS, "a notifier", sink)?;
    let (name, to) = (f.need("name", text), f.need("to", |n, s| choice(n, &WAYS, s)));
    let on = f.optional("on", occasions);
    let (file, argv) = (f.optional("file", text), f.optional("argv", argv));
    let form = f.optional("form", |n, s| choice(n, &FORMS, s));
    let (url, token, ca) = (f.optional("url", text), f.optional("token", text), f.optional("ca", text));
    let (gateway, from) = (f.optional("gateway", text), f.optional("from", text));
    let (recipients, sendmail) = (f.optional("recipients", texts), f.optional("sendmail", text));
    let address = f.optional("address", text);
    Some(NotifyEntry {
        name: name?,
        to: to?,
        on: on?,
        file: file?,
        argv: argv?,
        form: form?,
        url: url?,
        token: token?,
        ca: ca?,
        gateway: gateway?,
        from: from?,
        recipients: recipients?,
        sendmail: sendmail?,
        address: address?,
    })
}

fn occasions(node: &Node, sink: &mut Sink) -> Option<Vec<Occasion>> {
    if node.value == Value::List(Vec::new()) {
        sink.add(node.place, "at least one occasion must stand here; without the key it is all of them");
    }
    list(node, "`on`", |node, sink| choice(node, &Occasion::ALL, sink), sink)
}

fn ways_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": WAYS.map(|(name, _)| name)})
}

fn forms_schema(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<Option<&str>> = FORMS.iter().map(|(name, _)| Some(*name)).chain([None]).collect();
    json_schema!({"type": ["string", "null"], "enum": names})
}

fn occasions_schema(_: &mut SchemaGenerator) -> Schema {
    let names = Occasion::ALL.map(|(name, _)| name);
    json_schema!({"type": ["array", "null"], "minItems": 1, "items": {"type": "string", "enum": names}})
}
