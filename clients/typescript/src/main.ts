// A reviewer's work: which sessions are mine, what is next, read it, label it, go on; and a search beside.
//
//   TRACE_SERVER_URL=http://127.0.0.1:8000 TRACE_SERVER_TOKEN=… npm start

import {
  type Client,
  type Item,
  type LabelSchema,
  type LabelingSession,
  ProblemError,
  type Span,
  type Trace,
  connect,
  held,
  pages,
} from "./client.js";

// Small, so that there is more than one.
const PAGE = 3;

async function main(): Promise<void> {
  const client = connect(process.env["TRACE_SERVER_URL"] ?? "http://127.0.0.1:8000", process.env["TRACE_SERVER_TOKEN"]);
  const me = held(await client.GET("/api/user/me"));
  say(`${me.userName} is a ${me.role}`);

  await find(client);
  for await (const session of sessions(client)) {
    say(`session ${session.name}`);
    await review(client, session);
  }
  await missing(client);
}

/** Finds what went wrong. No span is read for that. */
async function find(client: Client): Promise<void> {
  const failed = pages<Trace>(async (pageToken) => {
    const body = { filter: "status = 'ERROR'", max_results: PAGE, page_token: pageToken ?? null };
    const page = held(await client.POST("/api/mlflow/search-traces", { body }));
    return { entries: page.traces, next: page.next_page_token };
  });
  let count = 0;
  for await (const { info } of failed) {
    count += 1;
    if (count === 1) {
      say(`the newest that failed: ${info.trace_id}, ${info.request_preview ?? "nothing asked"}`);
    }
  }
  say(`failed: ${count}`);
}

function sessions(client: Client): AsyncGenerator<LabelingSession> {
  return pages(async (pageToken) => {
    const query = { page_size: PAGE, ...(pageToken === undefined ? {} : { page_token: pageToken }) };
    const page = held(await client.GET("/api/labeling-sessions", { params: { query } }));
    return { entries: page.labeling_sessions, next: page.next_page_token };
  });
}

/** Does the next item of a session: reads its trace, answers what is asked, and marks it as done. */
async function review(client: Client, session: LabelingSession): Promise<void> {
  const item = await next(client, session);
  const trace_id = item?.source.trace_id;
  if (item === undefined || trace_id == null) {
    say("nothing is left to do");
    return;
  }
  const { data, info } = held(await client.GET("/api/traces/{trace_id}", { params: { path: { trace_id } } }));
  say(`${info.trace_id}: ${data.spans.length} spans, ${tools(data.spans).join(", ") || "no tool"}`);

  const asked = held(await client.GET("/api/label-schemas")).filter(({ name }) =>
    session.labeling_schemas.some((schema) => schema.name === name),
  );
  const given = new Set<string>();
  for (const schema of asked) {
    given.add(await label(client, trace_id, schema));
  }

  // The next read shows what was written, whoever asks.
  const labeled = held(await client.GET("/api/traces/{trace_id}", { params: { path: { trace_id } } }));
  const shown = labeled.info.assessments.filter(({ assessment_id }) => given.has(assessment_id));
  if (shown.length !== given.size) {
    throw new Error(`of ${given.size} labels ${shown.length} are shown`);
  }
  say(`labels given: ${shown.map(({ name }) => name).join(", ")}`);
  await complete(client, session, item);
}

async function next(client: Client, session: LabelingSession): Promise<Item | undefined> {
  const path = { labeling_session_id: session.labeling_session_id };
  const query = { filter: "state=PENDING", page_size: 1 };
  const page = held(await client.GET("/api/labeling-sessions/{labeling_session_id}/items", { params: { path, query } }));
  return page.items[0];
}

/** Span attributes are JSON texts: `"\"TOOL\""`. */
function tools(spans: Span[]): string[] {
  const isTool = ({ attributes }: Span) => attributes?.["mlflow.spanType"] === JSON.stringify("TOOL");
  return [...new Set(spans.filter(isTool).map(({ name }) => name ?? "a tool without a name"))];
}

/** Gives one label: the first option, or the middle. A person would choose. */
async function label(client: Client, trace_id: string, schema: LabelSchema): Promise<string> {
  const assessment = { name: schema.name, value: answer(schema), rationale: "Chosen by an example." };
  const params = { path: { trace_id } };
  const given =
    schema.type === "EXPECTATION"
      ? await client.POST("/api/traces/{trace_id}/expectation", { params, body: { assessment } })
      : await client.POST("/api/traces/{trace_id}/feedback", { params, body: { assessment } });
  return held(given).assessment_id;
}

function answer(schema: LabelSchema): string | number | string[] {
  if (schema.numeric) {
    const { min_value: min, max_value: max } = schema.numeric;
    return min != null && max != null ? (min + max) / 2 : (min ?? max ?? 0);
  }
  if (schema.categorical) {
    return schema.categorical.options[0] ?? "";
  }
  if (schema.categorical_list) {
    return schema.categorical_list.options.slice(0, 1);
  }
  return schema.text_list ? ["as it is"] : "as it is";
}

/** Marks an item as done, unless somebody changed it since it was read. */
async function complete(client: Client, session: LabelingSession, item: Item): Promise<void> {
  const path = { labeling_session_id: session.labeling_session_id, item_id: item.item_id };
  const route = "/api/labeling-sessions/{labeling_session_id}/items/{item_id}";
  const read = await client.GET(route, { params: { path } });
  const etag = read.response.headers.get("etag");
  const params = {
    path,
    query: { update_mask: "state" },
    ...(etag === null ? {} : { header: { "If-Match": etag } }),
  };
  const done = held(await client.PATCH(route, { params, body: { state: "COMPLETED" } }));
  say(`item ${done.item_id} is ${done.state}`);

  // The same change to the version from before is a conflict, and nothing is lost without a word.
  try {
    await client.PATCH(route, { params, body: { state: "SKIPPED" } });
  } catch (error) {
    if (error instanceof ProblemError && error.code === "CONFLICT") {
      return;
    }
    throw error;
  }
  if (etag !== null) {
    throw new Error("a change to an old version went through");
  }
}

/** Errors say what is wrong, by a code that stays the same. */
async function missing(client: Client): Promise<void> {
  try {
    await client.GET("/api/traces/{trace_id}", { params: { path: { trace_id: "tr-unknown" } } });
  } catch (error) {
    if (error instanceof ProblemError && error.code === "RESOURCE_NOT_FOUND") {
      say(error.message);
      return;
    }
    throw error;
  }
  throw new Error("there is a trace tr-unknown");
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

await main();
