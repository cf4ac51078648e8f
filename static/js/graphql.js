// The two doors of the API: HTTP for questions and changes, WebSocket for what is live.

import { createClient } from "../vendor/graphql-ws/graphql-ws.js";

const ENDPOINT = "/graphql/";
const PING = 15_000; // milliseconds
const PROBLEMS = "fragment Problems on OperationInfo { messages { message field code } }";

/** What went wrong, in words for people (`message`), for programs (`code`), and by input field (`fields`). */
export class Failure extends Error {
  /** @param {{message: string, code?: string, field?: string}[]} problems */
  constructor(problems) {
    super(problems.map((problem) => problem.message).join(" "));
    this.code = problems[0]?.code;
    this.fields = problems.map((problem) => problem.field).filter(Boolean);
  }
}

/** The Failure that GraphQL errors mean. */
export function failure(errors) {
  return new Failure(errors.map(({ message, extensions }) => ({ message, code: extensions?.code })));
}

/** Answers the operation's data. `file` goes to the variable `input.image`, by the multipart request specification. */
export async function request(query, variables = {}, { file, keepalive } = {}) {
  const operation = JSON.stringify({ query, variables });
  const headers = { Accept: "application/json", "X-CSRFToken": csrfToken() };
  let body = operation;
  if (file) {
    body = new FormData();
    body.set("operations", operation);
    body.set("map", JSON.stringify({ file: ["variables.input.image"] }));
    body.set("file", file);
  } else {
    headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await (await fetch(ENDPOINT, { method: "POST", headers, body, keepalive })).json();
  } catch {
    throw new Failure([{ message: document.body.dataset.failure }]); // no network, or no answer of ours
  }
  if (answer.errors) throw failure(answer.errors);
  return answer.data;
}

/** Does the mutation whose one field is `result`; a selection of `...Problems` becomes a Failure. */
export async function mutate(query, variables, options) {
  const { result } = await request(`${query} ${PROBLEMS}`, variables, options);
  if (result.messages) throw new Failure(result.messages);
  return result;
}

/**
 * The results of a subscription, for ever: reconnects by itself, each time with `variables` as they are by then.
 * Ends with an exception that has a `code`: of a GraphQL error, or of a close that forbids coming back.
 */
export async function* subscribe(query, variables, { closed }) {
  let unanswered;
  const client = createClient({
    url: location.origin.replace("http", "ws") + ENDPOINT,
    keepAlive: PING,
    retryAttempts: Infinity,
    retryWait: (attempt) => backOff(attempt),
    shouldRetry: ({ code }) => code !== 4403,
    on: {
      closed: () => {
        clearTimeout(unanswered);
        closed();
      },
      // A connection can die without a word (a laptop that slept): no answer to a ping means it did.
      ping: (received) => {
        if (!received) unanswered = setTimeout(() => client.terminate(), PING);
      },
      pong: (received) => {
        if (received) clearTimeout(unanswered);
      },
    },
  });
  try {
    for await (const { data, errors } of client.iterate({ query, variables })) {
      if (errors) throw failure(errors);
      yield data;
    }
  } catch (error) {
    throw Array.isArray(error) ? failure(error) : error;
  }
}

/** Waits: one second, then two, four, … up to thirty, each more or less, so that all clients do not come at once. */
export function backOff(attempt) {
  const seconds = Math.min(30, 2 ** attempt) * (0.5 + Math.random());
  return new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
}

/** What every POST repeats in the header X-CSRFToken. */
export function csrfToken() {
  const name = document.querySelector("meta[name=csrf-cookie]").content;
  const cookie = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return cookie?.slice(name.length + 1) ?? "";
}
