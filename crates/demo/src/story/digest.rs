//! The long one: a digest of the week's tickets, which summarises each of them.

use crate::json::{Json, object};
use crate::record::TraceState;
use crate::story::agent::{Told, chat};
use crate::story::shop::{LARGE, SMALL};
use crate::story::telling::Telling;

pub(crate) const NAME: &str = "weekly_digest";

/// With two spans each, and four around them, 120 spans.
const TICKETS: u32 = 58;

/// Mails of a ticket's thread. Each quotes what was said before, as mails do: that makes a megabyte.
const MAILS: u32 = 11;
const SENTENCES: u32 = 14;

const SUBJECTS: &[&str] = &[
    "Broken spar after one weekend",
    "Rechnung mit falscher Adresse",
    "Paket seit Montag unterwegs 📦",
    "返品について",
    "Which line for 6 Bft?",
    "Voucher WIND10 does not work",
    "Größe für Kinder ab 8",
    "鯉のぼりの在庫",
    "Kite lost in a tree 🌳",
    "Zoll bei Lieferung nach Japan",
];

const SENTENCES_OF_MAILS: &[&str] = &[
    "The parcel reached us on Tuesday, but the longest spar was bent at the ferrule.",
    "I have attached two photos; the second one shows the serial number under the pocket.",
    "Wir waren am Wochenende in St. Peter-Ording, und nach zehn Minuten riss die \
     Waageschnur.",
    "Könnten Sie mir bitte sagen, ob das unter die Gewährleistung fällt?",
    "先週注文した鯉のぼりがまだ届いていません。",
    "お手数ですが、配送状況をご確認いただけますでしょうか。",
    "My son is heartbroken, he had been looking forward to it for weeks. 😢",
    "Thank you for the quick answer, that helped a lot!",
    "Die Rechnung lautet noch auf unsere alte Anschrift in Kiel.",
    "We are a school and would like to order thirty of the small ones in mixed colours.",
    "Is the 90 kp line the one you would take at 5 Bft by the sea?",
    "Leider passt die Muffe nicht: Innendurchmesser 6 mm statt 5,5 mm.",
    "ポールの長さは3メートルで足りますか？",
    "I called twice and waited for twenty minutes, then gave up.",
    "Der Fahrer hat das Paket beim Nachbarn abgegeben, der seit Tagen verreist ist.",
    "Please send the replacement to my office, the address is in the signature.",
    "Sollte das nicht gehen, möchte ich den Kauf gern rückgängig machen.",
    "It flies beautifully by the way – best kite I ever had. 🪁",
    "色は赤と青のどちらでも構いません。",
    "The voucher says “minimum order 50 €”, and my basket is exactly 50.00 €.",
];

/// Tells the digest of a week.
pub(crate) fn tell(telling: &mut Telling) -> Told {
    let inputs = object! {
        "week": "last",
        "queues": vec!["general", "billing", "warehouse"],
        "languages": vec!["de", "en", "ja"],
    };
    telling.open(NAME, "CHAIN", inputs.clone());
    let tickets: Vec<_> = (0..TICKETS).map(|index| ticket(index, telling)).collect();
    fetch(&tickets, telling);
    for ticket in &tickets {
        summarise(ticket, telling);
    }
    let digest = "58 tickets this week, 9 more than last. Most were about late parcels (17) and bent \
                  spars (12): the ferrules of the new delivery are 6 mm wide instead of 5.5 mm – worth \
                  a look before more are sent. Rechnungsadressen (8) und Größenfragen (7) folgen. \
                  日本からのお問い合わせは6件で、すべて鯉のぼりに関するものでした。";
    let written = object! { "role": "assistant", "content": digest };
    let instruction = format!("Write a digest of these {TICKETS} summaries for the team, in one paragraph.");
    let subjects = tickets
        .iter()
        .filter_map(|ticket| ticket.get("subject")?.as_text());
    let summaries = subjects.collect::<Vec<_>>().join("\n");
    let messages = [
        object! { "role": "system", "content": instruction },
        object! { "role": "user", "content": summaries },
    ];
    chat(
        "write_digest",
        &LARGE,
        &messages,
        &written,
        (4_000, 7_000),
        telling,
    );
    telling.open(
        "post_digest",
        "TOOL",
        object! { "channel": "#support", "text": digest },
    );
    telling.pass(120, 300);
    telling.close(object! { "posted": "yes", "message_id": "1732.4711" });
    let outputs = object! { "digest": digest, "tickets": i64::from(TICKETS) };
    telling.close(outputs.clone());
    Told {
        inputs,
        outputs: Some(outputs),
        state: TraceState::Ok,
    }
}

fn ticket(index: u32, telling: &mut Telling) -> Json {
    let random = &mut telling.random;
    let subject = random.one_of(SUBJECTS).unwrap_or_default();
    let mut said: Vec<&str> = Vec::new();
    let mails = (0..MAILS).map(|mail| {
        let quoted = said.iter().rev().take(SENTENCES as usize / 2);
        let quoted: Vec<_> = quoted.map(|sentence| format!("> {sentence}")).collect();
        let own: Vec<_> = (0..SENTENCES)
            .filter_map(|_| random.one_of(SENTENCES_OF_MAILS))
            .collect();
        said.extend(&own);
        let from = if mail % 2 == 0 { "customer" } else { "support" };
        object! { "from": from, "text": format!("{}\n\n{}", own.join(" "), quoted.join("\n")) }
    });
    let thread = mails.collect();
    object! {
        "ticket": format!("T-{}", 9_080 + index),
        "subject": subject,
        "thread": Json::List(thread),
    }
}

fn fetch(tickets: &[Json], telling: &mut Telling) {
    telling.open("fetch_tickets", "TOOL", object! { "since_days": 7_i64 });
    telling.pass(700, 1_900);
    let heads = tickets.iter().map(|ticket| {
        object! {
            "ticket": ticket.get("ticket").cloned().unwrap_or(Json::Null),
            "subject": ticket.get("subject").cloned().unwrap_or(Json::Null),
        }
    });
    telling.close(Json::list(heads));
}

fn summarise(ticket: &Json, telling: &mut Telling) {
    let subject = ticket.get("subject").and_then(Json::as_text).unwrap_or_default();
    let mood = telling
        .random
        .one_of(&["calm", "annoyed", "grateful", "worried"])
        .unwrap_or_default();
    let summary = format!("{{\"topic\": \"{subject}\", \"mood\": \"{mood}\", \"is_open\": false}}");
    let messages = [
        object! { "role": "system", "content": "Summarise the ticket as JSON: topic, mood, is_open." },
        object! { "role": "user", "content": ticket.to_string() },
    ];
    let answer = object! { "role": "assistant", "content": summary.as_str() };
    chat(
        "summarise_ticket",
        &SMALL,
        &messages,
        &answer,
        (500, 1_600),
        telling,
    );
    telling.open("parse_summary", "PARSER", object! { "text": summary.as_str() });
    telling.close(object! { "topic": subject, "mood": mood });
}
