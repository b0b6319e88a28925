//! The lease of a database in a file: the system's lock on another file beside it, which ends with the process.

use std::{
    fs::{File, TryLockError},
    io::{ErrorKind, Read, Seek, Write},
    path::PathBuf,
    time::Duration,
};

use diesel::{
    QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Nullable, Text},
};

use super::{DatabaseUrl, StoreError};
use crate::store::blocking::blocking;

/// Beside the `-wal` and the `-shm` of SQLite.
const SUFFIX: &str = "-engine";
/// How often it is tried.
const TRY_EVERY: Duration = Duration::from_millis(100);
/// More than a process number takes.
const NOTE_BYTES: u64 = 20;

/// Locks the file beside the database; none for a database that is not a file.
pub(super) async fn take(url: &DatabaseUrl) -> Result<Option<File>, StoreError> {
    let url = url.clone();
    let Some(path) = blocking(move || place(&url)).await? else { return Ok(None) };
    let unavailable = |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
    let opened = match File::options().create(true).read(true).write(true).truncate(false).open(&path) {
        // Another user made it; a lock needs no more than to read it.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => File::open(&path),
        opened => opened,
    };
    let mut file = opened.map_err(unavailable)?;
    let mut is_told = false;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(unavailable(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        if !is_told {
            super::tell_of(&format!("process {}", noted(&mut file)));
            is_told = true;
        }
        tokio::time::sleep(TRY_EVERY).await;
    }
    // On a full disk, or in another user's file, it is not noted: then the next one waits for somebody of unknown number.
    note(&mut file).ok();
    Ok(Some(file))
}

#[derive(QueryableByName)]
struct Opened {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Nullable<Text>)]
    file: Option<String>,
}

/// The file to lock. SQLite knows the real path of the database, whatever links lead to it.
fn place(url: &DatabaseUrl) -> Result<Option<PathBuf>, StoreError> {
    let opened: Vec<Opened> = sql_query("PRAGMA database_list").load(&mut url.connect()?)?;
    let main = opened.into_iter().find(|opened| opened.name == "main").and_then(|main| main.file);
    Ok(main.filter(|file| !file.is_empty()).map(|file| PathBuf::from(file + SUFFIX)))
}

/// Who has the lock, for whoever waits.
fn note(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// What is noted there; nothing for a moment after it was locked.
fn noted(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(NOTE_BYTES).read_to_string(&mut text));
    match (read, text.trim()) {
        (Ok(_), number) if !number.is_empty() => number.to_owned(),
        _ => "of unknown number".to_owned(),
    }
}
