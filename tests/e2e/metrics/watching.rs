//! The dashboard and the alert rules in `ops/` are written with names that the engine really tells.

use std::{collections::BTreeSet, fs, path::Path};

use promql_parser::{
    parser::{self, Expr},
    util::{ExprVisitor, walk_expr},
};
use serde_json::{Value, json};

use super::page::{Page, engine_settings};
use crate::{
    scene::Scene,
    support::database::{Database, on_both},
};

on_both! { blocking: everything_that_is_watched_is_told }

/// What Prometheus itself adds.
const OF_PROMETHEUS: [&str; 1] = ["up"];

fn everything_that_is_watched_is_told(database: &Database) {
    let scene = Scene::new(database, &engine_settings());
    // Of what there is none of, nothing is told: something has to fail first.
    scene.sink.script("/in", [500]);
    scene.subscribe("/in", json!({}));
    scene.publish_many(0..20);
    let page = Page::eventually(&scene, "a breaker to open and a backlog to be seen", |page| {
        let names = ["postrider_subscription_breaker_open_seconds", "postrider_subscription_backlog"];
        if names.iter().all(|name| page.series(name).count() == 1) { Ok(()) } else { Err("not yet") }
    });
    let told: BTreeSet<String> = page.families().into_iter().collect();
    let queries: Vec<_> = queries_of_the_dashboard().into_iter().chain(queries_of_the_rules()).collect();
    let mut complaints = Vec::new();
    let mut watched = BTreeSet::new();
    for (place, query) in queries {
        match parser::parse(&query.replace("$__rate_interval", "5m")) {
            Ok(expression) => watched.extend(names_in(&expression).into_iter().map(|name| (name, place.clone()))),
            Err(error) => complaints.push(format!("{place}: {query}: {error}")),
        }
    }
    for (name, place) in &watched {
        if !told.contains(name) && !OF_PROMETHEUS.contains(&name.as_str()) {
            complaints.push(format!("{place}: the engine tells no {name}"));
        }
    }
    // What nobody looks at need not be told.
    let of_ours = told.iter().filter(|name| !name.ends_with("_sum") && !name.ends_with("_count"));
    for name in of_ours.filter(|name| !name.starts_with("postrider_commit_rows")) {
        if !watched.iter().any(|(watched, _)| watched == name) {
            complaints.push(format!("{name} is neither on the dashboard nor in a rule"));
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// The names of the metrics that a query reads.
fn names_in(expression: &Expr) -> Vec<String> {
    struct Names(Vec<String>);
    impl ExprVisitor for Names {
        type Error = std::convert::Infallible;

        fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Self::Error> {
            if let Expr::VectorSelector(selector) = expression {
                self.0.extend(selector.name.clone());
            }
            if let Expr::MatrixSelector(matrix) = expression {
                self.0.extend(matrix.vs.name.clone());
            }
            Ok(true)
        }
    }
    let mut names = Names(Vec::new());
    walk_expr(&mut names, expression).expect("it cannot fail");
    names.0
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ops").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(of: &Value, member: &str, place: &str) -> String {
    let text = of[member].as_str().filter(|text| !text.is_empty());
    text.unwrap_or_else(|| panic!("{place} has no {member}: {of}")).to_owned()
}

/// What Prometheus asks of a file of rules: the names of members, durations, and an expression in each rule.
fn queries_of_the_rules() -> Vec<(String, String)> {
    let rules: Value = serde_saphyr::from_str(&read("prometheus-rules.yml")).expect("it is YAML");
    let groups = rules["groups"].as_array().expect("a file of rules has groups");
    let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().expect("rules")).collect();
    assert!(rules.len() >= 8, "{rules:?}");
    let mut names = BTreeSet::new();
    let query = |rule: &Value| {
        let alert = text(rule, "alert", "a rule");
        let known = ["alert", "expr", "for", "labels", "annotations"];
        let unknown: Vec<_> =
            rule.as_object().into_iter().flatten().filter(|(name, _)| !known.contains(&name.as_str())).collect();
        assert!(unknown.is_empty(), "{alert}: {unknown:?}");
        let wait = rule["for"].as_str().unwrap_or("1m");
        let (number, unit) = wait.split_at(wait.len() - 1);
        assert!(number.parse::<u32>().is_ok() && ["s", "m", "h"].contains(&unit), "{alert}: for {wait}");
        assert!(["warning", "critical"].contains(&rule["labels"]["severity"].as_str().unwrap_or_default()), "{alert}");
        for annotation in ["summary", "description"] {
            let text = text(&rule["annotations"], annotation, &alert);
            assert_eq!(text.matches("{{").count(), text.matches("}}").count(), "{alert}: {text}");
        }
        assert!(names.insert(alert.clone()), "{alert} is there twice");
        (alert.clone(), text(rule, "expr", &alert))
    };
    rules.into_iter().map(query).collect()
}

/// What Grafana needs of a dashboard: panels with a place, a type, a source and queries, and variables that are defined.
fn queries_of_the_dashboard() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&read("grafana-dashboard.json")).expect("it is JSON");
    text(&dashboard, "title", "the dashboard");
    text(&dashboard, "uid", "the dashboard");
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 36), "{}", dashboard["schemaVersion"]);
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let defined: Vec<String> = variables.iter().map(|variable| text(variable, "name", "a variable")).collect();
    let mut ids = BTreeSet::new();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        let (title, kind) = (text(panel, "title", "a panel"), text(panel, "type", "a panel"));
        assert!(ids.insert(panel["id"].as_u64().expect("a panel has a number")), "{title}: its number is there twice");
        let place = ["x", "y", "w", "h"]
            .map(|side| panel["gridPos"][side].as_u64().unwrap_or_else(|| panic!("{title}: {side}")));
        assert!(place[0] + place[2] <= 24, "{title} stands over the edge: {place:?}");
        if kind == "row" {
            continue;
        }
        assert!(["timeseries", "stat", "table"].contains(&kind.as_str()), "{title}: {kind}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let targets = panel["targets"].as_array().filter(|targets| !targets.is_empty());
        for target in targets.unwrap_or_else(|| panic!("{title} asks for nothing")) {
            text(target, "refId", &title);
            let query = text(target, "expr", &title);
            for variable in query.split('$').skip(1) {
                let name: String = variable.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                assert!(name == "__rate_interval" || defined.contains(&name), "{title}: ${name} is not defined");
            }
            queries.push((title.clone(), query));
        }
    }
    for variable in variables.iter().filter(|variable| variable["type"] == "query") {
        let query = text(variable, "definition", "a variable");
        let inside = query.strip_prefix("label_values(").and_then(|rest| rest.split(',').next());
        queries.push(("a variable".to_owned(), inside.unwrap_or_else(|| panic!("{query}")).to_owned()));
    }
    queries
}
