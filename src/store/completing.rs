//! Migrations on `MySQL` and `MariaDB`, where each statement is a commit of its own.
//!
//! An engine or a server that dies on the way leaves a migration done in part, or done and not written down. So that the
//! next start completes it instead of stumbling over what is there already, the table that lists the migrations says in its
//! comment how far the one at work has come. Only the statement that was cut off may find its work done; whatever else is
//! there already was made by somebody else, and is an error.

use std::any::Any;

use diesel::{
    MysqlConnection, QueryResult, QueryableByName, RunQueryDsl,
    backend::Backend,
    connection::{BoxableConnection, SimpleConnection},
    migration::{Migration, MigrationMetadata, MigrationName, Result as Done},
    mysql::Mysql,
    result::Error as DieselError,
    sql_query,
    sql_types::Text,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

/// Runs the migrations that are pending, from where they were cut off; gives their names.
pub(super) fn run_pending(connection: &mut MysqlConnection, migrations: EmbeddedMigrations) -> Done<Vec<String>> {
    let pending = connection.pending_migrations(migrations)?;
    let mut ran = Vec::with_capacity(pending.len());
    for migration in pending {
        let name = migration.name().to_string();
        let progress = Progress::read(&comment(connection)?, &name);
        connection.run_migration(&ByStatement { migration, progress })?;
        ran.push(name);
    }
    if !ran.is_empty() {
        set_comment(connection, "")?;
    }
    Ok(ran)
}

#[derive(QueryableByName)]
struct Comment {
    #[diesel(sql_type = Text)]
    comment: String,
}

fn comment(connection: &mut MysqlConnection) -> QueryResult<String> {
    let query = "SELECT table_comment AS comment FROM information_schema.tables \
                 WHERE table_schema = DATABASE() AND table_name = '__diesel_schema_migrations'";
    Ok(sql_query(query).get_result::<Comment>(connection)?.comment)
}

fn set_comment(connection: &mut (impl SimpleConnection + ?Sized), text: &str) -> QueryResult<()> {
    // Ours are words, names of our own folders, and numbers.
    connection.batch_execute(&format!("ALTER TABLE __diesel_schema_migrations COMMENT = '{text}'"))
}

/// How far a migration has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// So many statements are done, and the next one was being run.
    CutOff(usize),
    /// So many statements are done, and the next one did not begin or was refused.
    Stopped(usize),
}

impl Progress {
    /// What `comment` says about the migration `name`.
    fn read(comment: &str, name: &str) -> Self {
        let mut words = comment.split(' ');
        let (word, of, done) = (words.next(), words.next(), words.next());
        let done = done.and_then(|done| done.parse().ok()).filter(|_| of == Some(name));
        match (word, done) {
            (Some("running"), Some(done)) => Self::CutOff(done),
            (_, done) => Self::Stopped(done.unwrap_or_default()),
        }
    }

    /// How the comment says it.
    fn text(self, name: &str) -> String {
        match self {
            Self::CutOff(done) => format!("running {name} {done}"),
            Self::Stopped(done) => format!("stopped {name} {done}"),
        }
    }

    const fn done(self) -> usize {
        match self {
            Self::CutOff(done) | Self::Stopped(done) => done,
        }
    }
}

/// A migration whose statements are run one at a time.
struct ByStatement {
    migration: Box<dyn Migration<Mysql>>,
    progress: Progress,
}

impl Migration<Mysql> for ByStatement {
    fn run(&self, connection: &mut dyn BoxableConnection<Mysql>) -> Done<()> {
        let mut script = Script::default();
        self.migration.run(&mut script)?;
        let name = self.migration.name().to_string();
        for (number, statement) in statements(&script.0).enumerate().skip(self.progress.done()) {
            set_comment(connection, &Progress::CutOff(number).text(&name))?;
            match connection.batch_execute(statement) {
                Ok(()) => {}
                Err(error) if self.progress == Progress::CutOff(number) && is_done_already(&error) => {}
                Err(error) => {
                    // Without a connection it was cut off, and that is what the comment says.
                    set_comment(connection, &Progress::Stopped(number).text(&name)).ok();
                    return Err(error.into());
                }
            }
        }
        // Else a run that dies before all this is written down would find the last statement done.
        let all = statements(&script.0).count();
        Ok(set_comment(connection, &Progress::Stopped(all).text(&name))?)
    }

    fn revert(&self, connection: &mut dyn BoxableConnection<Mysql>) -> Done<()> {
        self.migration.revert(connection)
    }

    fn metadata(&self) -> &dyn MigrationMetadata {
        self.migration.metadata()
    }

    fn name(&self) -> &dyn MigrationName {
        self.migration.name()
    }
}

/// Takes a migration's text down instead of running it.
#[derive(Default)]
struct Script(String);

impl SimpleConnection for Script {
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.0.push_str(query);
        Ok(())
    }
}

impl<DB: Backend> BoxableConnection<DB> for Script {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// A statement ends with a semicolon at the end of its line.
fn statements(script: &str) -> impl Iterator<Item = &str> {
    let is_code = |line: &str| !line.trim().is_empty() && !line.starts_with("--");
    script.split_inclusive(";\n").filter(move |statement| statement.lines().any(is_code))
}

/// In the words of both servers, for tables, columns and keys that are there already or gone already.
fn is_done_already(error: &DieselError) -> bool {
    const DONE: [&str; 5] =
        ["already exists", "Duplicate column name", "Duplicate key name", "check that", "Unknown table"];
    let DieselError::DatabaseError(_, info) = error else { return false };
    DONE.iter().any(|text| info.message().contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_taken_apart_into_its_statements() {
        let script = "-- Why; and how.\nCREATE TABLE a (\n    id INT\n);\n\n-- More.\nALTER TABLE a ADD COLUMN b INT;\n-- End.\n";
        let statements: Vec<_> = statements(script).collect();
        assert_eq!(statements.len(), 2, "{statements:?}");
        assert!(statements[1].contains("ALTER TABLE"));
    }

    #[test]
    fn the_comment_tells_how_far_the_migration_has_come() {
        for progress in [Progress::CutOff(3), Progress::Stopped(0), Progress::Stopped(7)] {
            assert_eq!(Progress::read(&progress.text("0005_flow"), "0005_flow"), progress);
            assert_eq!(Progress::read(&progress.text("0005_flow"), "0006_more"), Progress::Stopped(0));
        }
        assert_eq!(Progress::read("", "0005_flow"), Progress::Stopped(0));
        assert_eq!(Progress::read("a table of ours", "0005_flow"), Progress::Stopped(0));
    }
}
