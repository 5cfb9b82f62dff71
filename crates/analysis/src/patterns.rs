//! What the traces of an agent have in common: what kind of agent it is, which tools it calls and how, how long it takes.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::digest::{Bounded, Calling, Cost, Figures, Form, Latency, Tokens, Totals};
use crate::stats::Sample;

/// What one trace in so many does is what the agent does.
const OFTEN: u64 = 5;

/// Of so many traces that call tools, as many in the same way, that is its way.
const SAME_WAY: (u64, u64) = (3, 4);

/// Names that are listed.
const MAX_LISTED: usize = 20;

/// What traces have in common.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(clippy::struct_field_names, reason = "the contract's own names")]
pub struct Patterns {
    /// What kind of agent it is.
    analysis_summary: AnalysisSummary,
    /// How spans are.
    span_patterns: SpanPatterns,
    /// Which tools are called, and how.
    tool_usage: ToolUsage,
    /// What traces are given, and give.
    input_output_patterns: InputOutputPatterns,
    /// How conversations go.
    conversation_flow: ConversationFlow,
    /// Figures of spans of each kind.
    span_statistics: SpanStatistics,
    /// How long traces took, in ms; null where none has ended.
    latency_ms: Option<Latency>,
    /// Null where no trace says it.
    token_usage: Option<TokenUsage>,
    /// Null where no trace says it.
    cost: Option<CostTotal>,
    /// How much of what there is this is about.
    coverage: Coverage,
}

/// What kind of agent it is.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnalysisSummary {
    /// Traces that this is about.
    #[cfg_attr(feature = "openapi", schema(example = 50))]
    total_traces: u64,
    /// `multi_turn_chat_with_tools`, `multi_turn_chat`, `single_turn_with_tools`, `single_turn_chat`, or, where users say
    /// something in fewer than half of the traces, `structured_processing`. With tools, or of several turns, is what one trace
    /// in five is; a turn may also be a trace of a conversation of several (`mlflow.trace.session`).
    #[cfg_attr(feature = "openapi", schema(example = "multi_turn_chat_with_tools"))]
    conversation_type: &'static str,
    /// The first of these that one trace in five shows: `rag_with_function_calling` (retrievers and tools), `rag_pattern`,
    /// `multi_agent_with_tools` (more than one agent), `function_calling_agent`, `chain_processing`, `simple_agent`; else
    /// `direct_generation`.
    #[cfg_attr(feature = "openapi", schema(example = "function_calling_agent"))]
    agent_pattern: &'static str,
}

/// How spans are.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SpanPatterns {
    /// How many spans of each type.
    #[cfg_attr(feature = "openapi", schema(example = json!({"AGENT": 50, "TOOL": 120})))]
    types: BTreeMap<String, u64>,
    /// The names that most spans have, at most 20.
    #[cfg_attr(feature = "openapi", schema(example = json!(["support_agent", "look_up_order"])))]
    common_names: Vec<String>,
    /// How deep trees of spans are.
    hierarchy_depth: Depth,
}

/// How deep trees of spans are; a root alone is 1.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Depth {
    /// Of all traces.
    #[cfg_attr(feature = "openapi", schema(example = 2.4))]
    avg: f64,
    /// The deepest.
    #[cfg_attr(feature = "openapi", schema(example = 5))]
    max: u32,
}

/// Which tools are called, and how.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ToolUsage {
    /// The tools, those called most first.
    #[cfg_attr(feature = "openapi", schema(example = json!(["look_up_order"])))]
    tools_detected: Vec<String>,
    /// `none`; how three of four traces that call tools do it: `single`, `sequential`, `parallel` (some calls at the same
    /// time); or `mixed`.
    #[cfg_attr(feature = "openapi", schema(example = "sequential"))]
    calling_pattern: &'static str,
    /// Names of what each tool is called with.
    #[cfg_attr(feature = "openapi", schema(example = json!({"look_up_order": ["order_id"]})))]
    tool_parameters: BTreeMap<String, Vec<String>>,
}

/// What traces are given, and give.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InputOutputPatterns {
    /// How many traces are given what: `messages`, `text`, `object`, `list`, `empty`, `other`, or `unread` (more than 256 KiB).
    #[cfg_attr(feature = "openapi", schema(example = json!({"messages": 50})))]
    input_format: BTreeMap<&'static str, u64>,
    /// How many traces give what.
    #[cfg_attr(feature = "openapi", schema(example = json!({"text": 50})))]
    output_format: BTreeMap<&'static str, u64>,
    /// Members that most traces have.
    common_fields: CommonFields,
}

/// Members that most traces have, at most 20.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommonFields {
    /// Of what they are given.
    #[cfg_attr(feature = "openapi", schema(example = json!(["messages"])))]
    inputs: Vec<String>,
    /// Of what they give.
    #[cfg_attr(feature = "openapi", schema(example = json!(["choices"])))]
    outputs: Vec<String>,
}

