//! A database per test, and tests that are written once and run on both.

use std::{
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use postrider::store::{DatabaseUrl, Keyring, Store};
use tempfile::TempDir;

#[cfg(feature = "mysql")]
use super::{
    cable::Cable,
    mariadb::{self, PrivateMariaDb},
};

/// Where the database lives, and what has to go with it.
#[derive(Debug)]
enum Home {
    /// A file in a folder of its own.
    #[cfg(feature = "sqlite")]
    Folder(TempDir),
    /// A name on a server: its URL, then the name.
    #[cfg(feature = "mysql")]
    Server(String, String),
}

/// An empty database that is gone when the test ends.
#[derive(Debug)]
pub struct Database(Home);

impl Database {
    /// A file.
    #[cfg(feature = "sqlite")]
    pub fn sqlite() -> Self {
        let folder = tempfile::Builder::new().prefix("postrider-sqlite-").tempdir().expect("there is a temp folder");
        super::warden::watch_folder(folder.path());
        Self(Home::Folder(folder))
    }

    /// A database on the server that all tests share.
    #[cfg(feature = "mysql")]
    pub fn mariadb() -> Self {
        Self::on_server(mariadb::shared_url())
    }

    /// A database on a server of the test's own.
    #[cfg(feature = "mysql")]
    pub fn on(server: &PrivateMariaDb) -> Self {
        Self::on_server(&server.url())
    }

    /// One of each kind, for a test that would take twice as long otherwise.
    pub fn both() -> Vec<Self> {
        vec![
            #[cfg(feature = "sqlite")]
            Self::sqlite(),
            #[cfg(feature = "mysql")]
            Self::mariadb(),
        ]
    }

    #[cfg(feature = "mysql")]
    fn on_server(url: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("postrider_{}_{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        // A process that was killed may have left one of this name behind.
        execute_on_server(url, &format!("DROP DATABASE IF EXISTS {name}")).expect("root may drop databases");
        execute_on_server(url, &format!("CREATE DATABASE {name}")).expect("root may create databases");
        Self(Home::Server(url.to_owned(), name))
    }

    /// What `DATABASE_URL` says.
    pub fn url(&self) -> String {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Home::Folder(folder) => format!("sqlite:{}", folder.path().join("postrider.db").display()),
            #[cfg(feature = "mysql")]
            Home::Server(url, name) => format!("{url}/{name}"),
        }
    }

    /// The same over a cable that can be cut; `None` for a file.
    #[cfg(feature = "mysql")]
    pub fn by_cable(&self) -> Option<(Cable, String)> {
        let url = self.url();
        let (server, name) = url.rsplit_once('/')?;
        let (host, port) = server.rsplit_once(':')?;
        let cable = Cable::to(port.parse().ok()?);
        let url = format!("{host}:{}/{name}", cable.port());
        Some((cable, url))
    }

    /// The same for the store.
    pub fn database_url(&self) -> DatabaseUrl {
        self.url().parse().expect("we wrote it")
    }

    /// A store on it, its tables made.
    pub async fn store(&self) -> Store {
        let store = Store::new(self.database_url(), Keyring::default());
        store.migrate().await.expect("the migrations run on an empty database");
        store
    }

    /// Whether this is MariaDB, for the few tests about what only a server does.
    pub fn is_mariadb(&self) -> bool {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Home::Folder(_) => false,
            #[cfg(feature = "mysql")]
            Home::Server(..) => true,
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Home::Folder(_) => {}
            #[cfg(feature = "mysql")]
            // The server may have been killed by the test; then there is nothing to drop.
            Home::Server(url, name) => drop(execute_on_server(url, &format!("DROP DATABASE {name}"))),
        }
    }
}

#[cfg(feature = "mysql")]
fn execute_on_server(url: &str, statement: &str) -> diesel::QueryResult<()> {
    use diesel::{Connection, MysqlConnection, connection::SimpleConnection};
    let mut connection = MysqlConnection::establish(url).map_err(|_| diesel::NotFound)?;
    connection.batch_execute(statement)
}

/// Runs each of the named functions as two tests, `on_sqlite::NAME` and `on_mariadb::NAME`. They are async and take a
/// [`Database`]; after `blocking:` they are plain functions of a `&Database`.
macro_rules! on_both {
    (blocking: $($name:ident),+ $(,)?) => {
        $crate::support::database::on_both! { |database, test| test(&database); $($name),+ }
    };
    ($($name:ident),+ $(,)?) => {
        $crate::support::database::on_both! { |database, test| $crate::support::database::run(test(database)); $($name),+ }
    };
    (|$database:ident, $test:ident| $run:expr; $($name:ident),+) => {
        #[cfg(feature = "sqlite")]
        mod on_sqlite {
            $(#[test]
            fn $name() {
                let ($database, $test) = ($crate::support::database::Database::sqlite(), super::$name);
                $run;
            })+
        }

        #[cfg(feature = "mysql")]
        mod on_mariadb {
            $(#[test]
            fn $name() {
                let ($database, $test) = ($crate::support::database::Database::mariadb(), super::$name);
                $run;
            })+
        }
    };
}
pub(crate) use on_both;

/// Runs a test in a runtime of its own.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime starts").block_on(test)
}
