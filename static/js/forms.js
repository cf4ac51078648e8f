// Forms that are mutations. Each tells how that went in its `data-status`.

import { drawOwnAvatar } from "./avatar.js";
import { mutate, request } from "./graphql.js";

const PROFILE = `{
  ... on Profile { displayName avatar { url64: url(size: SMALL) url256: url(size: LARGE) } } ...Problems
}`;
const SET_AVATAR = `mutation SetAvatar($input: SetAvatarInput!) { result: setAvatar(input: $input) ${PROFILE} }`;
const REMOVE_AVATAR = `mutation RemoveAvatar { result: removeAvatar ${PROFILE} }`;
const UPDATE_PROFILE = `mutation UpdateProfile($input: UpdateProfileInput!) {
  result: updateProfile(input: $input) ${PROFILE}
}`;
const PREFERENCES = "query Preferences { notificationPreferences { kind label channel enabled locked } }";
const SET_PREFERENCE = `mutation SetPreference($input: NotificationPreferenceInput!) {
  result: setNotificationPreference(input: $input) { ... on NotificationPreference { enabled } ...Problems }
}`;

/** `data-part="avatar-form"`: choosing a picture uploads it. */
export function avatarForm(form) {
  const remove = form.querySelector("[data-remove]");
  const change = (done, mutation, variables, options) =>
    attempt(form, done, async () => {
      const profile = await mutate(mutation, variables, options);
      drawOwnAvatar(profile);
      remove.hidden = !profile.avatar;
    });

  const { image } = form.elements;
  const upload = async () => {
    const [file] = image.files;
    if (file) await change(form.dataset.done, SET_AVATAR, { input: { image: null } }, { file });
    image.value = ""; // so that the same file can be chosen again
  };
  image.addEventListener("change", upload);
  upload(); // somebody may have been quicker than this script
  remove.addEventListener("click", () => change(form.dataset.removed, REMOVE_AVATAR));
}

/** `data-part="profile-form"` */
export function profileForm(form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const input = Object.fromEntries(new FormData(form));
    attempt(form, form.dataset.done, async () => drawOwnAvatar(await mutate(UPDATE_PROFILE, { input })));
  });
  form.querySelector("button").disabled = false; // from here on it does not leave the page
}

/** `data-part="preferences"`: a row for each kind, a box for each channel that it can take. */
export function preferences(form) {
  const rows = new Map();
  const columns = form.querySelectorAll("thead [data-channel]");

  const show = ({ kind, label, channel, enabled, locked }) => {
    if (!rows.has(kind)) {
      const row = form.querySelector("tbody").insertRow();
      const header = document.createElement("th");
      header.scope = "row";
      header.textContent = label;
      row.append(header);
      for (const column of columns) row.insertCell().dataset.channel = column.dataset.channel;
      rows.set(kind, row);
    }
    const box = document.createElement("input");
    const column = [...columns].find((column) => column.dataset.channel === channel);
    box.type = "checkbox";
    box.checked = enabled;
    box.disabled = locked;
    box.ariaLabel = `${label}: ${column.textContent}`;
    box.addEventListener("change", () =>
      attempt(form, form.dataset.done, async () => {
        const input = { kind, channel, enabled: box.checked };
        try {
          await mutate(SET_PREFERENCE, { input });
        } catch (error) {
          box.checked = !input.enabled;
          throw error;
        }
      }),
    );
    rows.get(kind).querySelector(`[data-channel=${channel}]`).append(box);
  };

  attempt(form, "", async () => (await request(PREFERENCES)).notificationPreferences.forEach(show));
}

/** Does `action`, and says so before, after, and when it fails. */
async function attempt(form, done, action) {
  const status = form.querySelector("[data-status]");
  const say = (text, failed) => {
    status.textContent = text;
    status.classList.toggle("error", failed);
  };
  for (const field of form.elements) field.removeAttribute("aria-invalid");
  form.ariaBusy = "true";
  say(form.dataset.busy, false);
  try {
    await action();
    say(done, false);
  } catch (error) {
    say(error.message, true);
    for (const name of error.fields ?? []) form.elements[name]?.setAttribute("aria-invalid", "true");
  } finally {
    form.ariaBusy = "false";
  }
}
