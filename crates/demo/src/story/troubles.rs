//! What goes wrong: the exceptions of tools, and the questions that met them.

use crate::story::shop::{REFUNDS, RETURNS, SHIPPING, VOUCHERS, WIND};
use crate::story::telling::Exception;
use crate::story::turn::Outcome::{Breaks, Fails, Runs};
use crate::story::turn::{Conversation, asked, conversation, feedback};

pub(crate) const CARRIER_SILENT: Exception = Exception {
    kind: "TimeoutError",
    message: "Nordpost did not answer within 5 s",
    file: "support_agent/tools/orders.py",
    line: 57,
    statement: "raise TimeoutError(f\"{carrier} did not answer within {patience} s\")",
};

const NO_ROUTE: Exception = Exception {
    kind: "ConnectionError",
    message: "order service: no route to host – “lager-ost” is down",
    file: "support_agent/tools/orders.py",
    line: 31,
    statement: "response = session.get(f\"{ORDERS}/orders/{order_number}\", timeout=5)",
};

const NO_SUCH_ORDER: Exception = Exception {
    kind: "KeyError",
    message: "'OW-471'",
    file: "support_agent/tools/orders.py",
    line: 44,
    statement: "return by_number[order_number]",
};

const BAD_REPLY: Exception = Exception {
    kind: "JSONDecodeError",
    message: "Expecting value: line 1 column 1 (char 0)",
    file: "support_agent/tools/weather.py",
    line: 22,
    statement: "return json.loads(response.text)",
};

const VOUCHER_LOCKED: Exception = Exception {
    kind: "VoucherError",
    message: "WIND10 is locked: another basket holds it",
    file: "support_agent/tools/vouchers.py",
    line: 63,
    statement: "raise VoucherError(f\"{code} is locked: another basket holds it\")",
};

const NOT_A_LIST: Exception = Exception {
    kind: "ValidationError",
    message: "1 validation error for ReturnRequest\narticles\n  Input should be a valid list",
    file: "support_agent/tools/returns.py",
    line: 18,
    statement: "request = ReturnRequest.model_validate(arguments)",
};

/// The one that is still going on.
pub(crate) const IN_PROGRESS: Conversation = conversation(
    "jonas.weber@example.com",
    &[asked(
        "Ist mein Paket OW-4790 noch im Lager? Ich würde gern die Farbe tauschen 🟥➡️🟦",
        "",
    )
    .from(&[SHIPPING, RETURNS])
    .calling("look_up_order", r#"{"order_number": "OW-4790"}"#, Runs)],
)
.in_language("de")
.by("app")
.shown_as("in_progress");

pub(crate) const TROUBLES: &[Conversation] = &[
    conversation(
        "li.wei@example.com",
        &[
            asked("Please cancel order OW-4731, I ordered it twice by mistake!!", "")
                .from(&[SHIPPING, REFUNDS])
                .calling(
                    "look_up_order",
                    r#"{"order_number": "OW-4731"}"#,
                    Breaks(&NO_ROUTE),
                )
                .reviewed(&[feedback(
                    "ann@example.com",
                    "helpful",
                    "false",
                    "The customer sees nothing at all. The agent should hand over when a tool is down.",
                )]),
        ],
    )
    .by("app")
    .shown_as("failing"),
    conversation(
        "guest-4821",
        &[asked("whats the status of OW-471", "").calling(
            "look_up_order",
            r#"{"order_number": "OW-471"}"#,
            Breaks(&NO_SUCH_ORDER),
        )],
    ),
    conversation(
        "marie.dubois@example.com",
        &[asked(
            "Je voudrais retourner mon Albatross 3 (OW-4570), il est trop grand.",
            "",
        )
        .from(&[RETURNS])
        .calling(
            "create_return",
            r#"{"order_number": "OW-4570", "articles": "Albatross 3"}"#,
            Breaks(&NOT_A_LIST),
        )],
    )
    .in_language("fr"),
    conversation(
        "müller@example.com",
        &[asked("Hält der Wind morgen auf Sylt für den Merlin Sport?", "")
            .from(&[WIND])
            .calling("wind_forecast", r#"{"place": "Sylt"}"#, Breaks(&BAD_REPLY))],
    )
    .in_language("de")
    .by("email"),
    conversation(
        "sam.okafor@example.com",
        &[asked(
            "The code WIND10 doesn't work 😤 my basket is 62 €",
            "Your basket is large enough for WIND10, but the voucher is held by another basket of \
             yours, perhaps in the app. Empty that one and try again in a few minutes; I can also \
             hand this over to a colleague.",
        )
        .from(&[VOUCHERS])
        .calling(
            "apply_voucher",
            r#"{"code": "WIND10", "basket": "B-77120"}"#,
            Fails(&VOUCHER_LOCKED),
        )
        .correct(
            "Explains the tool's error in the customer's words and names a way out.",
            0.95,
        )
        .reviewed(&[feedback(
            "kenji@example.com",
            "helpful",
            "true",
            "Makes the best of an error.",
        )])],
    )
    .shown_as("recovered"),
    conversation(
        "guest-5177",
        &[asked(
            "Is there wind in Husum this weekend?",
            "I cannot reach the forecast just now. As a rule of thumb: the Sparrow Mini flies \
             from 2 Bft, when leaves rustle.",
        )
        .from(&[WIND])
        .calling("wind_forecast", r#"{"place": "Husum"}"#, Fails(&BAD_REPLY))
        .wrong("Does not answer the question, though the reason is given.", 0.55)],
    ),
];
