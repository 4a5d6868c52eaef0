//! Content that this host fetches from a mirror, for a transfer that has begun.
//!
//! Invariant: a mirror is believed nothing. What comes is bounded by the length that the controller said, hashed while it
//! is read, and stands only under its own digest; what is in a frame is hashed file by file once more. A mirror that fails
//! is asked no further, and what it did not bring is asked for otherwise; only what stops the whole transfer is an error.

use super::guard::Stop;
use super::hostfs::{HostFs, Mirror};
use super::prepare::{self, Transfer};
use super::unpack;
use crate::model::digest::Digest;
use crate::model::limits::{FETCH_CA_BYTES_MAX, FETCH_MISSING_MAX, FETCH_OBJECTS_MAX};
use crate::wire::fetch::{Failure, Fetch, Fetched, Parcel};
use std::io::{self, Read};

/// Takes what a fetch names, as far as it is needed still.
pub(super) fn fetch(fs: &mut impl HostFs, transfer: &mut Transfer, fetch: &Fetch) -> Result<Fetched, Stop> {
    let mut fetched = Fetched::default();
    let ca = fetch.ca.as_deref();
    let too_much = fetch.objects() > FETCH_OBJECTS_MAX || ca.is_some_and(|ca| ca.len() > FETCH_CA_BYTES_MAX);
    let mirror = if too_much { Err(Failure::Order) } else { fs.mirror(ca) };
    match mirror {
        Ok(mut mirror) => fetched.failure = take(fs, transfer, fetch, &mut *mirror, &mut fetched)?.err(),
        Err(failure) => fetched.failure = Some(failure),
    }
    Ok(fetched)
}

/// Within: why the mirror is asked no further.
fn take(
    fs: &mut impl HostFs,
    transfer: &mut Transfer,
    fetch: &Fetch,
    mirror: &mut dyn Mirror,
    fetched: &mut Fetched,
) -> Result<Result<(), Failure>, Stop> {
    let bundle = match fetch.frames.is_empty() {
        true => None,
        false => unpack::open(fs, fetch.base.as_ref(), &transfer.manifest)?,
    };
    if let Some(bundle) = &bundle {
        for frame in &fetch.frames {
            let taken =
                one(mirror, &frame.parcel, fetched, |from| unpack::unpack(fs, transfer, bundle, frame.group, from))?;
            if taken.is_err() {
                return Ok(taken);
            }
        }
    }
    let all = fetch.all.iter().flat_map(|all| {
        let needs = transfer.needs().into_iter();
        needs.filter_map(|digest| {
            let (address, bytes) = (all.below(&digest.to_string()), transfer.size_of(&digest)?);
            Some(Parcel { address, digest, bytes })
        })
    });
    let parcels: Vec<Parcel> = fetch.files.iter().cloned().chain(all).collect();
    for parcel in &parcels {
        if transfer.size_of(&parcel.digest) != Some(parcel.bytes) {
            continue;
        }
        let put = |from: &mut dyn Read| prepare::put_if_right(fs, transfer, parcel.digest, from).map(drop);
        let taken = one(mirror, parcel, fetched, put)?;
        if taken.is_err() {
            return Ok(taken);
        }
    }
    Ok(Ok(()))
}

/// One object: `use_it` reads as much of it as it likes; then the rest is read, so that all of it is known.
fn one(
    mirror: &mut dyn Mirror,
    parcel: &Parcel,
    fetched: &mut Fetched,
    use_it: impl FnOnce(&mut dyn Read) -> Result<(), Stop>,
) -> Result<Result<(), Failure>, Stop> {
    let from = match mirror.get(parcel) {
        Ok(from) => from,
        Err(Failure::Status(404 | 410)) => {
            fetched.missing += 1;
            let lacks = fetched.missing > FETCH_MISSING_MAX;
            return Ok(if lacks { Err(Failure::Lacks) } else { Ok(()) });
        }
        Err(failure) => return Ok(Err(failure)),
    };
    let mut arriving =
        Arriving { from, hasher: blake3::Hasher::new(), bytes: 0, bytes_max: parcel.bytes, failure: None };
    let used = use_it(&mut arriving);
    let whole = used.is_err() || io::copy(&mut arriving, &mut io::sink()).is_ok();
    fetched.bytes = fetched.bytes.saturating_add(arriving.bytes);
    used?;
    let same =
        arriving.bytes == parcel.bytes && Digest::from_bytes(*arriving.hasher.finalize().as_bytes()) == parcel.digest;
    Ok(match (arriving.failure, whole && same) {
        (Some(failure), _) => Err(failure),
        (None, true) => Ok(()),
        (None, false) => Err(Failure::Lies),
    })
}

/// An object on its way: counted, hashed, and never longer than it should be.
struct Arriving<'a> {
    from: Box<dyn Read + 'a>,
    hasher: blake3::Hasher,
    bytes: u64,
    bytes_max: u64,
    /// What was wrong with the mirror, once something was.
    failure: Option<Failure>,
}

impl Read for Arriving<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failure.is_some() {
            return Err(ended());
        }
        match self.from.read(buffer) {
            Ok(n) if self.bytes + n as u64 > self.bytes_max => self.failure = Some(Failure::Lies),
            Ok(n) => {
                self.bytes += n as u64;
                self.hasher.update(&buffer[..n]);
                return Ok(n);
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => self.failure = Some(Failure::Slow),
            Err(_) => self.failure = Some(Failure::Unreachable),
        }
        Err(ended())
    }
}

