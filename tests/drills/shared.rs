//! Books on a real PostgreSQL, for the drills that two operators meet in.

use crate::server::Server;
use crate::site::Site;
use crate::takeover::{Keeper, drill};
use crate::trace::Books;
use pointsman::config::policy::StorePolicy;
use pointsman::model::secret::Reference;
use pointsman::store::error::StoreError;
use pointsman::store::{Store, postgres};
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

/// A server with a database for each site.
struct Shared {
    server: Server,
    /// The directory of each site; its place is the number of its database.
    sites: RefCell<Vec<PathBuf>>,
}

impl Shared {
    fn new() -> Self {
        Self { server: Server::new(), sites: RefCell::default() }
    }

    /// The database of a site, and the one that remembers it.
    fn names(&self, site: &Site) -> [String; 2] {
        let sites = self.sites.borrow();
        let number = sites.iter().position(|path| *path == site.path("")).expect("it was begun");
        ["books", "kept"].map(|name| format!("{name}_{number}"))
    }

    fn reference(&self, site: &Site) -> PathBuf {
        let [books, _] = self.names(site);
        let url = self.server.url("127.0.0.1").replace("/books", &format!("/{books}"));
        self.server.reference(&format!("{books}.url"), &url)
    }
}

impl Keeper for Shared {
    fn books(&self) -> Books {
        Books::Server
    }

    fn begin(&self, site: &Site) {
        self.sites.borrow_mut().push(site.path(""));
        let [books, _] = self.names(site);
        self.server.sql("postgres", &format!("CREATE DATABASE {books}"));
        let store = format!("books: books, store: \"file:{}\"}}", self.reference(site).display());
        site.edit("books: books}", &store);
    }

    fn keep(&self, site: &Site) {
        let [books, kept] = self.names(site);
        self.server.copy(&books, &kept);
    }

    fn put_back(&self, site: &Site) {
        let [books, kept] = self.names(site);
        self.server.copy(&kept, &books);
    }

    fn open(&self, site: &Site) -> Result<Box<dyn Store>, StoreError> {
        let at = StorePolicy { source: Reference::File(self.reference(site)), ca_file: None };
        Ok(Box::new(postgres::open_read_only(&site.path("books"), &at)?))
    }
}

#[test]
fn an_operator_that_was_stopped_finds_its_time_over_on_a_server() {
    let shared: Rc<dyn Keeper> = Rc::new(Shared::new());
    drill("PostgreSQL", &shared);
}
