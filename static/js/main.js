// What each part of a page does is named in its `data-part`; nothing else in the HTML calls a script.

import { bell } from "./bell.js";
import { avatarForm, preferences, profileForm } from "./forms.js";
import { inbox } from "./inbox.js";
import { show } from "./notices.js";
import { inboxPage, latest } from "./notifications.js";

const PARTS = {
  "avatar-form": avatarForm,
  bell,
  inbox: inboxPage,
  latest,
  preferences,
  "profile-form": profileForm,
};

for (const element of document.querySelectorAll("[data-part]")) PARTS[element.dataset.part](element);

inbox.addEventListener("signed-out", () => show("signed-out"));
inbox.follow();
