// Moments in the reader's own time zone: <time data-controller="local-time" data-style="datetime">.

import { language } from "./words.js";

const styles = {
  datetime: { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  date: { year: "numeric", month: "short", day: "numeric" },
  time: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
};

export function connect(element) {
  const at = new Date(element.dateTime);
  if (Number.isNaN(at.getTime())) return;
  const style = styles[element.dataset.style] ?? styles.datetime;
  element.textContent = new Intl.DateTimeFormat(language, style).format(at);
  element.title = new Intl.DateTimeFormat(language, {
    dateStyle: "full",
    timeStyle: "long",
  }).format(at);
}
