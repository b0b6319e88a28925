//! Which deliveries `tail` follows, and what it has told of each.

use std::collections::BTreeMap;

/// The most deliveries that are followed: five pages of the API a second.
pub(super) const MOST_FOLLOWED: usize = 1_000;

/// What was told of the newest deliveries; older ones are not followed.
pub(super) struct Followed {
    /// Ids below are not followed.
    floor: i64,
    told: BTreeMap<i64, String>,
}

impl Followed {
    /// Follows what has this id or a greater one; `None` for everything.
    pub(super) const fn down_to(floor: Option<i64>) -> Self {
        Self {
            floor: match floor {
                Some(floor) => floor,
                None => 0,
            },
            told: BTreeMap::new(),
        }
    }

    /// Whether something is followed that is older than `id`.
    pub(super) const fn reaches(&self, id: i64) -> bool {
        self.floor < id
    }

    /// Whether `stage` is news of delivery `id`; from now on it is none.
    pub(super) fn has_changed(&mut self, id: i64, stage: &str) -> bool {
        if id < self.floor {
            return false;
        }
        self.told.insert(id, stage.to_owned()).is_none_or(|before| before != stage)
    }

    /// Keeps to [`MOST_FOLLOWED`].
    pub(super) fn forget_the_oldest(&mut self) {
        while self.told.len() > MOST_FOLLOWED {
            self.told.pop_first();
            self.floor = self.told.first_key_value().map_or(self.floor, |(id, _)| *id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_news_once() {
        let mut followed = Followed::down_to(None);
        assert!(followed.has_changed(5, "pending"));
        assert!(!followed.has_changed(5, "pending"));
        assert!(followed.has_changed(5, "delivered"));
        // Ids are minted before they are committed: a smaller one may come later.
        assert!(followed.has_changed(4, "pending"));
    }

    #[test]
    fn what_was_there_before_is_no_news() {
        let mut followed = Followed::down_to(Some(10));
        assert!(!followed.has_changed(9, "dead"));
        assert!(followed.has_changed(10, "dead"));
        assert!(followed.reaches(11) && !followed.reaches(10));
    }

    #[test]
    fn only_the_newest_are_kept() {
        let mut followed = Followed::down_to(None);
        for id in 0..1_500 {
            followed.has_changed(id, "pending");
        }
        followed.forget_the_oldest();
        assert!(!followed.has_changed(499, "delivered"));
        assert!(followed.has_changed(500, "delivered"));
    }
}
