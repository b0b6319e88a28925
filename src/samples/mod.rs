//! Sample payloads as an order management system writes them: the JSON files beside this one with the blanks filled in.
//!
//! Pure: the number of the thing and the time are parameters. Things of one number belong together: package 1042 is
//! brought by shipment 1042.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::time::Timestamp;

/// A kind of thing that the order management system tells about.
struct Template {
    text: &'static str,
    /// What its numbers begin with.
    prefix: &'static str,
}

const PACKAGE: Template = Template { text: include_str!("package.json"), prefix: "PK" };
const SHIPMENT: Template = Template { text: include_str!("shipment.json"), prefix: "SH" };
const TRANSFER: Template = Template { text: include_str!("transfer.json"), prefix: "TR" };
const STOCK_LOCATION: Template = Template { text: include_str!("stock_location.json"), prefix: "MGZ" };

/// First name, last name, street, township, city, postcode.
const PEOPLE: [[&str; 6]; 6] = [
    ["Ayşe", "Yılmaz", "Çınar Mah. Gül Sok. No:12 D:5", "Eyüpsultan", "İstanbul", "34050"],
    ["Oğuz", "Çelik", "Kızılay Mah. Ziya Gökalp Cad. No:4", "Çankaya", "Ankara", "06420"],
    ["Şebnem", "Güneş", "Alsancak Mah. 1453 Sok. No:8 K:3", "Konak", "İzmir", "35220"],
    ["İlker", "Öğüt", "Fatih Mah. Ağaçlı Yol No:77", "Nilüfer", "Bursa", "16110"],
    ["Zoë", "Müller-Łukasz", "Şirinyalı Mah. İsmet Gökşen Cad. No:31", "Muratpaşa", "Antalya", "07160"],
    ["Nâzım", "Kılıç", "Ömeraağa Mah. Cumhuriyet Cad. No:19", "İzmit", "Kocaeli", "41300"],
];

/// Stock keeping unit, name, colour, price.
const PRODUCTS: [[&str; 4]; 5] = [
    ["GMLK-KETEN-KRMZ", "Kırmızı Keten Gömlek", "Kırmızı", "899.90"],
    ["AYKB-DERI-SYH", "Deri Günlük Ayakkabı", "Siyah", "2499.00"],
    ["CNT-SIRT-YSL", "Su Geçirmez Sırt Çantası", "Yeşil", "1349.50"],
    ["KZK-YUN-LCVRT", "Örgü Yün Kazak", "Lacivert", "1199.00"],
    ["FNCN-SRMK-2LI", "Seramik Fincan, 2'li", "Krem", "459.00"],
];

/// Code and name.
const CARRIERS: [[&str; 2]; 3] =
    [["hizli", "Hızlı Kargo"], ["guvercin", "Güvercin Lojistik"], ["sehir", "Şehir İçi Kurye"]];

/// The id of thing 0.
const FIRST_ID: u64 = 70_000;

/// From the order to the change that the event tells of.
const PREPARATION: Duration = Duration::from_mins(95);
/// From the change to the promised delivery.
const PROMISE: Duration = Duration::from_hours(26);

/// Whether a carrier has given a number already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tracking {
    Known,
    Unknown,
}

/// What an event of `event_type` says: of what, the status, the one before, and the tracking number. `None` for a type
/// that is not built in.
fn scene(event_type: &str) -> Option<(&'static Template, &'static str, Option<&'static str>, Tracking)> {
    use Tracking::{Known, Unknown};
    Some(match event_type {
        "package.created" => (&PACKAGE, "waiting", None, Unknown),
        "package.status.transitioned" => (&PACKAGE, "preparing", Some("waiting"), Unknown),
        "package.status.packed" => (&PACKAGE, "packed", Some("preparing"), Unknown),
        "package.status.cancelled" => (&PACKAGE, "cancelled", Some("waiting"), Unknown),
        "package.status.shipped" => (&PACKAGE, "shipped", Some("packed"), Known),
        "package.status.packed_for_refund" => (&PACKAGE, "packed_for_refund", Some("delivered"), Known),
        "package.shipment.awb_number" => (&PACKAGE, "packed", Some("packed"), Known),
        "shipment.created" => (&SHIPMENT, "created", None, Known),
        "shipment.status.updated" => (&SHIPMENT, "out_for_delivery", Some("in_transit"), Known),
        "shipment.cancelled" => (&SHIPMENT, "cancelled", Some("created"), Known),
        "transfer.status.created" => (&TRANSFER, "created", None, Unknown),
        "transfer.status.transitioned" => (&TRANSFER, "approved", Some("created"), Unknown),
        "transfer.status.in_transit" => (&TRANSFER, "in_transit", Some("ready_to_shipment"), Unknown),
        "transfer.status.transferred" => (&TRANSFER, "transferred", Some("in_transit"), Unknown),
        "transfer.status.cancelled" => (&TRANSFER, "cancelled", Some("created"), Unknown),
        "transfer.status.ready_to_shipment" => (&TRANSFER, "ready_to_shipment", Some("approved"), Unknown),
        "stock_location.created" => (&STOCK_LOCATION, "open", None, Unknown),
        "stock_location.updated" => (&STOCK_LOCATION, "open", Some("open"), Unknown),
        _ => return None,
    })
}

