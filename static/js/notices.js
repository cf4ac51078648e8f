// What concerns the whole page: see the hidden `data-notice` elements of base.html.

/** Shows what went wrong. */
export function tell(error) {
  if (error.code === "UNAUTHENTICATED") return show("signed-out");
  return show("problem", error.message);
}

export function show(name, text) {
  const notice = document.querySelector(`[data-notice=${name}]`);
  if (text) notice.textContent = text;
  notice.hidden = false;
  notice.scrollIntoView({ block: "nearest" });
}
