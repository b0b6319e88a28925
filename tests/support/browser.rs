//! A browser without a screen: it keeps the cookie, sends forms with the text that makes them ours, and follows nothing.

use std::time::Duration;

use super::api::{Reply, read};

/// Somebody who is logged in, or tries to be.
#[derive(Clone, Debug)]
pub struct Browser {
    agent: ureq::Agent,
    base: String,
    cookie: String,
}

impl Browser {
    /// Nobody yet, at the engine of `base`.
    pub fn new(base: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .max_redirects(0)
            .build();
        Self { agent: config.into(), base: base.to_owned(), cookie: String::new() }
    }

    /// Logs in with this token.
    #[track_caller]
    pub fn logged_in(base: &str, token: &str) -> Self {
        let mut browser = Self::new(base);
        let answer = browser.send("/login", &[("token", token)], &[]);
        assert_eq!(answer.status, 303, "{}", answer.text);
        let cookie = answer.header("set-cookie").expect("a session has a cookie");
        cookie.split(';').next().unwrap_or_default().clone_into(&mut browser.cookie);
        browser
    }

    /// `GET path`.
    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        let request = self.agent.get(format!("{}{path}", self.base)).header("Cookie", &self.cookie);
        read(request.call().expect("the engine answers")).expect("the whole body")
    }

    /// The page at `path`, which is there.
    #[track_caller]
    pub fn page(&self, path: &str) -> String {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        reply.text
    }

    /// What makes a form one of this session.
    #[track_caller]
    pub fn csrf(&self) -> String {
        let page = self.page("/");
        let value = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        value.unwrap_or_else(|| panic!("no form: {page}")).to_owned()
    }

    /// Sends a form as a page of ours does.
    #[track_caller]
    pub fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let csrf = self.csrf();
        let fields: Vec<_> = fields.iter().copied().chain([("csrf", csrf.as_str())]).collect();
        self.send(path, &fields, &[("Sec-Fetch-Site", "same-origin")])
    }

    /// Sends a form with these fields and headers only.
    #[track_caller]
    pub fn send(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Reply {
        let request = self.agent.post(format!("{}{path}", self.base)).header("Cookie", &self.cookie);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        read(request.send_form(fields.iter().copied()).expect("the engine answers")).expect("the whole body")
    }

    /// The cookie, to look at or to try elsewhere.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }
}
