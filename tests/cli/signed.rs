//! Signed content, with the real `ssh-keygen`: hosts take what somebody signed whom their owner allows, and nothing else.

use crate::site::{Site, V11, ran};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const LIST: &str = "etc/pointsman/allowed_signers";

/// A site and two keys: that of the release's author and a stranger's.
struct Signers {
    site: Site,
    keys: [PathBuf; 2],
}

fn ssh_keygen(arguments: &[&str]) {
    let ended = Command::new("ssh-keygen").args(arguments).stdin(Stdio::null()).output().expect("ssh-keygen is here");
    assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
}

fn text_of(path: &Path) -> String {
    path.to_str().expect("it is UTF-8").to_owned()
}

impl Signers {
    fn of(site: Site) -> Self {
        let keys = ["author", "stranger"].map(|name| site.path(name));
        for key in &keys {
            ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &text_of(key)]);
        }
        Self { site, keys }
    }

    /// The owner of each host puts a list there that allows the author, with these options.
    fn allow(&self, options: &str) {
        let key = fs::read_to_string(self.keys[0].with_extension("pub")).expect("it was made");
        for host in self.site.hosts() {
            self.site.write(&format!("hosts/{host}/{LIST}"), &format!("author@example.org {options} {key}"));
            let directory = self.site.host(host).join("etc/pointsman");
            fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).expect("chmod");
        }
    }

    /// What there is to sign, in a file of the site.
    fn text(&self, arguments: &[&str]) -> String {
        let said = self.site.run(&[&["sign"], arguments].concat()).ends(0);
        self.site.write("release", &said.stdout);
        let _ = fs::remove_file(self.site.path("release.sig"));
        text_of(&self.site.path("release"))
    }

    fn sign(&self, key: &Path, namespace: &str, file: &str) {
        ssh_keygen(&["-q", "-Y", "sign", "-n", namespace, "-f", &text_of(key), file]);
    }

    /// Signs and keeps.
    fn release(&self, arguments: &[&str]) {
        let file = self.text(arguments);
        self.sign(&self.keys[0], "pointsman-release", &file);
        // As it is typed: both files are found where one stands.
        let keep = ["sign", "--keep", "release"];
        let mut command = self.site.command(&keep);
        ran(command.current_dir(self.site.path("")), &keep).ends(0).says("kept: the signature of php-");
    }

    fn sync(&self) -> crate::site::Ran {
        self.site.run(&["sync-common", "--from-staging", "--yes", "-m", "next"])
    }

    /// Another content in staging.
    fn change(&self, text: &str) {
        self.site.stage(&format!("php-{V11}/index.php"), text);
    }

    fn served(&self, text: &str) -> usize {
        let has = |host: &&String| {
            fs::read_to_string(self.site.served(host, &format!("php-{V11}/index.php"))).is_ok_and(|found| found == text)
        };
        self.site.hosts().iter().filter(has).count()
    }
}

/// A site whose hosts have the list and hold what was signed.
fn signed() -> Signers {
    let signers = Signers::of(Site::unsynced(""));
    signers.site.edit("books: books}", "books: books, signed: true}");
    signers.allow("");
    signers.release(&[]);
    signers.sync().ends(0);
    signers
}

#[test]
fn s21_where_it_is_demanded_content_that_nobody_signed_moves_nothing() {
    let signers = signed();
    signers.change("<?php // unsigned\n");
    let before = signers.site.run(&["history"]).ends(0).stdout;
    signers.sync().ends(10).says("nobody signed php-1.27.0-wmf.11").says("ssh-keygen -Y sign -n pointsman-release");
    assert_eq!(signers.site.run(&["history"]).ends(0).stdout, before);
    assert_eq!(signers.served("<?php // unsigned\n"), 0);
    signers.release(&[]);
    signers.sync().ends(0);
    assert_eq!(signers.served("<?php // unsigned\n"), 3);
    signers.site.run(&["undo", "--yes"]).ends(0);
    assert_eq!(signers.served("<?php // unsigned\n"), 0, "what was signed before needs nobody to sign again");
    signers.site.promote("group0", V11).ends(0);
}

