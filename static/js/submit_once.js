// A form that was sent is not sent again by a second click while the answer is on its way.

const sent = new WeakSet();

export function guardForms() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (sent.has(form)) {
      event.preventDefault();
      return;
    }
    sent.add(form);
    event.submitter?.setAttribute("aria-busy", "true");
  });
  // A page taken from the back-forward cache starts anew.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of document.forms) sent.delete(form);
    document.querySelectorAll("[aria-busy]").forEach((busy) => busy.removeAttribute("aria-busy"));
  });
}