/// An error that cannot be taken for one of this host's disk, which has a number.
fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the mirror's object ended")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Agent;
    use crate::agent::tests::bench::{Controller, memory, tree};
    use crate::wire::fetch::Address;
    use crate::wire::pieces::pieces;

    /// A mirror that says this of everything.
    struct Says(Result<Vec<u8>, Failure>);

    impl Mirror for Says {
        fn get<'a>(&'a mut self, _: &Parcel) -> Result<Box<dyn Read + 'a>, Failure> {
            self.0.as_ref().map(|bytes| Box::new(bytes.as_slice()) as Box<dyn Read>).map_err(|failure| *failure)
        }
    }

    fn said(says: Result<&[u8], Failure>) -> (Option<Failure>, Fetched) {
        let bytes = b"what it should be".as_slice();
        let parcel = Parcel { address: Address::new("x"), digest: Digest::of(bytes), bytes: bytes.len() as u64 };
        let mut fetched = Fetched::default();
        // Whoever uses it may stop anywhere.
        let use_it = |from: &mut dyn Read| Ok(_ = from.read(&mut [0; 3])?);
        let taken = one(&mut Says(says.map(<[u8]>::to_vec)), &parcel, &mut fetched, use_it);
        (taken.expect("nothing is wrong with this host").err(), fetched)
    }

    /// A mirror whose objects never end, or break off so after their first bytes.
    struct Goes(Option<io::ErrorKind>);

    impl Mirror for Goes {
        fn get<'a>(&'a mut self, _: &Parcel) -> Result<Box<dyn Read + 'a>, Failure> {
            let Some(kind) = self.0 else { return Ok(Box::new(io::repeat(b'w').take(1 << 20))) };
            Ok(Box::new(pieces([Ok(b"what"), Err(kind)])))
        }
    }

    #[test]
    fn s21_an_object_that_does_not_end_is_read_no_further_than_it_may_be_long() {
        let parcel = Parcel { address: Address::new("x"), digest: Digest::of(b"what"), bytes: 17 };
        let went = |how| {
            let mut fetched = Fetched::default();
            let taken = one(&mut Goes(how), &parcel, &mut fetched, |_| Ok(())).expect("nothing is wrong here");
            (taken.err(), fetched.bytes)
        };
        assert_eq!(went(None), (Some(Failure::Lies), 0));
        assert_eq!(went(Some(io::ErrorKind::TimedOut)), (Some(Failure::Slow), 4));
        assert_eq!(went(Some(io::ErrorKind::ConnectionReset)), (Some(Failure::Unreachable), 4));
    }

    #[test]
    fn a_mirror_that_lacks_too_much_is_asked_no_further() {
        let parcel = Parcel { address: Address::new("x"), digest: Digest::of(b""), bytes: 0 };
        let mut fetched = Fetched { missing: FETCH_MISSING_MAX - 1, ..Fetched::default() };
        let mut lacks = |status| one(&mut Says(Err(Failure::Status(status))), &parcel, &mut fetched, |_| Ok(()));
        assert_eq!(lacks(410).expect("nothing is wrong here"), Ok(()), "the last one that may be missing");
        assert_eq!(lacks(404).expect("nothing is wrong here"), Err(Failure::Lacks));
    }

    #[test]
    fn s21_an_order_is_bounded() {
        let (mut agent, mut controller) = (Agent::new(memory()), Controller::new(1));
        controller.observe(&mut agent, &[]).expect("obeyed");
        let tree = tree("1.27.0-wmf.10");
        let mut transfer = controller.begin(&mut agent, &tree, tree.want()).expect("begun");
        let mut of = |files: usize, ca: usize| {
            let parcel = Parcel { address: Address::new("x"), digest: Digest::of(b""), bytes: 0 };
            let order = Fetch { files: vec![parcel; files], ca: Some("c".repeat(ca)), ..Fetch::default() };
            fetch(&mut agent.fs, &mut transfer, &order).expect("nothing is wrong here").failure
        };
        // A host in memory reaches no mirror.
        assert_eq!(of(FETCH_OBJECTS_MAX, FETCH_CA_BYTES_MAX), Some(Failure::Unreachable));
        assert_eq!(of(FETCH_OBJECTS_MAX + 1, 1), Some(Failure::Order));
        assert_eq!(of(1, FETCH_CA_BYTES_MAX + 1), Some(Failure::Order));
    }

    #[test]
    fn s21_an_object_is_right_to_its_last_byte_or_the_mirror_lies() {
        assert_eq!(said(Ok(b"what it should be")), (None, Fetched { bytes: 17, ..Fetched::default() }));
        for lie in [b"what it should bE".as_slice(), b"what", b"", b"what it should be and more"] {
            assert_eq!(said(Ok(lie)).0, Some(Failure::Lies), "{lie:?}");
        }
        assert_eq!(said(Err(Failure::Status(403))).0, Some(Failure::Status(403)));
        assert_eq!(said(Err(Failure::Status(404))), (None, Fetched { missing: 1, ..Fetched::default() }));
    }
}
