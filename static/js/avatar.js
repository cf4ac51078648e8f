// How a person is drawn: by their picture, or by initials on a colour of their own.

/**
 * @param {HTMLElement} element
 * @param {{displayName: string}} profile
 * @param {?string} url  of the picture
 */
export function drawAvatar(element, profile, url) {
  if (url) {
    const image = document.createElement("img");
    image.src = url;
    image.alt = "";
    element.replaceChildren(image);
  } else {
    element.textContent = initials(profile.displayName);
  }
}

/** A colour that is the same wherever this person appears. Oneself has the site's. */
export function tint(element, id) {
  const number = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 0);
  element.style.setProperty("--hue", (number * 137) % 360); // neighbours far apart: 137° is the golden angle
}

/** Draws the signed-in user anew, everywhere on the page. `profile.avatar` has an address for each size: `url64`, … */
export function drawOwnAvatar(profile) {
  for (const element of document.querySelectorAll("[data-own-avatar]")) {
    drawAvatar(element, profile, profile.avatar?.[`url${element.dataset.ownAvatar}`]);
  }
}

function initials(name) { // as Profile.initials does on the server
  const words = name.split(/\s+/).filter(Boolean);
  return [...words.slice(0, 1), ...words.slice(1).slice(-1)].map((word) => [...word][0]).join("").toUpperCase();
}
