//! What a form brings, and what was wrong with it.

use serde_json::{Map, Value};

use crate::http::problem::{Problem, ProblemBody};

/// Names and values, as a browser sends them.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`, of which every text is some.
    pub(super) fn read(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of this name as it is; `None` when there is none, or an empty one.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(present, _)| present == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// The same without blanks around it; `None` when nothing is left.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.raw(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// Whether the form has a field of this name, filled in or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(present, _)| present == name)
    }

    /// All values of this name that are not empty.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(present, value)| present == name && !value.is_empty()).map(|(_, v)| v.as_str())
    }

    /// Those of these fields that are filled in, as members of a JSON object.
    pub(super) fn texts(&self, names: &[&str]) -> Map<String, Value> {
        names.iter().filter_map(|name| Some(((*name).to_owned(), self.text(name)?.into()))).collect()
    }

    /// What a number field says: a number, or its text, so that whoever reads the number refuses it in their words.
    pub(super) fn number(&self, name: &str) -> Option<Value> {
        let text = self.text(name)?;
        Some(serde_json::from_str(text).ok().filter(Value::is_number).unwrap_or_else(|| text.into()))
    }
}

/// A form that is shown again: what was in it, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Filled {
    form: Form,
    faults: Vec<(String, String)>,
    /// What is wrong with no field in particular.
    general: Option<String>,
}

impl Filled {
    /// A form as it was left, with nothing wrong.
    pub(super) const fn with(form: Form) -> Self {
        Self { form, faults: Vec::new(), general: None }
    }

    /// What the API refused, beside the fields that it names: in `errors`, or in quotes in its sentence.
    pub(super) fn refused(form: Form, problem: Problem) -> Self {
        let ProblemBody { detail, more, .. } = problem.into_body();
        let errors = more.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let named = |error: &Value| Some((error["field"].as_str()?.to_owned(), error["detail"].as_str()?.to_owned()));
        let mut faults: Vec<(String, String)> = errors.iter().filter_map(named).collect();
        if faults.is_empty()
            && let Some(name) = detail.split('"').nth(1).filter(|name| form.has(name))
        {
            faults.push((name.to_owned(), detail.clone()));
        }
        let (faults, others) = faults.into_iter().partition::<Vec<_>, _>(|(name, _)| form.has(name));
        let others = others.into_iter().map(|(_, detail)| detail).collect::<Vec<_>>().join(" ");
        let general = match (faults.is_empty(), others.is_empty()) {
            (true, true) => Some(detail),
            (_, false) => Some(others),
            (false, true) => None,
        };
        Self { form, faults, general }
    }

    /// One more fault.
    pub(super) fn fault(mut self, name: &str, detail: impl Into<String>) -> Self {
        self.faults.push((name.to_owned(), detail.into()));
        self
    }

    /// What the field held; `present` when the form was not sent yet.
    pub(super) fn value(&self, name: &str, present: &str) -> String {
        if self.form.has(name) { self.form.raw(name).unwrap_or_default().to_owned() } else { present.to_owned() }
    }

    /// Whether a box was ticked; `present` when the form was not sent yet, and no link ticks boxes of this name.
    pub(super) fn has(&self, name: &str, value: &str, present: bool) -> bool {
        if self.form.has("csrf") || self.form.has(name) {
            self.form.all(name).any(|ticked| ticked == value)
        } else {
            present
        }
    }

    /// What is wrong with a field.
    pub(super) fn fault_of(&self, name: &str) -> Option<&str> {
        self.faults.iter().find(|(present, _)| present == name).map(|(_, detail)| detail.as_str())
    }

    /// What is wrong with the form as a whole.
    pub(super) fn general(&self) -> Option<&str> {
        self.general.as_deref()
    }

    /// Whether it was refused.
    pub(super) fn is_refused(&self) -> bool {
        self.general.is_some() || !self.faults.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::FieldFault;

    fn form() -> Form {
        Form::read(b"until=tomorrow&reason=+&endpoint=a%20b&retry=")
    }

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let form = form();
        assert_eq!((form.text("until"), form.text("reason"), form.raw("reason")), (Some("tomorrow"), None, Some(" ")));
        assert_eq!((form.text("endpoint"), form.has("retry"), form.has("rate")), (Some("a b"), true, false));
        let numbers = Form::read(b"a=5&b=five&c=");
        assert_eq!(numbers.number("a"), Some(5.into()));
        assert_eq!((numbers.number("b"), numbers.number("c")), (Some("five".into()), None));
    }

    #[test]
    fn a_refusal_stands_beside_its_field_or_above_the_form() {
        let filled = Filled::refused(form(), Problem::invalid("\"until\" must lie in the future."));
        assert_eq!(filled.fault_of("until"), Some("\"until\" must lie in the future."));
        assert_eq!((filled.general(), filled.value("until", "").as_str()), (None, "tomorrow"));

        let filled = Filled::refused(form(), Problem::invalid("There is no owner \"until then\"."));
        assert_eq!((filled.fault_of("until"), filled.general().is_some()), (None, true));

        let fault = |field: &str| FieldFault { field: field.to_owned(), detail: format!("{field} is wrong.") };
        let filled = Filled::refused(form(), Problem::fields(&[fault("endpoint"), fault("rate")]));
        assert_eq!(filled.fault_of("endpoint"), Some("endpoint is wrong."));
        assert_eq!(filled.general(), Some("rate is wrong."));
    }
}
