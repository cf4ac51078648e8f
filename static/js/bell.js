// The bell: how many are unread, and that one came.

import { inbox } from "./inbox.js";

/** `data-part="bell"` */
export function bell(button) {
  const badge = button.querySelector(".badge");
  const announcer = document.querySelector("[data-announcer]");

  inbox.addEventListener("change", () => {
    const count = inbox.unreadCount;
    button.dataset.unreadCount = count;
    button.ariaLabel = button.dataset.label.replace("{count}", count);
    badge.textContent = count > 99 ? "99+" : count;
    badge.hidden = count === 0;
  });

  inbox.addEventListener("arrival", ({ detail }) => {
    announcer.textContent = button.dataset.arrival.replace("{title}", detail.title);
    button.classList.add("ringing");
  });
  button.addEventListener("animationend", () => button.classList.remove("ringing"));
}
