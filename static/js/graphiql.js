// GraphiQL on the two doors of the API. What the page loads before this, React and GraphiQL, are globals.

import { createClient } from "../vendor/graphql-ws/graphql-ws.js";
import { csrfToken } from "./graphql.js";

const { GraphiQL, React, ReactDOM } = globalThis;
const { getOperationAST, parse } = GraphiQL.GraphQL;
const ENDPOINT = location.pathname;
const NO_ANSWER = "The server does not answer. Is it running?";

const ME = `# You, by the cookie of your session. Nobody yet? Sign in:
# /accounts/login/?next=${ENDPOINT}
query Me {
  me {
    email
    profile {
      displayName
    }
  }
}
`;
const LIVE = `# Runs until you stop it. Send yourself something:
# manage.py notify ADDRESS --title Hello
subscription Live {
  inboxChanged {
    sequence
    unreadCount
    notifications {
      title
      body
    }
  }
}
`;

// A lost connection is shown, not mended: whoever tries out the API wants to see it.
const client = createClient({ url: location.origin.replace("http", "ws") + ENDPOINT, retryAttempts: 0 });

/** What GraphiQL runs an operation with. It takes a promise of the answer, or an observable of answers. */
function fetcher(operation, { headers } = {}) {
  return isSubscription(operation) ? live(operation) : post(operation, headers);
}

function isSubscription({ query, operationName }) {
  try {
    return getOperationAST(parse(query), operationName)?.operation === "subscription";
  } catch {
    return false; // what can't be read: the server will say why
  }
}

function live(operation) {
  return {
    subscribe: (observer) => ({
      unsubscribe: client.subscribe(operation, { ...observer, error: (error) => observer.error(readable(error)) }),
    }),
  };
}

/** GraphQL's errors as they are; a CloseEvent, and whatever else ends a connection, in words. */
function readable(error) {
  if (Array.isArray(error)) return error;
  const { code, reason, message = NO_ANSWER } = error;
  if (code === 4403) return { message: "The connection was closed: you are not signed in." };
  return { message: code ? `The connection was closed: ${code} ${reason}`.trim() : message };
}

async function post(operation, headers) {
  const json = { Accept: "application/json", "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(ENDPOINT, {
      method: "POST",
      headers: { ...json, ...headers, "X-CSRFToken": csrfToken() },
      body: JSON.stringify(operation),
    });
  } catch {
    return { errors: [{ message: NO_ANSWER }] };
  }
  try {
    return await answer.json();
  } catch {
    const message = `The server answered ${answer.status} ${answer.statusText}, and not in JSON: see its log.`;
    return { errors: [{ message }] };
  }
}

const root = document.getElementById("graphiql");
globalThis.__webpack_nonce__ = root.nonce; // where GraphiQL's menus look for what their <style> needs
ReactDOM.createRoot(root).render(
  React.createElement(GraphiQL, { fetcher, defaultTabs: [{ query: ME }, { query: LIVE }], defaultQuery: ME }),
);