/// How conversations go.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConversationFlow {
    /// Messages of the user, of each trace in which one says something.
    #[cfg_attr(feature = "openapi", schema(example = 1.8))]
    avg_turns: f64,
    /// What the user said last, in characters.
    user_message_length: Length,
    /// What was answered, in characters.
    response_length: Length,
}

/// Lengths of texts, in characters.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Length {
    /// Of all texts.
    #[cfg_attr(feature = "openapi", schema(example = 84.2))]
    avg: f64,
    /// The longest.
    #[cfg_attr(feature = "openapi", schema(example = 400.0))]
    max: f64,
}

/// Figures of spans of each kind.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SpanStatistics {
    /// Of each type.
    #[cfg_attr(feature = "openapi", schema(example = json!({"TOOL": {"count": 120, "errors": 6, "error_rate": 0.05, "latency_ms": {"p50": 12.5, "p95": 80.1, "max": 120.0}, "tokens": null, "cost": null}})))]
    by_type: BTreeMap<String, SpanFigures>,
    /// Of each tool.
    #[cfg_attr(feature = "openapi", schema(example = json!({"look_up_order": {"count": 120, "errors": 6, "error_rate": 0.05, "latency_ms": {"p50": 12.5, "p95": 80.1, "max": 120.0}, "tokens": null, "cost": null}})))]
    by_tool: BTreeMap<String, SpanFigures>,
}

/// Figures of spans of a kind.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SpanFigures {
    /// How many there are.
    #[cfg_attr(feature = "openapi", schema(example = 120))]
    pub(crate) count: u64,
    /// Those that failed.
    #[cfg_attr(feature = "openapi", schema(example = 6))]
    pub(crate) errors: u64,
    /// The part that failed, 0 to 1.
    #[cfg_attr(feature = "openapi", schema(example = 0.05))]
    pub(crate) error_rate: f64,
    /// How long they took, in ms; null where none has ended.
    pub(crate) latency_ms: Option<Latency>,
    /// Null where no span says it.
    pub(crate) tokens: Option<Tokens>,
    /// Null where no span says it.
    pub(crate) cost: Option<Cost>,
}

impl From<&Figures> for SpanFigures {
    fn from(figures: &Figures) -> Self {
        Self {
            count: figures.count,
            errors: figures.errors,
            error_rate: figures.error_rate(),
            latency_ms: Latency::of(&figures.times),
            tokens: figures.tokens,
            cost: figures.cost,
        }
    }
}

/// Tokens of traces together.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenUsage {
    /// Traces of which they are known.
    #[cfg_attr(feature = "openapi", schema(example = 48))]
    traces_with: u64,
    #[serde(flatten)]
    tokens: Tokens,
}

/// Costs of traces together, in USD.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CostTotal {
    /// Traces of which they are known.
    #[cfg_attr(feature = "openapi", schema(example = 48))]
    traces_with: u64,
    #[serde(flatten)]
    cost: Cost,
}

/// How much of what there is this is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Coverage {
    /// Traces that were looked for and found.
    #[cfg_attr(feature = "openapi", schema(example = 50))]
    pub traces_found: u64,
    /// Those whose spans were read, or that have none.
    #[cfg_attr(feature = "openapi", schema(example = 50))]
    pub traces_analyzed: u64,
    /// Those whose spans could not be read.
    #[cfg_attr(feature = "openapi", schema(example = 0))]
    pub traces_failed: u64,
    /// Spans that were read.
    #[cfg_attr(feature = "openapi", schema(example = 900))]
    pub spans: u64,
    /// Times that a span, or its inputs or outputs of more than 256 KiB, were counted and not read.
    #[cfg_attr(feature = "openapi", schema(example = 0))]
    pub spans_unread: u64,
}

impl Coverage {
    /// Of these traces, and so many more that could not be read.
    pub fn of(totals: &Totals, failed: u64) -> Self {
        Self {
            traces_found: totals.traces + failed,
            traces_analyzed: totals.traces,
            traces_failed: failed,
            spans: totals.spans,
            spans_unread: totals.spans_unread,
        }
    }
}

impl Patterns {
    /// What these traces have in common; beside them so many could not be read.
    pub fn of(totals: &Totals, failed: u64) -> Self {
        Self {
            analysis_summary: AnalysisSummary {
                total_traces: totals.traces,
                conversation_type: conversation_type(totals),
                agent_pattern: agent_pattern(totals),
            },
            span_patterns: SpanPatterns {
                types: totals
                    .types
                    .iter()
                    .map(|(kind, figures)| (kind.to_owned(), figures.count))
                    .collect(),
                common_names: most(totals.names.iter().map(|(name, count)| (name, *count))),
                hierarchy_depth: Depth {
                    avg: mean(totals.depths, totals.traces),
                    max: totals.deepest,
                },
            },
            tool_usage: tool_usage(totals),
            input_output_patterns: InputOutputPatterns {
                input_format: formats(&totals.input_forms),
                output_format: formats(&totals.output_forms),
                common_fields: CommonFields {
                    inputs: fields(&totals.input_fields),
                    outputs: fields(&totals.output_fields),
                },
            },
            conversation_flow: ConversationFlow {
                avg_turns: mean(totals.turns, totals.talks),
                user_message_length: length(&totals.request_chars),
                response_length: length(&totals.response_chars),
            },
            span_statistics: SpanStatistics {
                by_type: statistics(totals.types.iter()),
                by_tool: statistics(totals.tools.iter().map(|(name, tool)| (name, &tool.figures))),
            },
            latency_ms: Latency::of(&totals.times),
            token_usage: (totals.traces_with_tokens > 0).then_some(TokenUsage {
                traces_with: totals.traces_with_tokens,
                tokens: totals.tokens,
            }),
            cost: (totals.traces_with_cost > 0).then_some(CostTotal {
                traces_with: totals.traces_with_cost,
                cost: totals.cost,
            }),
            coverage: Coverage::of(totals, failed),
        }
    }
}

