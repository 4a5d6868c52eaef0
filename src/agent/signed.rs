//! Whether content may be brought to this host at all: where its owner says who signs releases, somebody of these must
//! have signed it.
//!
//! Invariant: a list that is there is obeyed whatever the controller says, and it is looked at before anything of the
//! content comes, so that a marker is never written for content that nobody signed. A list that others could have written
//! is no list, and then nothing is taken. A signature that was right is kept beside the marker: the same content can come
//! again without anybody who signs, and it is verified again then, by the list as it is then.
//!
//! Deliberately absent: looking at what is marked ready already. A way back rests on markers, and must not depend on a
//! program, a clock or a list at 01:16.

use super::guard::Stop;
use super::hostfs::{HostFs, Place};
use super::state;
use crate::model::component::{Component, Want};
use crate::model::protocol::Refusal;
use crate::model::signed::{ALLOWED_SIGNERS, Signed, Signing};

/// Refuses content that a signature is demanded for and that has none which the owner's list allows.
pub(super) fn check(fs: &mut impl HostFs, want: &Want, signing: &Signing) -> Result<(), Stop> {
    let what = format!("{} ({})", want.component, want.id.short());
    let refused = |why: String| Err(Refusal::Unsigned(why).into());
    let signers = match fs.signers() {
        Ok(Some(signers)) => signers,
        Ok(None) if !signing.demanded => return Ok(()),
        Ok(None) => {
            return refused(format!("groups.yaml demands signed content, and this host has no {ALLOWED_SIGNERS}"));
        }
        Err(why) => return refused(format!("nobody is believed about {what}: {why}")),
    };
    let kept_at = place(&want.component);
    let candidates = [signing.signed.clone(), state::load(fs, &kept_at)?];
    let mut why = format!("no signature of {what} came, and {} demands one", signers.display());
    for signed in candidates.into_iter().flatten().filter(|signed| signed.names(&want.component, &want.id)) {
        let signature = Place::state(format!("signed/{}.sig", want.component));
        fs.make_dir(&Place::state("signed"))?;
        fs.write(&signature, signed.signature.as_bytes())?;
        let verified = fs.verify(&signers, &signed.text, &signature);
        fs.remove_file(&signature)?;
        match verified {
            Ok(()) => return Ok(state::store::<Signed>(fs, &kept_at, &signed)?),
            Err(said) => why = format!("the signature of {what} is not one that {} allows: {said}", signers.display()),
        }
    }
    refused(why)
}

/// Where the signature is kept that was right last.
pub(super) fn place(component: &Component) -> Place {
    Place::state(format!("signed/{component}"))
}