/// A payload of `event_type` about thing `number`; `None` for a type that is not built in.
#[must_use]
pub fn sample(event_type: &str, number: u32, at: Timestamp) -> Option<Box<RawValue>> {
    let (template, status, previous, tracking) = scene(event_type)?;
    let previous = previous.map_or("null".to_owned(), |previous| format!("\"{previous}\""));
    let tracking = match tracking {
        Tracking::Known => format!("\"7{:011}\"", u64::from(number) * 7_919),
        Tracking::Unknown => "null".to_owned(),
    };
    let text = fill(template.text, number, at)
        .replace("{{status}}", status)
        .replace("{{previous}}", &previous)
        .replace("{{tracking}}", &tracking);
    Some(RawValue::from_string(text).expect("the templates are JSON for every number: the tests try them"))
}

/// The number of the thing that a sample `payload` is about; `None` for a payload that is no sample of ours.
#[must_use]
pub fn number_in(payload: &str) -> Option<u32> {
    #[derive(Deserialize)]
    struct Numbered {
        id: u64,
    }
    let numbered: Numbered = serde_json::from_str(payload).ok()?;
    u32::try_from(numbered.id.checked_sub(FIRST_ID)?).ok()
}

/// How a person calls thing `number` that `event_type` is about: `PK-1042`.
#[must_use]
pub fn label(event_type: &str, number: u32) -> String {
    match scene(event_type) {
        Some((template, ..)) => format!("{}-{number}", template.prefix),
        None => number.to_string(),
    }
}

/// How a person calls what `payload` is about: `PK-1042`, or `id 4711` when it is no sample of ours.
#[must_use]
pub fn name_in(event_type: &str, payload: &str) -> String {
    #[derive(Deserialize)]
    struct Identified<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }
    match (number_in(payload), serde_json::from_str::<Identified<'_>>(payload)) {
        (Some(number), _) => label(event_type, number),
        (None, Ok(Identified { id })) => format!("id {}", id.get().chars().take(20).collect::<String>()),
        (None, Err(_)) => "-".to_owned(),
    }
}

/// Fills in what does not depend on the type.
fn fill(template: &str, number: u32, at: Timestamp) -> String {
    let [first_name, last_name, street, township, city, postcode] = choose(&PEOPLE, number);
    let [sku, product, colour, price] = choose(&PRODUCTS, number);
    let [carrier_code, carrier] = choose(&CARRIERS, number);
    let placed_at = Timestamp::from_micros(at.as_micros() - i64::try_from(PREPARATION.as_micros()).unwrap_or(0));
    let blanks = [
        ("id", (FIRST_ID + u64::from(number)).to_string()),
        ("number", number.to_string()),
        ("order", (510_000 + u64::from(number) * 3).to_string()),
        ("customer", (9_000 + u64::from(number) % 800).to_string()),
        ("phone", format!("{:04}", u64::from(number) * 37 % 10_000)),
        ("quantity", (1 + number % 3).to_string()),
        ("at", rfc_3339(at)),
        ("placed_at", rfc_3339(placed_at)),
        ("promised_at", rfc_3339(at.after(PROMISE))),
        ("first_name", first_name.to_owned()),
        ("last_name", last_name.to_owned()),
        ("street", street.to_owned()),
        ("township", township.to_owned()),
        ("city", city.to_owned()),
        ("postcode", postcode.to_owned()),
        ("sku", sku.to_owned()),
        ("product", product.to_owned()),
        ("colour", colour.to_owned()),
        ("price", price.to_owned()),
        ("carrier_code", carrier_code.to_owned()),
        ("carrier", carrier.to_owned()),
    ];
    blanks
        .iter()
        .fold(template.trim().to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}

fn choose<const N: usize, const M: usize>(all: &[[&'static str; N]; M], number: u32) -> [&'static str; N] {
    all[number as usize % M]
}

fn rfc_3339(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::domain::event_type::OMS_EVENT_TYPES;

    const AT: Timestamp = Timestamp::from_micros(1_800_000_000_123_456);

    fn value(event_type: &str, number: u32) -> Value {
        serde_json::from_str(sample(event_type, number, AT).expect("a sample").get()).expect("JSON")
    }

    #[test]
    fn every_type_of_the_catalogue_has_a_payload_of_ordinary_size_with_an_id() {
        for event_type in OMS_EVENT_TYPES {
            for number in [0, 1, 2, 3, 4, 5, 1_042, u32::MAX] {
                let payload = sample(event_type, number, AT).expect("a sample");
                let text = payload.get();
                assert!(!text.contains("{{"), "{event_type}: a blank is left in {text}");
                assert!((1_000..4_096).contains(&text.len()), "{event_type}: {} bytes", text.len());
                assert!(!text.is_ascii(), "{event_type}");
                assert!(value(event_type, number)["id"].is_u64(), "{event_type}");
            }
        }
        assert!(sample("package.lost", 1, AT).is_none());
    }

    #[test]
    fn a_package_keeps_its_id_and_changes_its_status() {
        let (created, shipped) = (value("package.created", 1_042), value("package.status.shipped", 1_042));
        assert_eq!(created["id"], shipped["id"]);
        assert_eq!((&created["status"], &created["previous_status"]), (&Value::from("waiting"), &Value::Null));
        assert_eq!(
            (&shipped["status"], &shipped["previous_status"]),
            (&Value::from("shipped"), &Value::from("packed"))
        );
        assert!(created["shipment"]["tracking_number"].is_null());
        assert!(shipped["shipment"]["tracking_number"].is_string());
        assert_ne!(value("package.created", 1_043)["id"], created["id"]);
        assert_eq!(label("package.status.shipped", 1_042), "PK-1042");
        assert_eq!(number_in(sample("package.created", 1_042, AT).expect("a sample").get()), Some(1_042));
        assert_eq!(number_in(r#"{"id": 5}"#), None);
        assert_eq!(name_in("package.created", r#"{"id": 5}"#), "id 5");
        assert_eq!(name_in("package.created", "[]"), "-");
    }
}
