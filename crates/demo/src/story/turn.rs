//! What the texts of the story are given as: conversations, and their turns.

use crate::record::AssessmentType;
use crate::story::shop::Document;
use crate::story::telling::Exception;

/// What one customer asked in one go; each turn is a trace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conversation {
    pub(crate) user: &'static str,
    pub(crate) channel: &'static str,
    pub(crate) language: &'static str,
    pub(crate) turns: &'static [Turn],
    /// What its last trace is shown as.
    pub(crate) shown_as: Option<&'static str>,
}

/// A question and how the agent came to answer it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) question: &'static str,
    pub(crate) answer: &'static str,
    /// What was found in the knowledge base, best first; nothing if nobody looked.
    pub(crate) documents: &'static [Document],
    pub(crate) call: Option<Call>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) reviews: &'static [Review],
}

/// A call of a tool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) tool: &'static str,
    /// JSON text.
    pub(crate) arguments: &'static str,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// JSON text.
    Returns(&'static str),
    /// The agent tells the customer, and goes on.
    Fails(&'static Exception),
    /// The agent fails with it.
    Breaks(&'static Exception),
    /// Not over yet.
    Runs,
}

/// What the judge, a model, says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    Correct(&'static str, f64),
    Wrong(&'static str, f64),
    /// The judge itself failed.
    Silent,
}

/// What a person, or a check, says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Review {
    pub(crate) by: &'static str,
    pub(crate) kind: AssessmentType,
    pub(crate) name: &'static str,
    /// JSON text.
    pub(crate) value: &'static str,
    pub(crate) rationale: Option<&'static str>,
}

/// A conversation in English, on the shop's site.
pub(crate) const fn conversation(user: &'static str, turns: &'static [Turn]) -> Conversation {
    Conversation {
        user,
        channel: "web",
        language: "en",
        turns,
        shown_as: None,
    }
}

/// A question and its answer.
pub(crate) const fn asked(question: &'static str, answer: &'static str) -> Turn {
    Turn {
        question,
        answer,
        documents: &[],
        call: None,
        verdict: None,
        reviews: &[],
    }
}

impl Conversation {
    pub(crate) const fn in_language(self, language: &'static str) -> Self {
        Self { language, ..self }
    }

    pub(crate) const fn by(self, channel: &'static str) -> Self {
        Self { channel, ..self }
    }

    pub(crate) const fn shown_as(self, name: &'static str) -> Self {
        Self {
            shown_as: Some(name),
            ..self
        }
    }
}

impl Turn {
    pub(crate) const fn from(self, documents: &'static [Document]) -> Self {
        Self { documents, ..self }
    }

    pub(crate) const fn calling(self, tool: &'static str, arguments: &'static str, outcome: Outcome) -> Self {
        Self {
            call: Some(Call {
                tool,
                arguments,
                outcome,
            }),
            ..self
        }
    }

    pub(crate) const fn correct(self, why: &'static str, relevance: f64) -> Self {
        Self {
            verdict: Some(Verdict::Correct(why, relevance)),
            ..self
        }
    }

    pub(crate) const fn wrong(self, why: &'static str, relevance: f64) -> Self {
        Self {
            verdict: Some(Verdict::Wrong(why, relevance)),
            ..self
        }
    }

    pub(crate) const fn unjudged(self) -> Self {
        Self {
            verdict: Some(Verdict::Silent),
            ..self
        }
    }

    pub(crate) const fn reviewed(self, reviews: &'static [Review]) -> Self {
        Self { reviews, ..self }
    }
}

pub(crate) const fn feedback(
    by: &'static str,
    name: &'static str,
    value: &'static str,
    rationale: &'static str,
) -> Review {
    Review {
        by,
        kind: AssessmentType::Feedback,
        name,
        value,
        rationale: Some(rationale),
    }
}

pub(crate) const fn expectation(by: &'static str, name: &'static str, value: &'static str) -> Review {
    Review {
        by,
        kind: AssessmentType::Expectation,
        name,
        value,
        rationale: None,
    }
}