impl Patterns {
    /// What kind of agent it is, and of conversation.
    pub(crate) fn kind(&self) -> (&'static str, &'static str) {
        let summary = &self.analysis_summary;
        (summary.agent_pattern, summary.conversation_type)
    }
}

/// Whether one in five is so.
fn is_often(count: u64, all: u64) -> bool {
    count > 0 && count * OFTEN >= all
}

fn conversation_type(totals: &Totals) -> &'static str {
    let has_tools = is_often(calling(totals), totals.traces);
    if totals.talks == 0 || totals.talks * 2 < totals.traces {
        "structured_processing"
    } else if is_often(totals.long_talks, totals.talks)
        || is_often(totals.turns_of_conversations(), totals.traces)
    {
        if has_tools {
            "multi_turn_chat_with_tools"
        } else {
            "multi_turn_chat"
        }
    } else if has_tools {
        "single_turn_with_tools"
    } else {
        "single_turn_chat"
    }
}

fn agent_pattern(totals: &Totals) -> &'static str {
    let is_often = |count| is_often(count, totals.traces);
    let (has_tools, retrieves) = (is_often(calling(totals)), is_often(totals.retrieving));
    match (retrieves, has_tools) {
        (true, true) => "rag_with_function_calling",
        (true, false) => "rag_pattern",
        (false, true) if is_often(totals.many_agents) => "multi_agent_with_tools",
        (false, true) => "function_calling_agent",
        (false, false) if is_often(totals.chains) => "chain_processing",
        (false, false) if is_often(totals.agents) => "simple_agent",
        (false, false) => "direct_generation",
    }
}

/// Traces that call tools.
fn calling(totals: &Totals) -> u64 {
    totals.traces - totals.callings.get(&Calling::None).copied().unwrap_or(0)
}

fn tool_usage(totals: &Totals) -> ToolUsage {
    let calling = calling(totals);
    let is_way = |way: Calling| {
        totals
            .callings
            .get(&way)
            .is_some_and(|count| count * SAME_WAY.1 >= calling * SAME_WAY.0)
    };
    let calling_pattern = match calling {
        0 => "none",
        _ if is_way(Calling::Single) => "single",
        _ if is_way(Calling::Sequential) => "sequential",
        _ if is_way(Calling::Parallel) => "parallel",
        _ => "mixed",
    };
    let parameters = totals.tools.iter().map(|(name, tool)| {
        let names = tool.parameters.iter().cloned().collect();
        (name.to_owned(), names)
    });
    let mut tools: Vec<_> = totals
        .tools
        .iter()
        .map(|(name, tool)| (name, tool.figures.count))
        .collect();
    tools.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    ToolUsage {
        tools_detected: tools.into_iter().map(|(name, _)| name.to_owned()).collect(),
        calling_pattern,
        tool_parameters: parameters.collect(),
    }
}

fn formats(forms: &BTreeMap<Form, u64>) -> BTreeMap<&'static str, u64> {
    forms
        .iter()
        .map(|(form, count)| (form.as_str(), *count))
        .collect()
}

fn fields(fields: &Bounded<u64>) -> Vec<String> {
    most(fields.iter().map(|(name, count)| (name, *count)))
}

/// The names that stand most often.
fn most<'a>(names: impl Iterator<Item = (&'a str, u64)>) -> Vec<String> {
    let mut names: Vec<_> = names.collect();
    names.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    names
        .into_iter()
        .take(MAX_LISTED)
        .map(|(name, _)| name.to_owned())
        .collect()
}

pub(crate) fn statistics<'a>(
    figures: impl Iterator<Item = (&'a str, &'a Figures)>,
) -> BTreeMap<String, SpanFigures> {
    figures
        .map(|(name, figures)| (name.to_owned(), figures.into()))
        .collect()
}

fn length(chars: &Sample) -> Length {
    Length {
        avg: chars.mean().unwrap_or(0.0),
        max: chars.max().unwrap_or(0.0),
    }
}

#[expect(clippy::cast_precision_loss, reason = "means are shown with few digits")]
fn mean(sum: u64, count: u64) -> f64 {
    sum as f64 / count.max(1) as f64
}

#[cfg(test)]
mod tests;
