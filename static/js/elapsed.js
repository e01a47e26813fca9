// Times that count: <time data-controller="elapsed" datetime="...">. One clock for all of them,
// corrected by what the server said the time was when it sent the page.

import { durationText } from "./words.js";

const ticking = new Set();
let timer = 0;

const [navigation] = performance.getEntriesByType("navigation");
const sentAt = performance.timeOrigin + (navigation?.responseStart ?? 0);
const serverNow = Number(document.body.dataset.now) * 1000;
// The server's word has whole seconds, so only a difference beyond two is a wrong clock.
const off = serverNow ? sentAt - serverNow : 0;
const skew = Math.abs(off) > 2000 ? off : 0;

function show(element) {
  const since = Date.parse(element.dateTime);
  if (Number.isNaN(since)) return;
  element.textContent = durationText((Date.now() - skew - since) / 1000);
}

export function connect(element) {
  ticking.add(element);
  show(element);
  timer ||= setInterval(() => ticking.forEach(show), 1000);
  return () => {
    ticking.delete(element);
    if (ticking.size === 0) {
      clearInterval(timer);
      timer = 0;
    }
  };
}
