// A client of trace-server whose types come from its OpenAPI document: a path, a parameter or a member that the document does
// not have does not compile.

import createClient, { type Middleware } from "openapi-fetch";

import type { components, paths } from "../generated/api.js";

type Schemas = components["schemas"];
export type Item = Schemas["Item"];
export type LabelingSession = Schemas["LabelingSession"];
export type LabelSchema = Schemas["LabelSchema"];
export type Problem = Schemas["Problem"];
export type Span = Schemas["Span"];
export type Trace = Schemas["Trace"];

// Longer is not waited for a server that is overloaded.
const MAX_PAUSE_S = 10;
const MAX_TRIES = 3;

/** What the server says is wrong. `code` stays the same while words may change. */
export class ProblemError extends Error {
  readonly status: number;
  readonly code: string;
  readonly requestId: string;

  constructor(problem: Problem) {
    super(`${problem.error.code}: ${problem.detail} (request ${problem.request_id})`);
    this.name = "ProblemError";
    this.status = problem.status;
    this.code = problem.error.code;
    this.requestId = problem.request_id;
  }
}

// So that whoever calls has an answer or an error, and never looks at both.
const problemsAreThrown: Middleware = {
  async onResponse({ response }) {
    if (response.ok) {
      return undefined;
    }
    const type = response.headers.get("content-type") ?? "";
    if (!type.startsWith("application/problem+json")) {
      // Not ours: a proxy on the way.
      throw new Error(`${response.url} answers ${response.status} ${response.statusText}`);
    }
    throw new ProblemError((await response.json()) as Problem);
  },
};

/** Asks again what may be asked twice, when the server says when. */
async function patientFetch(request: Request): Promise<Response> {
  for (let tries = 1; ; tries += 1) {
    const response = await fetch(request.clone());
    const pause = Number(response.headers.get("retry-after") ?? Number.NaN);
    const mayRepeat = request.method === "GET" && tries < MAX_TRIES && pause <= MAX_PAUSE_S;
    if (response.ok || !mayRepeat) {
      return response;
    }
    await response.body?.cancel();
    await new Promise((resolve) => setTimeout(resolve, pause * 1000));
  }
}

/** `token`: where a proxy in front asks for one, as that of Databricks Apps does. Who asks is what the proxy makes of it. */
export function connect(baseUrl: string, token?: string) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const client = createClient<paths>({ baseUrl, headers, fetch: patientFetch });
  client.use(problemsAreThrown);
  return client;
}

export type Client = ReturnType<typeof connect>;

/** What an answer holds: errors have been thrown. */
export function held<T>(answer: { data?: T; response: Response }): T {
  if (answer.data === undefined) {
    throw new Error(`${answer.response.url} answers ${answer.response.status} with nothing`);
  }
  return answer.data;
}

/** All entries of a list, page by page, as they are asked for. */
export async function* pages<T>(
  load: (pageToken: string | undefined) => Promise<{ entries: T[]; next: string | null | undefined }>,
): AsyncGenerator<T> {
  let token: string | undefined;
  do {
    const { entries, next } = await load(token);
    yield* entries;
    token = next ?? undefined;
  } while (token !== undefined);
}
