// Lists of notifications: the latest ones, and the inbox page with its states and pages.

import { drawAvatar, tint } from "./avatar.js";
import { inbox } from "./inbox.js";
import { tell } from "./notices.js";

const PAGE = 20;
const template = document.getElementById("notification");

/** `data-part="latest"`: the newest `data-limit` of the inbox. */
export function latest(element) {
  const draw = list(element);
  const limit = Number(element.dataset.limit);
  inbox.addEventListener("change", () => draw(inbox.feed("CURRENT"), limit));
}

/** `data-part="inbox"`: all of it. */
export function inboxPage(element) {
  const draw = list(element);
  const more = element.querySelector("[data-more]");
  let state = element.querySelector("[name=state]:checked").value;
  let limit = PAGE;

  const update = () => {
    const feed = inbox.feed(state);
    draw(feed, limit);
    more.hidden = feed.items.length < limit + (feed.hasMore ? 0 : 1);
  };
  element.querySelector(".segments").addEventListener("change", (event) => {
    state = event.target.value;
    limit = PAGE;
    update();
  });
  more.addEventListener("click", () => {
    limit += PAGE;
    update();
  });
  element.querySelector("[data-mark-all]").addEventListener("click", () => inbox.markAllRead().catch(tell));
  inbox.addEventListener("change", update);
  const enable = () => element.querySelectorAll(":disabled").forEach((control) => (control.disabled = false));
  inbox.addEventListener("change", enable, { once: true }); // until the inbox is here nobody knows what "all" is
}

/** A function that shows the first `limit` of a feed in `element`, and fetches what is missing of them. */
function list(element) {
  const ul = element.querySelector("ul");
  const empty = element.querySelector("[data-empty]");
  const shown = new Map();

  return (feed, limit) => {
    const items = feed.items.slice(0, limit);
    const ids = new Set(items.map((item) => item.id));
    for (const [id, li] of shown) {
      if (!ids.has(id)) {
        remove(li);
        shown.delete(id);
      }
    }
    items.forEach((item, index) => {
      if (!shown.has(item.id)) shown.set(item.id, create(item));
      const li = shown.get(item.id);
      show(li, item);
      if (ul.children[index] !== li) ul.insertBefore(li, ul.children[index]);
    });
    empty.hidden = items.length > 0;
    if (!feed.hasMore) empty.textContent = empty.dataset.text;
    if (items.length < limit && feed.hasMore) feed.more().catch(tell);
  };
}

/** What never changes of a notification. */
function create(item) {
  const li = template.content.firstElementChild.cloneNode(true);
  const find = (selector) => li.querySelector(selector);

  find(item.url ? "button[data-open]" : "a[data-open]").remove();
  const open = find("[data-open]");
  open.textContent = item.title;
  if (item.url) open.href = item.url;
  find("[data-body]").textContent = item.body;

  const time = find("time");
  time.dateTime = item.createdAt;
  time.title = new Date(item.createdAt).toLocaleString(document.documentElement.lang);

  // `keepalive`: the request goes on when the click leaves the page.
  open.addEventListener("click", () => {
    if (li.classList.contains("unread")) inbox.markRead([item.id], { keepalive: true }).catch(tell);
  });
  find("[data-toggle]").addEventListener("click", () => {
    const change = li.classList.contains("unread") ? inbox.markRead([item.id]) : inbox.markUnread([item.id]);
    change.catch(tell);
  });
  find("[data-archive]").addEventListener("click", () => inbox.archive([item.id]).catch(tell));
  return li;
}

/** What does change. */
function show(li, item) {
  const unread = !item.readAt;
  const toggle = li.querySelector("[data-toggle]");
  li.classList.toggle("unread", unread);
  li.querySelector("[data-unread]").hidden = !unread;
  toggle.textContent = unread ? toggle.dataset.whenUnread : toggle.dataset.whenRead;
  li.querySelector("[data-archive]").hidden = Boolean(item.archivedAt);
  if (item.actor) showActor(li.querySelector("[data-actor]"), item.actor);
  showAge(li.querySelector("time"));
}

function showActor(element, actor) {
  const shown = JSON.stringify(actor);
  if (element.dataset.shown === shown) return;
  element.dataset.shown = shown;
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", actor.displayName);
  tint(element, actor.id);
  drawAvatar(element, actor, actor.avatar?.url);
}

/** Whoever works by keyboard goes on at the next one. */
function remove(li) {
  const next = li.nextElementSibling ?? li.previousElementSibling;
  if (li.contains(document.activeElement)) next?.querySelector("[data-open]").focus();
  li.remove();
}

const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto", style: "short" });

function showAge(time) {
  const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
  const [unit, length] = UNITS.find(([, length]) => -seconds >= length) ?? ["second", Infinity];
  time.textContent = relative.format(Math.ceil(seconds / length), unit);
}

setInterval(() => document.querySelectorAll(".notification time").forEach(showAge), 60_000);
