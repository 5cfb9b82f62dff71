//! How traces are judged: by a model, by people, by checks.

use crate::json::{Json, object};
use crate::random::Random;
use crate::record::{Assessment, AssessmentType, Trace};
use crate::story::turn::{Review, Turn, Verdict};

pub(crate) const CORRECTNESS: &str = "correctness";
pub(crate) const RELEVANCE: &str = "relevance";
pub(crate) const JUDGE: &str = "openai:/gpt-4.1";

/// Adds to a trace what its turn says of it. Nothing is dated after `now_ms`.
pub(crate) fn assess(trace: &mut Trace, turn: &Turn, now_ms: i64, random: &mut Random) {
    let ended_ms = trace.ended_ns.unwrap_or(trace.started_ns) / 1_000_000;
    let mut later = |from_s: u32, to_s: u32| {
        let created_ms = ended_ms + i64::from(random.between(from_s, to_s)) * 1_000;
        (format!("a-{}", random.hex()), created_ms.min(now_ms))
    };
    let span_id = trace.root().map(|root| root.id);
    let verdict = turn.verdict.as_ref();
    let mut all: Vec<_> = verdict
        .into_iter()
        .flat_map(judged)
        .map(|assessment| Assessment {
            span_id,
            ..assessment
        })
        .collect();
    for assessment in &mut all {
        (assessment.id, assessment.created_ms) = later(15, 90);
    }
    for review in turn.reviews {
        let (id, created_ms) = later(1_800, 14_400);
        let mut assessment = reviewed(review);
        assessment.id = id;
        assessment.created_ms = created_ms;
        // A person who judges what the judge judged overrides it, as MLflow's page does.
        let judged = all.iter_mut().find(|judged| judged.name == review.name);
        assessment.overrides = judged.map(|judged| {
            judged.is_valid = false;
            judged.id.clone()
        });
        all.push(assessment);
    }
    trace.assessments = all;
}

fn judged(verdict: &Verdict) -> Vec<Assessment> {
    let by_judge = |name, value: &Json, rationale| Assessment {
        source_type: "LLM_JUDGE",
        source_id: JUDGE,
        rationale,
        ..unsigned(name, AssessmentType::Feedback, value.to_string())
    };
    let both = |is_correct, why, relevance| {
        let correctness = Json::from(if is_correct { "yes" } else { "no" });
        vec![
            by_judge(CORRECTNESS, &correctness, Some(why)),
            by_judge(RELEVANCE, &Json::Float(relevance), None),
        ]
    };
    match *verdict {
        Verdict::Correct(why, relevance) => both(true, why, relevance),
        Verdict::Wrong(why, relevance) => both(false, why, relevance),
        Verdict::Silent => {
            let error = object! {
                "error_code": "JUDGE_TIMEOUT",
                "error_message": "The judge did not answer within 30 s",
                "stack_trace": None::<&str>,
            };
            vec![Assessment {
                error: Some(error.to_string()),
                ..by_judge(CORRECTNESS, &Json::Null, None)
            }]
        }
    }
}

fn reviewed(review: &Review) -> Assessment {
    Assessment {
        source_type: "HUMAN",
        source_id: review.by,
        rationale: review.rationale,
        ..unsigned(review.name, review.kind, review.value.to_owned())
    }
}

fn unsigned(name: &'static str, kind: AssessmentType, value: String) -> Assessment {
    Assessment {
        id: String::new(),
        name,
        kind,
        value,
        error: None,
        source_type: "",
        source_id: "",
        rationale: None,
        created_ms: 0,
        run_id: None,
        span_id: None,
        metadata: None,
        overrides: None,
        is_valid: true,
    }
}
