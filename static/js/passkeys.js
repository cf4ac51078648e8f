// Forms that a passkey answers: `data-passkey="create"` or `"get"`. The browser asks the person, and what it gives back
// goes into the field `credential`. What it is asked for comes with the page (`#js_data`), or with `data-fetch` from
// where the form is sent: fresh, for a page that may stay open for long.

const { credentials } = navigator;
const CEREMONIES = {
  create: {
    key: "creation_options",
    ask: (json) => credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(json) }),
  },
  get: {
    key: "request_options",
    ask: (json) => credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(json) }),
  },
};
// Made to sign in with alone: kept by the device together with the account's name, and guarded by a PIN or a finger.
const ALONE = { residentKey: "required", requireResidentKey: true, userVerification: "required" };

for (const form of document.querySelectorAll("form[data-passkey]")) passkeyForm(form);

function passkeyForm(form) {
  const button = form.querySelector("button");
  const say = (text) => {
    const status = form.querySelector("[data-status]");
    status.textContent = text;
    status.classList.add("error");
  };
  if (!window.PublicKeyCredential?.parseCreationOptionsFromJSON) return say(form.dataset.unsupported);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    say("");
    button.disabled = true;
    try {
      const { key, ask } = CEREMONIES[form.dataset.passkey];
      const { publicKey } = (await dataOf(form))[key];
      if (publicKey.authenticatorSelection) Object.assign(publicKey.authenticatorSelection, ALONE);
      form.elements.credential.value = JSON.stringify(await ask(publicKey));
      form.submit();
    } catch (error) {
      say(error.name === "InvalidStateError" ? form.dataset.known : form.dataset.failed);
    } finally {
      button.disabled = false;
    }
  });
  button.disabled = false;
}

async function dataOf(form) {
  if (!("fetch" in form.dataset)) return JSON.parse(document.querySelector("#js_data").textContent);
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(answer.statusText);
  return answer.json();
}
