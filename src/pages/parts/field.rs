//! Fields of forms: a label, what it means, and what is wrong with it.

use maud::{Markup, html};

use crate::pages::{form::Filled, session::Visitor};

/// What makes a form one of ours.
pub(in crate::pages) fn csrf(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="csrf" value=(visitor.csrf); }
}

/// What is wrong with a form as a whole.
pub(in crate::pages) fn alert(filled: &Filled) -> Markup {
    html! { @if let Some(detail) = filled.general() { p.alert role="alert" { (detail) } } }
}

/// A field for a line of text.
#[derive(Clone, Copy)]
pub(in crate::pages) struct Field<'a> {
    /// Under which it is sent.
    name: &'a str,
    label: &'a str,
    /// The `type` of the input; `textarea` for several lines.
    kind: &'a str,
    hint: &'a str,
    required: bool,
    complete: &'a str,
}

impl<'a> Field<'a> {
    /// A line of text that may be empty.
    pub(in crate::pages) const fn new(name: &'a str, label: &'a str) -> Self {
        Self { name, label, kind: "text", hint: "", required: false, complete: "off" }
    }

    /// A whole number.
    pub(in crate::pages) const fn number(name: &'a str, label: &'a str) -> Self {
        Self { kind: "number", ..Self::new(name, label) }
    }

    /// What is to be filled in, in a sentence.
    pub(in crate::pages) const fn hint(self, hint: &'a str) -> Self {
        Self { hint, ..self }
    }

    /// What the browser takes it for: `url`, `datetime-local`.
    pub(in crate::pages) const fn kind(self, kind: &'a str) -> Self {
        Self { kind, ..self }
    }

    /// Several lines.
    pub(in crate::pages) const fn lines(self) -> Self {
        Self { kind: "textarea", ..self }
    }

    /// What nobody should read over a shoulder.
    pub(in crate::pages) const fn secret(self) -> Self {
        Self { kind: "password", ..self }
    }

    /// It must not be empty.
    pub(in crate::pages) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// What a browser may fill in by itself.
    pub(in crate::pages) const fn autocomplete(self, complete: &'a str) -> Self {
        Self { complete, ..self }
    }

    /// The field, with what was in it, or `present`.
    pub(in crate::pages) fn render(&self, filled: &Filled, present: &str) -> Markup {
        let Self { name, kind, required, complete, .. } = *self;
        let mut value = filled.value(name, present);
        if kind == "datetime-local" && value.ends_with('Z') {
            // With a zone, as links have it, a browser would show nothing.
            value.pop();
        }
        let (fault, described) = (filled.fault_of(name), self.described(filled));
        // Any step: fractions are refused by whoever reads them, with a sentence.
        let step = (kind == "number").then_some("any");
        self.around(filled, html! {
            @if kind == "textarea" {
                textarea id={ "f-" (name) } name=(name) rows="4" spellcheck="false" required[required]
                    aria-invalid=[fault.map(|_| "true")] aria-describedby=[described] { (value) }
            } @else {
                input id={ "f-" (name) } name=(name) type=(kind) value=(value) step=[step] required[required]
                    autocomplete=(complete) spellcheck="false" aria-invalid=[fault.map(|_| "true")] aria-describedby=[described];
            }
        })
    }

    /// A choice of one among `options`: values and what they are called.
    pub(in crate::pages) fn choice(&self, filled: &Filled, present: &str, options: &[(&str, &str)]) -> Markup {
        let chosen = filled.value(self.name, present);
        let (fault, described) = (filled.fault_of(self.name), self.described(filled));
        self.around(filled, html! {
            select id={ "f-" (self.name) } name=(self.name) aria-invalid=[fault.map(|_| "true")] aria-describedby=[described] {
                @for (value, label) in options {
                    option value=(value) selected[*value == chosen] { (label) }
                }
            }
        })
    }

    fn described(&self, filled: &Filled) -> Option<String> {
        let hint = (!self.hint.is_empty()).then(|| format!("h-{}", self.name));
        let fault = filled.fault_of(self.name).map(|_| format!("e-{}", self.name));
        let ids: Vec<String> = fault.into_iter().chain(hint).collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }

    fn around(&self, filled: &Filled, input: Markup) -> Markup {
        html! {
            div.field {
                label for={ "f-" (self.name) } { (self.label) }
                (input)
                @if let Some(detail) = filled.fault_of(self.name) { p.fault id={ "e-" (self.name) } { (detail) } }
                @if !self.hint.is_empty() { p.hint id={ "h-" (self.name) } { (self.hint) } }
            }
        }
    }
}

/// A box to tick.
pub(in crate::pages) fn tick(name: &str, value: &str, label: &str, is_ticked: bool) -> Markup {
    html! {
        label.tick {
            input type="checkbox" name=(name) value=(value) checked[is_ticked];
            " " (label)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::form::Form;

    #[test]
    fn what_was_filled_in_comes_back_as_text_with_its_fault() {
        let filled = Filled::with(Form::read(b"name=%22%3E%3Cscript%3E")).fault("name", "\"name\" is <wrong>.");
        let field = Field::new("name", "Name").hint("A name.").render(&filled, "").into_string();
        assert!(!field.contains("<script>") && !field.contains("<wrong>"), "{field}");
        assert!(
            field.contains("aria-describedby=\"e-name h-name\"") && field.contains("aria-invalid=\"true\""),
            "{field}"
        );
        assert!(field.contains("value=\"&quot;&gt;&lt;script&gt;\""), "{field}");
    }
}
