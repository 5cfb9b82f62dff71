//! Conversations of several turns, in English.

use crate::story::shop::{FEES, GROESSEN, LINES, REFUNDS, RETURNS, SHIPPING, VOUCHERS, WARRANTY, WIND};
use crate::story::troubles::CARRIER_SILENT;
use crate::story::turn::Outcome::{Fails, Returns};
use crate::story::turn::{Conversation, Turn, asked, conversation, expectation, feedback};

const ANN: &str = "ann@example.com";
const KENJI: &str = "kenji@example.com";

pub(crate) const CONVERSATIONS: &[Conversation] = &[
    conversation("tom.oneill@example.com", LATE_PARCEL).shown_as("conversation"),
    conversation("priya.nair@example.com", BROKEN_SPAR),
    conversation("li.wei@example.com", FIRST_SPORT_KITE).by("app"),
    conversation("priya.nair@example.com", GIFT).by("app"),
    conversation("sam.okafor@example.com", RETURN_TWO).shown_as("disputed"),
];

const LATE_PARCEL: &[Turn] = &[
    asked(
        "Hi! Where is my order OW-4711? It was supposed to be here on Tuesday 😕",
        "Your order OW-4711 (Albatross 3 and a 90 kp line) left Husum on Monday and is at the \
         parcel centre in Leeds. Parcels over 120 cm travel as bulky goods, so it takes a day \
         longer: please expect it tomorrow.",
    )
    .from(&[SHIPPING, FEES])
    .calling(
        "look_up_order",
        r#"{"order_number": "OW-4711"}"#,
        Returns(r#"{"status": "shipped", "carrier": "Nordpost", "last_seen": "Leeds", "eta_days": 1}"#),
    )
    .correct(
        "State, place and reason match the order and the shipping rules.",
        0.97,
    )
    .reviewed(&[feedback(
        ANN,
        "is_polite",
        "true",
        "Warm, without apologising three times.",
    )]),
    asked(
        "Tomorrow I'm away. Can the neighbours at no. 12 take it?",
        "I could not reach the carrier just now to change the delivery. You can name a \
         neighbour yourself under the link in Nordpost's mail until 8:00 tomorrow, or I can \
         pass this on to a colleague.",
    )
    .from(&[SHIPPING])
    .calling(
        "look_up_order",
        r#"{"order_number": "OW-4711"}"#,
        Fails(&CARRIER_SILENT),
    )
    .correct(
        "Says openly that the tool failed and names a way that works.",
        0.86,
    ),
    asked(
        "Done that myself. And if it rips on the first day? 😅",
        "Then we stand by it: frame and sail are covered for 24 months, and one broken spar a \
         year is replaced free of charge, whatever the reason. Only torn lines are not \
         covered.",
    )
    .from(&[WARRANTY, RETURNS])
    .correct(
        "Both periods and the exception are in the warranty document.",
        0.98,
    )
    .reviewed(&[
        feedback(
            KENJI,
            "helpful",
            "true",
            "Answers the question behind the question.",
        ),
        expectation(
            KENJI,
            "expected_facts",
            r#"["24 months", "one spar a year", "lines are not covered"]"#,
        ),
    ]),
];

const BROKEN_SPAR: &[Turn] = &[
    asked(
        "My dog sat on my Merlin Sport and a spar broke. Order OW-4388. Is that covered? 🐕",
        "It is: dogs are explicitly included. Once a year we replace a broken spar free of \
         charge, and yours has not been used yet. Shall I send you one to the address of \
         order OW-4388?",
    )
    .from(&[WARRANTY])
    .calling(
        "look_up_order",
        r#"{"order_number": "OW-4388"}"#,
        Returns(r#"{"status": "delivered", "articles": ["Merlin Sport"], "spares_this_year": 0}"#),
    )
    .correct("The yearly spar is unused according to the order.", 0.99)
    .reviewed(&[feedback(
        ANN,
        "helpful",
        "true",
        "Checks whether the yearly spar was used before promising it. 👍",
    )]),
    asked(
        "Yes please! Which line do I need with it, mine look tired",
        "The spar is on its way. For the Merlin Sport you need a pair of 70 kp lines of equal \
         length, 25 m; Dyneema stretches less than polyester.",
    )
    .from(&[LINES, WIND])
    .wrong(
        "Claims that the spar is on its way, but no tool was called to send it.",
        0.8,
    )
    .reviewed(&[
        feedback(
            ANN,
            "helpful",
            "false",
            "Says that a parcel is on its way which nobody has sent.",
        ),
        expectation(ANN, "expected_tool", r#""hand_over""#),
    ]),
];

const FIRST_SPORT_KITE: &[Turn] = &[
    asked(
        "I want my first two-line kite. Is the Merlin Sport ok at 6 Bft?",
        "Yes. The Merlin Sport flies at 3 to 6 Bft, so 6 is its upper end: for a first flight \
         3 to 4 Bft is kinder. With reinforced spars it goes up to 7.",
    )
    .from(&[WIND, LINES])
    .correct(
        "Range and reinforcement are right, and the advice for beginners is sensible.",
        0.96,
    ),
    asked(
        "cool. can i fly it near the airport in Bremen",
        "Please do not: kites must stay at least 5 km away from any airport. South of Bremen \
         there are good meadows.",
    )
    .from(&[WIND])
    .correct("The distance is right.", 0.88),
    asked(
        "ok thx!! whats the biggest one you have",
        "That is the Albatross 3 with a span of 165 cm.",
    )
    .from(&[GROESSEN])
    .wrong(
        "The size table says nothing of the Merlin Sport's span, so this cannot be concluded.",
        0.71,
    ),
];

const GIFT: &[Turn] = &[
    asked(
        "Do you have gift vouchers, and do they expire?",
        "We do, from 10 €. They are valid for three years, and what is left over after an \
         order stays on the voucher.",
    )
    .from(&[VOUCHERS])
    .correct(
        "Validity and remainder are right; the smallest amount is not documented.",
        0.9,
    ),
    asked(
        "Can I use two for one order?",
        "Sorry, only one voucher works per order. A colleague can merge two into one if you \
         send us the codes.",
    )
    .from(&[VOUCHERS])
    .unjudged(),
    asked(
        "Never mind, thanks a lot 💜",
        "You're welcome – have a good wind!",
    ),
];

const RETURN_TWO: &[Turn] = &[
    asked(
        "I ordered two Sparrow Minis (OW-4655) and want to return one. How?",
        "I have made a return for one Sparrow Mini of order OW-4655; the label is in your \
         mailbox. Sending it back is free for you.",
    )
    .from(&[RETURNS, REFUNDS])
    .calling(
        "create_return",
        r#"{"order_number": "OW-4655", "articles": ["Sparrow Mini"]}"#,
        Returns(r#"{"return": "R-2210", "label": "sent", "articles": ["Sparrow Mini"], "free": true}"#),
    )
    .correct(
        "The return was made for one article, and the cost is right.",
        0.97,
    ),
    asked(
        "And do I get the 4.90 shipping back as well?",
        "Yes, we refund the shipping fee of 4.90 € together with the kite.",
    )
    .from(&[REFUNDS, FEES])
    .correct("Fees are refunded according to the document.", 0.93)
    .reviewed(&[
        feedback(
            KENJI,
            "correctness",
            r#""no""#,
            "Only if the whole order is returned. Here it is one kite of two.",
        ),
        expectation(
            KENJI,
            "expected_response",
            r#""The fee is refunded only if the whole order is returned.""#,
        ),
    ]),
];
