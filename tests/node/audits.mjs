// The audits of GraphQL over HTTP: node audits.mjs URL COOKIE CSRF prints what each of them found, as JSON.

import { serverAudits } from "graphql-http";

const [url, cookie, csrf] = process.argv.slice(2);

const fetchFn = (address, options) =>
  fetch(address, { ...options, headers: { ...options?.headers, cookie, "x-csrftoken": csrf } });

const results = [];
for (const { fn } of serverAudits({ url, fetchFn })) {
  const { response, ...result } = await fn();
  if (response) result.reason += `: ${response.status} ${response.bodyUsed ? "" : await response.text()}`;
  results.push(result);
}
console.log(JSON.stringify(results));
