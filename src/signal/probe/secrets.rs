//! Secrets in the headers that a step sends.
//!
//! Invariant: they are read when they are sent. An answer is judged as it came; what is said of it, to people and in the journal, is
//! said of a copy in which every secret is blotted out that any step of the journey has sent until then.
//!
//! Deliberately absent: keeping a secret from the host that is asked. It is sent there. Knowing a secret again that the host
//! encrypted, cut or encoded otherwise than JSON, HTML and URLs do.

use crate::config::secret::referred;
use crate::gate::spec::probe::{HeaderText, Step};
use crate::model::secret::Secret;
use crate::signal::http::Answer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;

/// What stands in the place of a secret.
const BLOT: &str = "(secret)";
/// The shortest part of a secret that is blotted out alone, bytes: `Bearer` is no secret.
const PART_BYTES_MIN: usize = 8;
/// The same of what follows such a word: shorter ones are guessed anyway, and would be blotted out of any text.
const CREDENTIALS_BYTES_MIN: usize = 4;

/// The headers of a step with what they say.
pub fn sent(step: &Step) -> Result<Vec<(&str, Secret)>, String> {
    let read = |(name, said): &(String, HeaderText)| match said {
        HeaderText::Plain(text) => Ok(Secret::new(text.clone())),
        HeaderText::Secret(reference) => {
            let failed = |why: &str| format!("the header {name} cannot be sent: {reference}: {why}");
            let secret = referred(reference).map_err(|why| failed(&why))?;
            match HeaderValue::from_str(secret.expose()) {
                Ok(value) if !value.is_empty() => Ok(secret),
                _ => Err(failed("what stands there is not the value of a header")),
            }
        }
    };
    step.headers.iter().map(|header| Ok((header.0.as_str(), read(header)?))).collect()
}

/// What was sent in a journey so far that nobody is to see.
#[derive(Default)]
pub struct Spoken {
    /// Secrets and their parts in the forms in which they may come back, the longest first, so that no part is taken out of
    /// the whole.
    words: Vec<String>,
}

impl Spoken {
    /// These headers of a step are sent.
    pub fn note(&mut self, step: &Step, sent: &[(&str, Secret)]) {
        let headers = step.headers.iter().zip(sent);
        let secrets = headers.filter(|((_, said), _)| matches!(said, HeaderText::Secret(_)));
        self.words.extend(secrets.flat_map(|(_, (_, text))| parts(text.expose())).flat_map(|part| forms(&part)));
        self.words.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.words.dedup();
    }

    /// A text without them.
    pub fn blot(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, word| text.replace(word, BLOT))
    }

    /// An answer without them.
    pub fn blotted(&self, answer: &Answer) -> Answer {
        let mut answer = answer.clone();
        answer.body = self.blot(&String::from_utf8_lossy(&answer.body)).into_bytes();
        for value in answer.headers.values_mut() {
            let text = self.blot(&String::from_utf8_lossy(value.as_bytes()));
            *value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(BLOT));
        }
        answer
    }
}

/// A secret, and what of it gives it away alone.
fn parts(secret: &str) -> Vec<String> {
    let long = secret.split([' ', ';', ',', '=', '"']).filter(|part| part.len() >= PART_BYTES_MIN);
    // `Bearer TOKEN` and its like, however short the token is.
    let credentials = secret.split_once(' ').map(|(_, credentials)| credentials.trim());
    let credentials = credentials.filter(|credentials| credentials.len() >= CREDENTIALS_BYTES_MIN);
    let basic = credentials.and_then(|text| String::from_utf8(STANDARD.decode(text).ok()?).ok());
    let password = basic.as_deref().and_then(|basic| basic.split_once(':')).map(|(_, password)| password);
    let password = password.filter(|password| password.len() >= CREDENTIALS_BYTES_MIN);
    let texts = [secret].into_iter().chain(long).chain(credentials).chain(basic.as_deref()).chain(password);
    texts.map(str::to_owned).collect()
}

/// A text as it is, as JSON and HTML write it, and as it stands in a URL.
fn forms(text: &str) -> [String; 4] {
    let in_a_url = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    [text.to_owned(), text.replace('/', "\\/"), text.replace('&', "&amp;"), in_a_url]
}
