//! `ordering=a,-b` (contract, section 6).

use super::{query::Query, text::strip};
use crate::store::lists::Direction;

/// A column that may be named, and what it orders by; `None` for one whose values say nothing about an order (they are
/// always null, or JSON).
pub(super) type Column<K> = (&'static str, Option<K>);

/// The order that `query` asks for. Terms that name no column are skipped, and so is a column that was named before: it
/// orders nothing any more, and the time that a statement takes to build grows steeply with its terms.
pub(super) fn read<K: Copy>(query: &Query, columns: &[Column<K>]) -> Vec<(K, Direction)> {
    let terms = query.get("ordering").unwrap_or_default().split(',').map(strip);
    let term = |term: &str| {
        let (name, direction) = match term.strip_prefix('-') {
            Some(name) => (name, Direction::Descending),
            None => (term, Direction::Ascending),
        };
        let (name, key) = columns.iter().find(|(column, _)| *column == name)?;
        key.map(|key| (*name, (key, direction)))
    };
    let mut order: Vec<(&str, (K, Direction))> = Vec::new();
    for (name, key) in terms.filter_map(term) {
        if order.iter().all(|(other, _)| *other != name) {
            order.push((name, key));
        }
    }
    order.into_iter().map(|(_, key)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_orders_once_however_often_it_is_named() {
        let many = format!("ordering=id,user,{}", "-id,user,".repeat(5_000));
        let columns = [("id", Some('i')), ("user", Some('u'))];
        let order = read(&Query::parse(&many), &columns);
        assert_eq!(order, [('i', Direction::Ascending), ('u', Direction::Ascending)]);
    }

    #[test]
    fn terms_that_name_no_column_are_skipped() {
        let columns = [("id", Some('i')), ("user", Some('u')), ("config", None)];
        let order = |text: &str| {
            read(&Query::parse(text), &columns)
                .iter()
                .map(|(key, direction)| match direction {
                    Direction::Ascending => format!("+{key}"),
                    Direction::Descending => format!("-{key}"),
                })
                .collect::<String>()
        };
        assert_eq!(order("ordering=-id"), "-i");
        assert_eq!(order("ordering=user,-id"), "+u-i");
        assert_eq!(order("ordering=bogus,+-user+,,--id,user__username,config,-"), "-u");
        assert_eq!(order("ordering=id&ordering="), "");
        assert_eq!(order(""), "");
    }
}