#[test]
fn s21_a_dry_run_warns_of_what_nobody_signed_and_refuses_nothing() {
    let signers = signed();
    let site = &signers.site;
    site.stage("wmf-config/limits.json", "{\"a\": 2}\n");
    let sync = |more: &[&str]| site.run(&[&["sync-common", "--from-staging", "-m", "next"], more].concat());
    let plan = ["plan", "sync-common", "--from-staging", "-m", "next"];
    let file = ["sync-file", "wmf-config/limits.json", "--dry-run", "-m", "x"];
    let before = site.digest();
    for said in [sync(&["--dry-run"]), site.run(&plan), site.run(&file)] {
        said.ends(0)
            .says("warning: as things are this will be refused: groups.yaml demands signed content")
            .says("nobody signed wmf-config (")
            .says("hint: pointsman sign wmf-config > release && ssh-keygen -Y sign -n pointsman-release -f KEY release")
            .says("dry run: nothing was changed");
    }
    assert_eq!(site.digest(), before);
    // What is typed then is what was said.
    let file = signers.text(&["wmf-config"]);
    signers.sign(&signers.keys[0], "pointsman-release", &file);
    site.run(&["sign", "--keep", &file]).ends(0);
    sync(&["--dry-run"]).ends(0).hides("warning");
    sync(&["--yes"]).ends(0);
    site.run(&["promote", "group0", V11, "-m", "x", "--dry-run"]).ends(0).hides("warning");
    site.edit("signed: true", "signed: false");
    site.stage("wmf-config/limits.json", "{\"a\": 3}\n");
    sync(&["--dry-run"]).ends(0).hides("warning");
}

#[test]
fn s21_a_host_with_a_list_demands_a_signature_whatever_the_controller_says() {
    let signers = signed();
    signers.site.edit("signed: true", "signed: false");
    signers.change("<?php // stolen\n");
    let refused = signers.sync().ends(8);
    for host in signers.site.hosts() {
        assert!(refused.stderr.contains(host.as_str()) || refused.stdout.contains(host.as_str()), "{host}: {refused}");
    }
    refused.says("no signature of php-1.27.0-wmf.11").says("pointsman sign --help");
    assert_eq!(signers.served("<?php // stolen\n"), 0);
    // The text of another content does not become that of this one.
    let file = signers.text(&[]);
    signers.sign(&signers.keys[1], "pointsman-release", &file);
    signers.site.run(&["sign", "--keep", &file]).ends(0);
    signers.site.run(&["sync-common", "--yes"]).ends(8).says("not one that");
    assert_eq!(signers.served("<?php // stolen\n"), 0, "a stranger's signature is none");
    signers.release(&[]);
    signers.site.run(&["sync-common", "--yes"]).ends(0);
    assert_eq!(signers.served("<?php // stolen\n"), 3);
}

#[test]
fn s21_what_is_not_exactly_what_was_signed_is_not_kept() {
    let signers = signed();
    signers.change("<?php // next\n");
    let file = signers.text(&[]);
    signers.sign(&signers.keys[0], "pointsman-release", &file);
    let whole = fs::read_to_string(&file).expect("it is there");
    let id = whole.lines().find_map(|line| line.strip_prefix("php-1.27.0-wmf.11 ")).expect("it is named");
    let turned: String = id.chars().rev().collect();
    fs::write(&file, whole.replace(id, &turned)).expect("written");
    signers.site.run(&["sign", "--keep", &file]).ends(1).says("no signature of this text");
    fs::write(&file, whole.replace("release 1", "release 2")).expect("written");
    signers.site.run(&["sign", "--keep", &file]).ends(1).says("is not what pointsman sign says");
    fs::write(&file, &whole).expect("written");
    fs::remove_file(format!("{file}.sig")).expect("it was made");
    signers.sign(&signers.keys[0], "file", &file);
    signers.site.run(&["sign", "--keep", &file]).ends(1).says("no signature of this text");
    signers.sync().ends(10);
}

