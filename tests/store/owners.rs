//! Owners and their tokens.

use postrider::{
    domain::owner::{Owner, Role, Standing},
    store::{
        Lane, StoreError,
        owners::{Added, add_owner, add_token, find_by_name, find_by_token, list, revoke_all, revoke_token},
    },
};

use crate::{
    scene::{NOW, Scene},
    support::database::{Database, on_both},
};

on_both! {
    an_owner_is_found_by_name_and_by_each_token,
    names_and_tokens_belong_to_one,
    a_revoked_token_is_nobodys,
    a_token_for_nobody_is_refused,
    owners_are_listed_with_their_tokens,
}

async fn an_owner_is_found_by_name_and_by_each_token(database: Database) {
    let scene = Scene::of(&database).await;
    for (token, role, standing) in [
        (1, Role::Admin, Standing::Active),
        (2, Role::Publisher, Standing::Inactive),
        (3, Role::Subscriber, Standing::Active),
    ] {
        let name = format!("{} şirketi 🏢", role.as_str());
        let (added_name, found_name) = (name.clone(), name.clone());
        let added = scene.write(move |c| add_owner(c, &added_name, role, standing, &[token; 32], NOW)).await;
        let Added::Owner(owner) = added else { panic!("{added:?}") };
        assert_eq!(owner, Owner { id: owner.id, name, role, standing });
        let second_name = owner.name.clone();
        scene.write(move |c| add_token(c, &second_name, &[token + 100; 32], NOW)).await;
        assert_eq!(scene.read(move |c| find_by_name(c, &found_name)).await.as_ref(), Some(&owner));
        for token in [token, token + 100] {
            assert_eq!(scene.read(move |c| find_by_token(c, &[token; 32])).await.as_ref(), Some(&owner));
        }
    }
}

async fn names_and_tokens_belong_to_one(database: Database) {
    let scene = Scene::of(&database).await;
    let add = |name: &'static str, token: u8| {
        scene.write(move |c| add_owner(c, name, Role::Subscriber, Standing::Active, &[token; 32], NOW))
    };
    assert!(matches!(add("one", 1).await, Added::Owner(_)));
    assert_eq!(add("one", 2).await, Added::NameTaken);
    assert_eq!(add("two", 1).await, Added::TokenTaken);
    // Another case is another name.
    assert!(matches!(add("One", 2).await, Added::Owner(_)));
    let taken = scene.write(|c| add_token(c, "One", &[1; 32], NOW)).await;
    assert_eq!(taken, Added::TokenTaken);
    assert_eq!((scene.count("owners").await, scene.count("tokens").await), (3, 3));
}

async fn a_revoked_token_is_nobodys(database: Database) {
    let scene = Scene::of(&database).await;
    for token in 1..=3 {
        scene.write(move |c| add_token(c, "oms", &[token; 32], NOW)).await;
    }
    assert!(scene.write(|c| revoke_token(c, &[1; 32])).await);
    assert!(!scene.write(|c| revoke_token(c, &[1; 32])).await);
    assert_eq!(scene.read(|c| find_by_token(c, &[1; 32])).await, None);
    assert!(scene.read(|c| find_by_token(c, &[2; 32])).await.is_some());
    // The two that are left, and the one that every owner begins with.
    assert_eq!(scene.write(|c| revoke_all(c, "oms")).await, 3);
    assert_eq!(scene.read(|c| find_by_token(c, &[2; 32])).await, None);
}

async fn a_token_for_nobody_is_refused(database: Database) {
    let scene = Scene::of(&database).await;
    let refused = scene.store.run(Lane::Write, |c| add_token(c, "nobody", &[1; 32], NOW)).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    let refused = scene.store.run(Lane::Write, |c| revoke_all(c, "nobody")).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    assert_eq!(scene.count("tokens").await, 1);
}

async fn owners_are_listed_with_their_tokens(database: Database) {
    let scene = Scene::of(&database).await;
    scene.add_owner("second").await;
    scene.write(|c| add_token(c, "second", &[9; 32], NOW)).await;
    scene.write(|c| revoke_all(c, "oms")).await;
    let listed = scene.read(list).await;
    let seen: Vec<_> =
        listed.iter().map(|listed| (listed.owner.name.as_str(), listed.tokens, listed.created_at)).collect();
    assert_eq!(seen, [("oms", 0, NOW), ("second", 2, NOW)]);
}
