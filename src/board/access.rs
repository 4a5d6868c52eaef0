//! Who is answered: by the name under which the board was asked for, by where a form came from, and off loopback by a token.
//!
//! Invariant: a page of somebody else can neither read this one nor send its form. Names other than ours are refused, so that a
//! foreign name that leads here (DNS rebinding) is of no use; a form is taken from a page of ours only.

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use std::net::SocketAddr;

/// The rules.
pub struct Access {
    /// `127.0.0.1:8080`, `localhost:8080`, `board.example:8443`.
    names: Vec<String>,
    /// `http` or `https`.
    scheme: &'static str,
    /// Whether reading takes a token too.
    pub guarded: bool,
}

impl Access {
    /// For a board at this address. `names` are those it has beside the address; with TLS it is guarded.
    pub fn new(address: SocketAddr, names: &[String], tls: bool) -> Self {
        let port = address.port();
        let near = ["localhost".to_owned()].into_iter().filter(|_| address.ip().is_loopback());
        let with_port = near.chain(names.iter().cloned()).map(|name| format!("{}:{port}", name.to_ascii_lowercase()));
        let usual = if tls { 443 } else { 80 };
        let bare = names.iter().filter(|_| port == usual).map(|name| name.to_ascii_lowercase());
        let names = [address.to_string()].into_iter().chain(with_port).chain(bare).collect();
        let guarded = !address.ip().is_loopback();
        Self { names, scheme: if tls { "https" } else { "http" }, guarded }
    }

    /// Whether it was asked for by a name of ours.
    pub fn knows_name(&self, headers: &HeaderMap) -> bool {
        let mut named = headers.get_all(HOST).iter();
        let (Some(host), None) = (named.next(), named.next()) else { return false };
        host.to_str().is_ok_and(|host| self.names.contains(&host.to_ascii_lowercase()))
    }

    /// Whether a form was sent by a page of ours. Every browser says where a form comes from.
    pub fn is_from_here(&self, headers: &HeaderMap) -> bool {
        let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
        let host = origin.and_then(|origin| origin.strip_prefix(self.scheme)?.strip_prefix("://"));
        host.is_some_and(|host| self.names.contains(&host.to_ascii_lowercase()))
    }

    /// The token of a request, as a browser sends a password for any name (RFC 7617).
    pub fn token(headers: &HeaderMap) -> Option<String> {
        let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        let text = scheme.eq_ignore_ascii_case("basic").then(|| unpacked(encoded.trim())).flatten()?;
        text.split_once(':').map(|(_, token)| token.to_owned())
    }
}

/// Of a browser's header (RFC 4648, section 4), with its padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn unpacked(text: &str) -> Option<String> {
    String::from_utf8(BASE64.decode(text.trim_end_matches('=')).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let one = |(name, value): &(&'static str, &str)| {
            (axum::http::HeaderName::from_static(name), value.parse().expect("a value"))
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn s27_a_foreign_name_and_a_foreign_form_are_refused() {
        let near = Access::new("127.0.0.1:8080".parse().expect("an address"), &[], false);
        for host in ["127.0.0.1:8080", "localhost:8080", "LocalHost:8080"] {
            assert!(near.knows_name(&headers(&[("host", host)])), "{host}");
            assert!(near.is_from_here(&headers(&[("origin", &format!("http://{host}"))])), "{host}");
        }
        for host in ["evil.example:8080", "127.0.0.1", "127.0.0.1:80", "localhost:8080.evil.example", ""] {
            assert!(!near.knows_name(&headers(&[("host", host)])), "{host}");
        }
        for origin in ["https://localhost:8080", "null", "http://evil.example", "localhost:8080", "http://localhost"] {
            assert!(!near.is_from_here(&headers(&[("origin", origin)])), "{origin}");
        }
        assert!(!near.knows_name(&headers(&[])) && !near.is_from_here(&headers(&[])));
        let far = Access::new("10.0.0.1:443".parse().expect("an address"), &["board.example".into()], true);
        assert!(far.guarded && far.knows_name(&headers(&[("host", "board.example")])));
        assert!(far.is_from_here(&headers(&[("origin", "https://board.example")])));
        assert!(!far.knows_name(&headers(&[("host", "localhost:443")])));
    }

    #[test]
    fn a_token_is_the_password_of_any_name() {
        let token = |value: &str| Access::token(&headers(&[("authorization", value)]));
        assert_eq!(token("Basic YWxpY2U6b3BlbiBzZXNhbWU=").as_deref(), Some("open sesame"));
        assert_eq!(token("basic OmE6Yg==").as_deref(), Some("a:b"));
        for bad in ["Bearer YWxpY2U6b3BlbiBzZXNhbWU=", "Basic YWxpY2U=", "Basic ***", "Basic /w==", "Basic"] {
            assert_eq!(token(bad), None, "{bad}");
        }
    }
}