#[test]
fn s21_a_manifest_in_the_store_that_was_tampered_with_reaches_no_host() {
    let signers = signed();
    signers.site.edit("signed: true", "signed: false");
    signers.change("<?php // tampered\n");
    let text = signers.text(&[]);
    let text = fs::read_to_string(text).expect("it is there");
    let id = text.lines().find_map(|line| line.strip_prefix("php-1.27.0-wmf.11 ")).expect("it is named");
    // Whoever can write the store puts the signature of what was signed under the name of what was not.
    let kept = signers.site.path("books/content/signatures");
    let old = fs::read_dir(&kept).expect("it is there").map(|entry| entry.expect("listed").path());
    let old = old.into_iter().find(|path| text_of(path).contains("php-1.27.0-wmf.11@")).expect("it was kept");
    let forged = fs::read_to_string(old).expect("read");
    let before = forged.split("php-1.27.0-wmf.11 ").nth(1).expect("it names it").get(..64).expect("an id").to_owned();
    fs::write(kept.join(format!("php-1.27.0-wmf.11@{id}")), forged.replace(&before, id)).expect("written");
    signers.sync().ends(8).says("not one that");
    assert_eq!(signers.served("<?php // tampered\n"), 0);
}

#[test]
fn s21_a_list_that_others_can_write_is_no_list() {
    let signers = signed();
    signers.change("<?php // next\n");
    signers.release(&[]);
    let [file, directory, link] = [0, 1, 2].map(|n| signers.site.host(&signers.site.hosts()[n]).join(LIST));
    fs::set_permissions(&file, PermissionsExt::from_mode(0o664)).expect("chmod");
    let beside = directory.parent().expect("it has one");
    fs::set_permissions(beside, PermissionsExt::from_mode(0o777)).expect("chmod");
    fs::rename(&link, link.with_extension("real")).expect("renamed");
    std::os::unix::fs::symlink("allowed_signers.real", &link).expect("linked");
    signers
        .sync()
        .ends(8)
        .says("can be written by others (mode 664)")
        .says("chmod go-w")
        .says("(mode 777)")
        .says("is not a regular file");
    assert_eq!(signers.served("<?php // next\n"), 0);
}

#[test]
fn s21_a_signer_whose_time_is_over_signs_nothing_new_and_takes_nothing_back() {
    let signers = signed();
    signers.site.promote("group0", V11).ends(0);
    signers.allow("valid-before=\"20200101\"");
    signers.site.run(&["rollback", "-m", "a way back asks nobody"]).ends(0);
    signers.site.run(&["release"]).ends(0);
    signers.change("<?php // late\n");
    signers.release(&[]);
    signers.sync().ends(8).says("not one that");
    assert_eq!(signers.served("<?php // late\n"), 0);
}

#[test]
fn s21_a_rollback_repairs_a_host_with_the_signature_that_was_kept() {
    let signers = signed();
    signers.site.promote("group0", V11).ends(0);
    // Nobody who could sign is there, and one host lost the tree it is to go back to.
    fs::remove_file(&signers.keys[0]).expect("it is ours");
    let host = &signers.site.hosts()[2];
    fs::remove_dir_all(signers.site.served(host, "php-1.27.0-wmf.10")).expect("it is ours");
    signers.site.run(&["rollback", "-m", "sessions are lost"]).ends(0);
    // And without the deploy host's copy of it, by the one that the host kept.
    fs::remove_dir_all(signers.site.path("books/content/signatures")).expect("it is ours");
    fs::remove_dir_all(signers.site.served(host, "php-1.27.0-wmf.10")).expect("it is ours");
    signers.site.run(&["sync-common", "--yes"]).ends(0);
    assert!(signers.site.served(host, "php-1.27.0-wmf.10/index.php").is_file());
}

