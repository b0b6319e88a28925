//! The rows of a dump, one after the other: files may be larger than the memory.
//!
//! A dump is a JSON array of rows, as Django's `dumpdata` writes it, or one row per line (`--format jsonl`). It is never in
//! memory as a whole; what a row means is not the business of this file.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

/// How much is read at once, in bytes.
const BUFFER_BYTES: usize = 256 * 1024;

/// A row of some table.
#[derive(Debug, Deserialize)]
pub(super) struct Row {
    model: String,
    #[serde(default)]
    pk: Value,
    fields: Box<RawValue>,
}

/// Why a dump cannot be read, with file and place.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadDump {
    /// The file.
    #[error("cannot read {file}: {1}", file = .0.display())]
    File(PathBuf, io::Error),
    /// What is in it.
    #[error("{file} is no dump: {1}", file = .0.display())]
    Json(PathBuf, serde_json::Error),
}

impl Row {
    /// The table, in lower case, as the dump names it: `whisperer.webhook`.
    pub(super) fn label(&self) -> String {
        self.model.to_lowercase()
    }

    /// The primary key as text; `None` when the dump was made without it.
    pub(super) fn key(&self) -> Option<String> {
        match &self.pk {
            Value::Number(number) => Some(number.to_string()),
            Value::String(text) => Some(text.clone()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The columns, a JSON object.
    pub(super) fn columns(&self) -> &str {
        self.fields.get()
    }
}

/// Gives each row of the dump at `path` to `each`, until that has enough.
///
/// # Errors
/// [`BadDump`] at the first thing that cannot be read; the rows before it were given.
pub(super) fn read_rows(path: &Path, mut each: impl FnMut(Row) -> ControlFlow<()>) -> Result<(), BadDump> {
    let file = File::open(path).map_err(|error| BadDump::File(path.to_owned(), error))?;
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
    let first = skip_to_first(&mut reader).map_err(|error| BadDump::File(path.to_owned(), error))?;
    let mut has_enough = false;
    let read = read_from(reader, first, &mut |row| {
        let flow = each(row);
        has_enough = flow.is_break();
        flow
    });
    match read {
        // Leaving an array early is an error to the parser.
        Err(_) if has_enough => Ok(()),
        read => read.map_err(|error| BadDump::Json(path.to_owned(), error)),
    }
}

fn read_from(
    reader: impl Read,
    first: Option<u8>,
    each: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    if first != Some(b'{') {
        deserializer.deserialize_seq(Rows(each))?;
        return deserializer.end();
    }
    for row in deserializer.into_iter::<Row>() {
        if each(row?).is_break() {
            break;
        }
    }
    Ok(())
}

/// A byte order mark and blank lines are passed over; gives the byte behind them.
fn skip_to_first(reader: &mut impl BufRead) -> io::Result<Option<u8>> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    if reader.fill_buf()?.starts_with(MARK) {
        reader.consume(MARK.len());
    }
    Ok(reader.fill_buf()?.iter().copied().find(|byte| !byte.is_ascii_whitespace()))
}

struct Rows<'a>(&'a mut dyn FnMut(Row) -> ControlFlow<()>);

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows, as manage.py dumpdata writes it")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element()? {
            if (self.0)(row).is_break() {
                return Err(A::Error::custom("enough"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, Option<String>)>, String> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("it can be written");
        let mut seen = Vec::new();
        let read = read_rows(file.path(), |row| {
            seen.push((row.label(), row.key()));
            if seen.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        read.map(|()| seen).map_err(|error| error.to_string())
    }

    #[test]
    fn arrays_and_lines_are_dumps() {
        let rows = r#"{"model": "Auth.User", "pk": 1, "fields": {"a": [1]}}, {"fields": {}, "model": "x.y"}"#;
        let seen = vec![("auth.user".to_owned(), Some("1".to_owned())), ("x.y".to_owned(), None)];
        assert_eq!(read(&format!("\u{feff} [{rows}]\n")), Ok(seen.clone()));
        assert_eq!(read(&rows.replace("}, {", "}\n{")), Ok(seen));
        assert_eq!(read("[]"), Ok(vec![]));
    }

    #[test]
    fn who_has_enough_is_given_no_more() {
        let row = r#"{"model":"a.b","pk":"k","fields":{}}"#;
        assert_eq!(read(&format!("[{row},{row},{row},{row},nonsense")).map(|rows| rows.len()), Ok(3));
        assert_eq!(read(&format!("{row}{row}{row}{row}nonsense")).map(|rows| rows.len()), Ok(3));
    }

    #[test]
    fn what_is_no_dump_is_told_with_its_place() {
        for (text, told) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("5", "expected a list of rows, as manage.py dumpdata writes it at line 1 column 1"),
            ("[\n{\"model\": \"a.b\", \"pk\": 1}]", "missing field `fields` at line 2 column 25"),
            ("[{\"model\":\"a.b\",\"pk\":1,\"fields\":{}},\n", "EOF while parsing a value at line 2 column 0"),
            ("[] []", "trailing characters at line 1 column 4"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(" is no dump: ") && error.ends_with(told), "{text}: {error}");
        }
        let missing = read_rows(Path::new("/nonexistent/dump.json"), |_| ControlFlow::Continue(()));
        assert!(missing.is_err_and(|error| error.to_string().starts_with("cannot read /nonexistent/dump.json: ")));
    }
}
