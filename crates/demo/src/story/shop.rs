//! The shop that the agent answers for: Ostwind, which sells kites. What its agent knows, and what it is made of.

use crate::json::{Json, object};

pub(crate) const SYSTEM_PROMPT: &str = "You are Böe, the support agent of Ostwind, a small shop for kites in Husum. Answer \
                                        in the customer's language, in at most four sentences. Rely on the documents and on \
                                        what tools return; if neither helps, say so and offer to pass the question on to a \
                                        colleague.";

/// A model, and what a million tokens cost in US cents.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) is_chat: bool,
    pub(crate) cents_per_million_in: u32,
    pub(crate) cents_per_million_out: u32,
}

/// Chooses tools, and summarises.
pub(crate) const SMALL: Model = Model {
    name: "gpt-4o-mini",
    is_chat: true,
    cents_per_million_in: 15,
    cents_per_million_out: 60,
};

/// Writes answers.
pub(crate) const LARGE: Model = Model {
    name: "gpt-4.1-mini",
    is_chat: true,
    cents_per_million_in: 40,
    cents_per_million_out: 160,
};

pub(crate) const EMBEDDER: Model = Model {
    name: "text-embedding-3-small",
    is_chat: false,
    cents_per_million_in: 2,
    cents_per_million_out: 0,
};

/// A document of the knowledge base.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Document {
    pub(crate) source: &'static str,
    pub(crate) section: &'static str,
    pub(crate) text: &'static str,
}

macro_rules! documents {
    ($($name:ident: $source:literal, $section:literal, $text:literal;)*) => {
        $(pub(crate) const $name: Document = Document { source: $source, section: $section, text: $text };)*
        /// All there are.
        pub(crate) const DOCUMENTS: &[Document] = &[$($name),*];
    };
}

documents! {
    SHIPPING: "shipping.md", "Delivery times",
        "Orders placed before 14:00 leave our warehouse in Husum on the same working day. \
         Germany: 1–2 days, EU: 3–5 days, Japan and the rest of the world: 7–12 days. Parcels \
         over 120 cm travel as bulky goods and take a day more.";
    FEES: "shipping.md", "Shipping fees",
        "Within Germany 4.90 €, free from 50 €. EU 9.90 €, free from 120 €. Japan 24 €, free \
         from 200 €. Import duties outside the EU are paid by the recipient.";
    RETURNS: "returns.md", "Right of return",
        "Goods can be returned within 30 days of delivery. We bear the cost of the return \
         within the EU. Lines that have been cut to length and opened repair kits cannot be \
         returned.";
    REFUNDS: "returns.md", "Refunds",
        "We refund within 5 working days of receiving the return, by the way the order was \
         paid. Shipping fees of the first delivery are refunded if the whole order is \
         returned.";
    WARRANTY: "warranty.md", "What is covered",
        "Frames and sails are covered for 24 months. Broken spars are replaced free of charge \
         once a year, whatever the reason: sand, dogs and trees happen. Torn lines are not \
         covered.";
    WIND: "guide/wind.md", "Wind ranges",
        "Sparrow Mini: 2–4 Bft. Albatross 3: 3–5 Bft. Merlin Sport: 3–6 Bft, with reinforced \
         spars up to 7 Bft. Koinobori carp streamers fly from 1 Bft. Never fly a kite in a \
         thunderstorm or closer than 5 km to an airport.";
    LINES: "guide/lines.md", "Choosing a line",
        "Single-line kites up to 1.5 m²: 50 kp. Albatross 3: 90 kp. Merlin Sport needs a pair \
         of 70 kp lines of equal length, 25 m. Dyneema stretches less than polyester and must \
         be sleeved where it is knotted.";
    CARE: "guide/care.md", "Washing and drying",
        "Rinse sails in lukewarm fresh water after flying by the sea, and dry them in the \
         shade. No machine wash, no iron. Store kites loosely rolled: folds weaken the \
         coating.";
    BILLING: "billing.md", "Invoices and payment",
        "Payment by card, PayPal, bank transfer and, within Germany, on invoice within 14 \
         days. The address of an invoice can be changed for 60 days under “My orders”. VAT is \
         deducted for companies in the EU with a valid VAT id.";
    VOUCHERS: "billing.md", "Vouchers",
        "Vouchers are valid for three years. One voucher per order; what is left over stays \
         on it. The welcome voucher WIND10 needs an order value of at least 50 €.";
    GROESSEN: "beratung/groessen.md", "Welche Größe passt?",
        "Kinder ab 4 Jahren: Sparrow Mini (80 cm). Ab 8 Jahren: Albatross 3 (165 cm). Der \
         Merlin Sport zieht kräftig und ist für Jugendliche ab 14 Jahren und Erwachsene \
         gedacht. Gewicht: 90 g, 310 g, 420 g.";
    KOINOBORI: "guide/koinobori.ja.md", "鯉のぼりの飾り方",
        "鯉のぼりは風速1〜8 m/sで使えます。雨の日は取り込んで、陰干ししてください。ポールは3 \
         m以上を推奨します。色落ちを防ぐため、洗剤は使わないでください。";
}

/// The tools as a chat model is told of them.
pub(crate) fn tools() -> Json {
    let tool = |name: &str, description: &str, parameter: &'static str| {
        let parameters = object! { "type": "object", "properties": Json::Raw(parameter) };
        object! {
            "type": "function",
            "function": object! { "name": name, "description": description, "parameters": parameters },
        }
    };
    Json::list([
        tool(
            "look_up_order",
            "State and parcel of an order.",
            r#"{"order_number": {"type": "string"}}"#,
        ),
        tool(
            "check_stock",
            "How many of an article there are.",
            r#"{"article": {"type": "string"}}"#,
        ),
        tool(
            "create_return",
            "Makes a return and its label.",
            r#"{"order_number": {"type": "string"}, "articles": {"type": "array"}}"#,
        ),
        tool(
            "apply_voucher",
            "Applies a voucher to a basket.",
            r#"{"code": {"type": "string"}, "basket": {"type": "string"}}"#,
        ),
        tool(
            "wind_forecast",
            "The wind of the next days at a place.",
            r#"{"place": {"type": "string"}}"#,
        ),
        tool(
            "hand_over",
            "Passes the conversation on to a colleague.",
            r#"{"summary": {"type": "string"}}"#,
        ),
    ])
}
