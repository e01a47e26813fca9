// The indicator in the top bar: live, reconnecting, stale since a time. It needs no words of its
// own: the template has one text per state, and the state shows one of them.

import { language } from "./words.js";

const clock = new Intl.DateTimeFormat(language, {
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

export function showState(state, since) {
  for (const indicator of document.querySelectorAll("[data-live-indicator]")) {
    if (indicator.dataset.fixed !== undefined) continue;
    indicator.dataset.state = state;
    const time = indicator.querySelector("[data-live-since]");
    if (time && since) {
      time.dateTime = since.toISOString();
      time.textContent = clock.format(since);
    }
  }
  document.body.dataset.live = state;
}
