// graphql-ws in a process: node client.mjs URL ORIGIN COOKIE [OPTIONS] does what the lines of its input say, and
// prints what it hears, both as JSON. Ends with its input.

import { createInterface } from "node:readline";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, origin, cookie, options = "{}"] = process.argv.slice(2);

// A browser sends these by itself.
class Browser extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, { origin, headers: cookie ? { cookie } : {} });
  }
}

const tell = (from, what, value) => console.log(JSON.stringify({ from, what, value }));
// A list is GraphQL's own; of the end of a connection it is the code that tells.
const readable = (error) => (Array.isArray(error) ? error : (error.code ?? error.message));

let id;
const client = createClient({
  url,
  webSocketImpl: Browser,
  generateID: () => id,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
  shouldRetry: () => true, // a server that is away refuses, which is no close event
  ...JSON.parse(options),
  on: {
    connected: (socket, payload, again) => tell("client", "connected", again),
    closed: (event) => tell("client", "closed", readable(event)),
    pong: (received) => received && tell("keep-alive", "pong", null),
    message: (message) => message.id && tell("wire", message.type, message.id),
  },
});

/** An operation whose variable `after` is, at each connection, the highest sequence that it was told of. */
function following(query) {
  let last = null;
  const variables = {
    get after() {
      return last;
    },
  };
  return [{ query, variables }, (result) => (last = result.data?.inboxChanged?.sequence ?? last)];
}

const running = new Map();

const orders = {
  subscribe({ name, ...payload }) {
    const stop = client.subscribe(payload, {
      next: (result) => tell(name, "next", result),
      error: (error) => tell(name, "error", readable(error)),
      complete: () => tell(name, "complete", null),
    });
    running.set(name, stop);
  },
  async iterate({ name, query }) {
    const [payload, remember] = following(query);
    const results = client.iterate(payload);
    running.set(name, () => results.return());
    try {
      for await (const result of results) {
        remember(result);
        tell(name, "next", result);
      }
      tell(name, "complete", null);
    } catch (error) {
      tell(name, "error", readable(error));
    }
  },
  stop({ name }) {
    running.get(name)();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { order, ...details } = JSON.parse(line);
  id = details.name;
  orders[order](details);
}
process.exit();