#[test]
fn without_a_list_and_a_demand_nothing_is_signed_and_nothing_is_different() {
    let site = Site::small("");
    site.promote("group0", V11).ends(0).hides("sign");
    for host in site.hosts() {
        assert!(!site.host(host).join("var/lib/pointsman/signed").exists());
    }
    assert!(!site.path("books/content/signatures").exists());
}

#[test]
fn s20_an_end_that_was_signed_tells_a_journal_that_was_written_anew() {
    let signers = Signers::of(Site::small(""));
    let site = &signers.site;
    let begin = fs::read(site.path("books/books.sqlite")).expect("it is there");
    site.promote("group0", V11).ends(0);
    let head = text_of(&site.path("head"));
    site.write("head", &site.run(&["journal", "head"]).ends(0).says("pointsman journal 1").stdout);
    let public = fs::read_to_string(signers.keys[0].with_extension("pub")).expect("it was made");
    site.write("signers", &format!("author@example.org {public}"));
    let (signature, list) = (format!("{head}.sig"), text_of(&site.path("signers")));
    let verify = ["journal", "verify", "--head", &head, "--signature", &signature, "--allowed-signers", &list];
    let signed_by = |key: &Path, namespace: &str| {
        let _ = fs::remove_file(&signature);
        signers.sign(key, namespace, &head);
    };
    for (key, namespace) in [(1, "pointsman-journal"), (0, "pointsman-release")] {
        signed_by(&signers.keys[key], namespace);
        site.run(&verify).ends(1).says("no signature of this text");
    }
    signed_by(&signers.keys[0], "pointsman-journal");
    site.run(&verify).ends(0).says("author@example.org signed the first");
    site.promote("group1", V11).ends(0);
    site.run(&verify).ends(0);
    let text = fs::read_to_string(&head).expect("it is there");
    fs::write(&head, text.replace("events ", "events 1")).expect("written");
    site.run(&verify).ends(1).says("no signature of this text");
    fs::write(&head, text).expect("written");
    // The chain of the books of before is whole, and their own note is gone.
    fs::write(site.path("books/books.sqlite"), begin).expect("it is ours");
    fs::remove_file(site.path("books/head")).expect("it is ours");
    site.run(&["journal", "verify"]).ends(0);
    site.run(&verify).ends(1).says("cut short, or written anew");
    site.run(&["journal", "verify", "--head", &head]).ends(2);
}

#[test]
fn s20_any_principal_of_a_key_may_have_signed_an_end() {
    let signers = Signers::of(Site::small(""));
    let site = &signers.site;
    site.write("head", &site.run(&["journal", "head"]).ends(0).stdout);
    // One that names two principals, of which the second may sign this.
    site.write(
        "bin/ssh-keygen",
        "#!/bin/sh\ncase \"$2 $*\" in\nfind*) printf 'first@example.org\\nsecond@example.org\\n' ;;\n\
         verify*second@*) cat >/dev/null ;;\n*) echo nobody; exit 255 ;;\nesac\n",
    );
    fs::set_permissions(site.path("bin/ssh-keygen"), PermissionsExt::from_mode(0o755)).expect("chmod");
    let [head, any] = ["head", "groups.yaml"].map(|name| text_of(&site.path(name)));
    let mut command =
        site.command(&["journal", "verify", "--head", &head, "--signature", &any, "--allowed-signers", &any]);
    command.env("PATH", format!("{}:/usr/bin:/bin", site.path("bin").display()));
    ran(&mut command, &["journal", "verify"]).ends(0).says("second@example.org signed the first");
}

#[test]
fn s21_a_demand_that_a_host_cannot_meet_is_said_of_that_host() {
    let signers = signed();
    let host = signers.site.hosts()[1].clone();
    fs::remove_file(signers.site.host(&host).join(LIST)).expect("it is ours");
    signers.change("<?php // next\n");
    signers.release(&[]);
    signers.sync().ends(8).says(&host).says("this host has no /etc/pointsman/allowed_signers");
    assert_eq!(signers.served("<?php // next\n"), 2);
}
