// The signed-in user's inbox: one copy a page, kept equal to the server's for as long as the page is open.

import { backOff, mutate, request, subscribe } from "./graphql.js";

/**
 * @typedef {object} Notification
 * @property {string} id
 * @property {number} sequence  grows with each change of the notification
 * @property {string} title
 * @property {string} body
 * @property {?string} url
 * @property {?{id: string, displayName: string, avatar: ?{url: string}}} actor
 * @property {string} createdAt
 * @property {?string} readAt
 * @property {?string} archivedAt
 */

const ITEM = `fragment Item on Notification {
  id sequence title body url createdAt readAt archivedAt actor { id displayName avatar { url(size: SMALL) } }
}`;
const PAGE = `query Page($after: String, $state: NotificationState!) {
  notifications(first: 20, after: $after, state: $state) {
    sequence edges { node { ...Item } } pageInfo { hasNextPage endCursor }
  }
  unreadCount
} ${ITEM}`;
const CHANGES = `subscription Changes($after: Int) {
  inboxChanged(after: $after) { sequence unreadCount notifications { ...Item } }
} ${ITEM}`;
const update = (operation, field) => `mutation ${operation} {
  result: ${field} { ... on InboxUpdate { unreadCount notifications { ...Item } } ...Problems }
} ${ITEM}`;
const MARK_READ = update("MarkRead($ids: [ID!]!)", "markNotificationsRead(ids: $ids)");
const MARK_UNREAD = update("MarkUnread($ids: [ID!]!)", "markNotificationsUnread(ids: $ids)");
const ARCHIVE = update("Archive($ids: [ID!]!)", "archiveNotifications(ids: $ids)");
const MARK_ALL_READ = update("MarkAllRead($upTo: Int!)", "markAllNotificationsRead(upTo: $upTo)");

const STATES = {
  CURRENT: (item) => !item.archivedAt,
  UNREAD: (item) => !item.archivedAt && !item.readAt,
  ARCHIVED: (item) => item.archivedAt,
};

/** The notifications in one of STATES, newest first: as many pages of them as were asked for. */
class Feed {
  #state;
  #after = null;
  #oldest = "";
  #loading = null;
  hasMore = true;

  constructor(state) {
    this.#state = state;
  }

  get items() {
    // What an update brought from further down waits until the page that it belongs to is here.
    return inbox.items.filter((item) => STATES[this.#state](item) && (!this.hasMore || item.createdAt >= this.#oldest));
  }

  /** Shows one more page; calls that overlap share one. */
  more() {
    this.#loading ??= this.next()
      .finally(() => (this.#loading = null))
      .then(({ notifications }) => inbox.upsert(notifications.edges.map((edge) => edge.node)));
    return this.#loading;
  }

  /** The answer that has the next page. */
  async next() {
    const answer = await request(PAGE, { after: this.#after, state: this.#state });
    const { edges, pageInfo } = answer.notifications;
    this.hasMore = pageInfo.hasNextPage;
    this.#after = pageInfo.endCursor;
    this.#oldest = edges.at(-1)?.node.createdAt ?? this.#oldest;
    return answer;
  }
}

/** Tells of every "change", and of an "arrival" (its `detail`: the notification). */
class Inbox extends EventTarget {
  #items = new Map();
  #actors = new Map(); // as they were last heard of: whoever has a new picture has it everywhere
  #feeds = {};
  #live = false;
  #sequence = null;
  unreadCount = null;

  /** @returns {Notification[]} all that are known, newest first */
  get items() {
    return [...this.#items.values()].sort((a, b) => (a.createdAt < b.createdAt) - (a.createdAt > b.createdAt));
  }

  feed(state) {
    return (this.#feeds[state] ??= new Feed(state));
  }

  /** What is older than what is known is ignored, so answers may come in any order. */
  upsert(notifications) {
    for (const item of notifications) {
      if (item.actor) this.#actors.set(item.actor.id, item.actor);
      if (!(this.#items.get(item.id)?.sequence > item.sequence)) this.#items.set(item.id, item);
    }
    for (const item of this.#items.values()) {
      if (item.actor) item.actor = this.#actors.get(item.actor.id);
    }
    this.dispatchEvent(new Event("change"));
  }

  /** Loads the inbox and follows it until the user is signed out, which ends with the event "signed-out". */
  async follow() {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#load();
        for await (const { inboxChanged } of this.#changes()) {
          attempt = 0;
          this.#receive(inboxChanged);
        }
      } catch (error) {
        if (["UNAUTHENTICATED", 4403].includes(error.code)) break;
        // Anything else passes; after `CURSOR_EXPIRED` this begins anew, as it should.
      }
      await backOff(attempt);
    }
    this.dispatchEvent(new Event("signed-out"));
  }

  async #load() {
    const feed = new Feed("CURRENT");
    const { notifications, unreadCount } = await feed.next();
    this.#items.clear();
    this.#feeds = { CURRENT: feed };
    this.#sequence = notifications.sequence;
    this.unreadCount = unreadCount;
    this.upsert(notifications.edges.map((edge) => edge.node));
  }

  #changes() {
    const sequence = () => this.#sequence;
    const variables = {
      get after() {
        return sequence(); // read again at every reconnection
      },
    };
    return subscribe(CHANGES, variables, { closed: () => (this.#live = false) });
  }

  #receive({ sequence, unreadCount, notifications }) {
    const newest = this.items[0]?.createdAt ?? "";
    const arrived = notifications.filter((item) => !item.readAt && item.createdAt > newest);
    this.#live = true;
    this.#sequence = sequence;
    this.unreadCount = unreadCount;
    this.upsert(notifications);
    for (const detail of arrived) this.dispatchEvent(new CustomEvent("arrival", { detail }));
  }

  markRead(ids, options) {
    return this.#change(MARK_READ, { ids }, options);
  }

  markUnread(ids) {
    return this.#change(MARK_UNREAD, { ids });
  }

  archive(ids) {
    return this.#change(ARCHIVE, { ids });
  }

  /** All that this page knows of, and nothing that came since. */
  markAllRead() {
    return this.#change(MARK_ALL_READ, { upTo: this.#sequence });
  }

  async #change(mutation, variables, options) {
    const { notifications, unreadCount } = await mutate(mutation, variables, options);
    // Counts have no order of their own: the subscription's come in order, so they win while there is one.
    if (!this.#live) this.unreadCount = unreadCount;
    this.upsert(notifications);
  }
}

export const inbox = new Inbox();
