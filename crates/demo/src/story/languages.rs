//! Conversations and questions in German, Japanese and French.

use crate::story::shop::{BILLING, CARE, FEES, GROESSEN, KOINOBORI, SHIPPING, WIND};
use crate::story::turn::Outcome::Returns;
use crate::story::turn::{Conversation, Turn, asked, conversation, expectation, feedback};

const ANN: &str = "ann@example.com";
const KENJI: &str = "kenji@example.com";

pub(crate) const CONVERSATIONS: &[Conversation] = &[
    conversation("jonas.weber@example.com", KINDERDRACHEN)
        .in_language("de")
        .shown_as("german"),
    conversation("mina.sato@example.com", KOI)
        .in_language("ja")
        .by("app")
        .shown_as("japanese"),
    conversation("müller@example.com", RECHNUNG)
        .in_language("de")
        .by("email"),
];

pub(crate) const QUESTIONS: &[Conversation] = &[
    conversation(
        "anna.krüger@example.com",
        &[asked(
            "Darf der Drachen in die Waschmaschine?",
            "Bitte nicht: spülen Sie das Segel mit lauwarmem Süßwasser ab und trocknen Sie es im \
             Schatten. Bügeln schadet der Beschichtung.",
        )
        .from(&[CARE])
        .correct("Entspricht der Pflegeanleitung.", 0.98)],
    )
    .in_language("de"),
    conversation(
        "haruto.mori@example.com",
        &[asked(
            "ポールの長さはどのくらい必要ですか？",
            "3 m以上のポールをおすすめします。風速1〜8 m/sでお使いいただけます。",
        )
        .from(&[KOINOBORI])
        .correct("資料の推奨値どおり。", 0.97)],
    )
    .in_language("ja")
    .by("app"),
    conversation(
        "familie.schröder@example.com",
        &[asked(
            "Ist der Merlin Sport etwas für einen 12-Jährigen?",
            "Wir empfehlen den Merlin Sport ab 14 Jahren, weil er kräftig zieht. Für 12-Jährige \
             passt der Albatross 3 besser.",
        )
        .from(&[GROESSEN])
        .correct("Altersgrenze und Alternative stimmen.", 0.98)],
    )
    .in_language("de"),
    conversation(
        "chloé.martin@example.com",
        &[asked(
            "Livrez-vous en Bretagne ? Combien ça coûte ?",
            "Oui : 3 à 5 jours ouvrés pour 9,90 €, et gratuitement à partir de 120 €.",
        )
        .from(&[SHIPPING, FEES])
        .correct("Délai et frais sont exacts.", 0.98)],
    )
    .in_language("fr"),
    conversation(
        "info@kita-seestern.example.com",
        &[asked(
            "Wir brauchen 20 Sparrow Mini für unsere Kita bis Freitag. Geht das?",
            "23 Stück sind in Husum vorrätig. Bei Bestellung heute vor 14 Uhr sind sie in ein bis \
             zwei Tagen bei Ihnen, also rechtzeitig. Auf Rechnung ist möglich.",
        )
        .from(&[SHIPPING, BILLING])
        .calling(
            "check_stock",
            r#"{"article": "Sparrow Mini"}"#,
            Returns(r#"{"Sparrow Mini": 23, "warehouse": "Husum"}"#),
        )
        .correct("Bestand, Lieferzeit und Zahlungsart sind belegt.", 0.97)],
    )
    .in_language("de")
    .by("email"),
    conversation(
        "jürgen@example.com",
        &[asked(
            "Bekomme ich die Rechnung als PDF?",
            "Ja, unter „Meine Bestellungen“ liegt sie zum Herunterladen bereit.",
        )
        .from(&[BILLING])
        .unjudged()],
    )
    .in_language("de"),
    conversation(
        "yuki.tanaka@example.com",
        &[asked(
            "注文OW-4763の状況を教えてください。",
            "ご注文OW-4763（スパロー・ミニ2点）は昨日フーズムから発送されました。\
             7〜12日でお届けの予定です。",
        )
        .from(&[SHIPPING])
        .calling(
            "look_up_order",
            r#"{"order_number": "OW-4763"}"#,
            Returns(r#"{"status": "shipped", "days_ago": 1, "articles": ["Sparrow Mini", "Sparrow Mini"]}"#),
        )
        .correct("注文内容と配送日数が一致している。", 0.97)],
    )
    .in_language("ja"),
    conversation(
        "björn@example.com",
        &[asked(
            "Was kostet der Versand nach München?",
            "4,90 €, und ab einem Bestellwert von 50 € nichts.",
        )
        .from(&[FEES])
        .correct("Entspricht den Versandkosten.", 0.99)],
    )
    .in_language("de"),
];

const KINDERDRACHEN: &[Turn] = &[
    asked(
        "Moin, welcher Drachen passt für meine Tochter (6) und ihren großen Bruder (11)?",
        "Moin! Für Ihre Tochter passt der Sparrow Mini (80 cm, 90 g), er fliegt schon bei \
         leichtem Wind. Für den Bruder empfehle ich den Albatross 3 (165 cm), der ab 8 Jahren \
         geeignet ist.",
    )
    .from(&[GROESSEN, WIND])
    .correct(
        "Beide Empfehlungen halten die Altersangaben der Größentabelle ein.",
        0.99,
    ),
    asked(
        "Schön. Sind beide da? Wir fahren übermorgen nach St. Peter-Ording.",
        "Ja: vom Sparrow Mini sind 23 Stück da, vom Albatross 3 noch 4. Wenn Sie heute vor 14 \
         Uhr bestellen, geht das Paket noch heute raus und ist morgen oder übermorgen bei \
         Ihnen – knapp, aber möglich. 🤞",
    )
    .from(&[SHIPPING])
    .calling(
        "check_stock",
        r#"{"article": "Sparrow Mini, Albatross 3"}"#,
        Returns(r#"{"Sparrow Mini": 23, "Albatross 3": 4, "warehouse": "Husum"}"#),
    )
    .correct(
        "Bestand und Bestellschluss stimmen; das Risiko wird genannt.",
        0.95,
    ),
    asked(
        "Und reicht der Wind dort?",
        "Für übermorgen sind in St. Peter-Ording 4 Bft aus Nordwest vorhergesagt: ideal für \
         den Albatross 3, für den Sparrow Mini gerade noch gut. Ab 5 Bft sollte der Kleine am \
         Boden bleiben.",
    )
    .from(&[WIND])
    .calling(
        "wind_forecast",
        r#"{"place": "St. Peter-Ording"}"#,
        Returns(r#"{"days": [{"in": 1, "bft": 3}, {"in": 2, "bft": 4, "from": "NW"}]}"#),
    )
    .correct("Vorhersage und Windbereiche passen zusammen.", 0.97)
    .reviewed(&[feedback(
        ANN,
        "helpful",
        "true",
        "Schön: nennt auch, wann der Kleine nicht mehr fliegen sollte.",
    )]),
];

const KOI: &[Turn] = &[
    asked(
        "鯉のぼりの3色セットは日本まで届きますか？送料も教えてください。",
        "はい、日本へもお届けします。通常7〜12日かかり、\
         送料は24ユーロです（200ユーロ以上で無料）。輸入関税はお客様のご負担となります。",
    )
    .from(&[SHIPPING, FEES])
    .correct("日数・送料・関税のいずれも資料と一致している。", 0.98),
    asked(
        "在庫はありますか？5月5日に間に合わせたいです🎏",
        "3色セットは現在11点ございます。本日ご注文いただければ、12日以内に届く見込みです。",
    )
    .from(&[SHIPPING, KOINOBORI])
    .calling(
        "check_stock",
        r#"{"article": "Koinobori 3色セット"}"#,
        Returns(r#"{"Koinobori 3色セット": 11, "warehouse": "Husum"}"#),
    )
    .correct("在庫数は正しい。", 0.9),
    asked(
        "雨に濡れたら洗剤で洗ってもいいですか？",
        "色落ちを防ぐため、洗剤は使わず、ぬるま湯ですすいで陰干ししてください。\
         雨の日は取り込むのがおすすめです。",
    )
    .from(&[KOINOBORI, CARE])
    .correct("手入れの説明どおり。", 0.99)
    .reviewed(&[
        feedback(KENJI, "is_polite", "true", "丁寧で自然な日本語です。"),
        expectation(
            KENJI,
            "expected_response",
            r#""洗剤は使わず、陰干ししてください。""#,
        ),
    ]),
];

const RECHNUNG: &[Turn] = &[
    asked(
        "Guten Tag, auf der Rechnung zu OW-4602 steht meine alte Adresse. Können Sie das \
         ändern?",
        "Guten Tag! Das können Sie bis 60 Tage nach dem Kauf selbst: unter „Meine \
         Bestellungen“ die Rechnung öffnen und „Adresse ändern“ wählen. Sie erhalten dann \
         sofort eine neue Rechnung.",
    )
    .from(&[BILLING])
    .correct("Frist und Weg stimmen mit den Zahlungsbedingungen überein.", 0.96),
    asked(
        "Wir sind übrigens ein Verein aus Österreich mit UID-Nummer. Fällt dann die \
         Mehrwertsteuer weg?",
        "Für Unternehmen in der EU mit gültiger UID-Nummer ziehen wir die Mehrwertsteuer ab. \
         Ob das für Ihren Verein gilt, prüft gern eine Kollegin; ich gebe Ihre Frage weiter.",
    )
    .from(&[BILLING])
    .calling(
        "hand_over",
        r#"{"summary": "OW-4602: Verein (AT) mit UID-Nummer fragt nach USt."}"#,
        Returns(r#"{"ticket": "T-9127", "queue": "billing", "answer_within_hours": 24}"#),
    )
    .correct("Gibt die unklare Frage weiter, statt zu raten.", 0.94)
    .reviewed(&[feedback(ANN, "is_polite", "true", "Freundlich, ohne Floskeln.")]),
];
