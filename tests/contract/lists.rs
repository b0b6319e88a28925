//! Lists: plain and in pages.

use serde_json::json;

use crate::support::database::{Database, on_both};
use crate::{
    client::Client,
    scene::{add_owner, hook, start},
};

on_both! {
    a_long_list_is_whole_and_in_order,
    pages_are_linked,
    filters_that_are_wrong_are_told_together,
}

async fn a_long_list_is_whole_and_in_order(database: Database) {
    let (engine, admin) = start(&database, &[]);
    let alice = Client::new(engine.base(), &add_owner(&database, "alice", &[]));
    assert_eq!(alice.send("GET", "/whisperer/hooks/", None, "").body, "[]");
    let made: Vec<_> = (0..70)
        .map(|number| alice.post("/whisperer/hooks/", &hook(&number.to_string())).json()["id"].clone())
        .collect();
    let ids = |client: &Client, query: &str| -> Vec<_> {
        let list = client.get(&format!("/whisperer/hooks/{query}"));
        list.as_array().expect("a plain list").iter().map(|hook| hook["id"].clone()).collect()
    };
    assert_eq!(ids(&alice, ""), made);
    assert_eq!(ids(&alice, "?ordering=-id"), made.iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(ids(&admin, "?ordering=user,-created_date,id").len(), 70);
    assert_eq!(ids(&alice, "?event_type=PACKAGE.CREATED&target_url=HTTP://127.0.0.1:9/7"), [made[7].clone()]);
    assert_eq!(ids(&alice, "?is_active=false"), [json!(null); 0]);
    assert_eq!(ids(&alice, "?is_active=0&bogus=1&ordering=bogus").len(), 70);
}

async fn pages_are_linked(database: Database) {
    let (engine, admin) = start(&database, &[("POSTRIDER_PAGE_SIZE", "2")]);
    for number in 0..5 {
        admin.post("/whisperer/hooks/", &hook(&number.to_string()));
    }
    let url = |query: &str| json!(format!("{}/whisperer/hooks/{query}", engine.base()));
    let page = |query: &str| {
        let page = admin.get(&format!("/whisperer/hooks/{query}"));
        let results = page["results"].as_array().map(Vec::len);
        (page["count"].clone(), page["next"].clone(), page["previous"].clone(), results)
    };
    let none = json!(null);
    assert_eq!(page(""), (json!(5), url("?page=2"), none.clone(), Some(2)));
    assert_eq!(
        page("?page=2&is_active=true"),
        (json!(5), url("?is_active=true&page=3"), url("?is_active=true"), Some(2))
    );
    assert_eq!(page("?page=last"), (json!(5), none.clone(), url("?page=2"), Some(1)));
    assert_eq!(page("?is_active=false"), (json!(0), none.clone(), none, Some(0)));
    for query in ["?page=0", "?page=4", "?page=abc", "?page=", "?is_active=false&page=2"] {
        let reply = admin.send("GET", &format!("/whisperer/hooks/{query}"), None, "");
        assert_eq!((reply.status, reply.json()), (404, json!({"detail": "Invalid page."})), "{query}");
    }
    assert_eq!(admin.get("/whisperer/hooks/registry/").as_array().map(Vec::len), Some(18));
    assert_eq!(admin.get("/whisperer/event_queues/?object_id=1")["count"], json!(0));
}

async fn filters_that_are_wrong_are_told_together(database: Database) {
    let (engine, admin) = start(&database, &[]);
    let reply = admin.send(
        "GET",
        "/whisperer/hook_events/?webhook=abc&uuid=x&created_date__lt=y&response_http_status=z&content_type=1",
        None,
        "",
    );
    assert_eq!(reply.status, 400);
    let choice = "Select a valid choice. That choice is not one of the available choices.";
    assert_eq!(
        reply.body,
        format!(
            concat!(
                r#"{{"uuid":["Enter a valid UUID."],"response_http_status":["Enter a number."],"#,
                r#""created_date__lt":["Enter a valid date/time."],"content_type":["{choice}"],"webhook":["{choice}"]}}"#,
            ),
            choice = choice
        )
    );
    // Somebody else's hook is one of the choices, and has nothing to show.
    let alice = Client::new(engine.base(), &add_owner(&database, "alice", &[]));
    let theirs = admin.post("/whisperer/hooks/", &hook("a")).json()["id"].clone();
    assert_eq!(alice.get(&format!("/whisperer/hook_events/?webhook={theirs}")), json!([]));
    assert_eq!(alice.send("GET", "/whisperer/hook_events/?webhook=99999", None, "").status, 400);
}
