//! The audit log: an entry stands or falls with its change, and the log is read along its keys.

use std::time::Duration;

use postrider::{
    domain::{
        audit::{Author, Entry},
        owner::Scope,
    },
    store::{
        Lane,
        audit::{Filter, audited, list, note, prune},
        event_types,
        owners::revoke_all,
    },
};
use serde_json::json;

use crate::{
    plans::{explain, overhear},
    scene::{NOW, Scene},
    support::database::{Database, on_both},
};

on_both! {
    a_change_that_fails_is_not_written_down,
    pages_go_back_in_time_and_are_read_along_the_keys,
    the_oldest_entries_go_first_and_the_rest_stays,
    descriptions_of_event_types_replace_each_other,
}

fn author() -> Author {
    Author { id: None, name: "ops".to_owned() }
}

fn everything(limit: usize) -> Filter {
    Filter { scope: Scope::All, actor: None, action: None, subject: None, before: None, limit }
}

async fn a_change_that_fails_is_not_written_down(database: Database) {
    let scene = Scene::of(&database).await;
    let told = |_: &usize| Some(Entry::order("token.revoke", "user:1", None, json!({})));
    let failing = move |c: &mut _| {
        let change = |c: &mut _| {
            revoke_all(c, "oms")?;
            revoke_all(c, "nobody")
        };
        audited(c, &author(), NOW, change, told)
    };
    assert!(scene.store.run(Lane::Write, failing).await.is_err());
    assert_eq!((scene.count("audit").await, scene.count("tokens").await), (0, 1));
    scene.write(move |c| audited(c, &author(), NOW, |c| revoke_all(c, "oms"), told)).await;
    assert_eq!((scene.count("audit").await, scene.count("tokens").await), (1, 0));
}

async fn pages_go_back_in_time_and_are_read_along_the_keys(database: Database) {
    let scene = Scene::of(&database).await;
    let owner = scene.owner;
    scene
        .write(move |c| {
            for number in 0..1_200 {
                let whose = (number % 3 == 0).then_some(owner);
                let told =
                    |(): &()| Some(Entry::order("a.b", format!("thing:{number}"), whose, json!({ "n": number })));
                audited(c, &author(), NOW, |_| Ok(()), told)?;
            }
            Ok(())
        })
        .await;
    let page = scene.read(|c| list(c, &everything(2))).await;
    let subjects: Vec<_> = page.found.iter().map(|entry| entry.subject.as_str()).collect();
    assert_eq!(subjects, ["thing:1199", "thing:1198"]);
    let next = page.next;
    let page = scene.read(move |c| list(c, &Filter { before: next, ..everything(1) })).await;
    assert_eq!((&*page.found[0].subject, &page.found[0].became), ("thing:1197", &Some(json!({"n": 1_197}))));
    let own = scene.read(move |c| list(c, &Filter { scope: Scope::Of(owner), ..everything(1_000) })).await;
    assert_eq!((own.found.len(), own.next), (400, None));
    let subject = Some("thing:7".to_owned());
    let found = scene.read(move |c| list(c, &Filter { subject: subject.clone(), ..everything(10) })).await;
    assert_eq!(found.found.len(), 1);

    if database.is_mariadb() {
        scene.write(|c| crate::sql::execute(c, "ANALYZE TABLE audit")).await;
    }
    for scope in [Scope::All, Scope::Of(owner)] {
        let asked = move |c: &mut _| list(c, &Filter { scope, ..everything(10) }).map(drop);
        for statement in scene.read(move |c| overhear(c, &asked)).await {
            let plan = scene.read(explain(&statement)).await;
            assert!(plan.scans_nothing() && !plan.sorts(), "{statement}\n{plan:#?}");
        }
    }
}

async fn the_oldest_entries_go_first_and_the_rest_stays(database: Database) {
    let scene = Scene::of(&database).await;
    let entry = |number: u64| Entry::order("a.b", format!("thing:{number}"), None, json!({}));
    scene
        .write(move |c| {
            (0..5).try_for_each(|number| note(c, &author(), NOW.after(Duration::from_secs(number)), &entry(number)))
        })
        .await;
    let until = NOW.after(Duration::from_secs(3));
    for (limit, cleared) in [(3, 3), (3, 1), (3, 0)] {
        assert_eq!(scene.write(move |c| prune(c, until, limit)).await, cleared);
    }
    let left = scene.read(|c| list(c, &everything(10))).await.found;
    assert_eq!(left.iter().map(|entry| entry.subject.as_str()).collect::<Vec<_>>(), ["thing:4"]);
    for statement in scene.write(move |c| overhear(c, &|c: &mut _| prune(c, NOW, 3).map(drop))).await {
        let plan = scene.read(explain(&statement)).await;
        assert!(!plan.sorts(), "{statement}\n{plan:#?}");
    }
}

async fn descriptions_of_event_types_replace_each_other(database: Database) {
    use postrider::domain::{
        catalogue::{Description, Validation},
        event_type::EventType,
    };
    let scene = Scene::of(&database).await;
    let described = |text: Option<&str>, validation| Description {
        event_type: EventType::parse("order.placed").expect("a name"),
        text: text.map(str::to_owned),
        schema: text.map(|_| r#"{"type":"object"}"#.to_owned()),
        example: None,
        validation,
    };
    let (first, second) = (described(Some("ş"), Validation::On), described(None, Validation::Off));
    for (description, put) in [(first, event_types::Put::Added), (second, event_types::Put::Replaced)] {
        let stored = description.clone();
        assert_eq!(scene.write(move |c| event_types::put(c, &stored, NOW)).await, put);
        assert_eq!(scene.read(event_types::all).await, [description]);
    }
}
