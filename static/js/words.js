// What scripts say. The words are attributes of <body>, translated by the server.

export function word(name, n) {
  const text = document.body.dataset[name] ?? "";
  return n === undefined ? text : text.replace("{n}", n);
}

export const language = document.documentElement.lang || "en";

// Seconds as the server writes them (`ui.duration`): the first two units that are not nothing.
export function durationText(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [
    ["wordD", Math.floor(whole / 86400)],
    ["wordH", Math.floor(whole / 3600) % 24],
    ["wordMin", Math.floor(whole / 60) % 60],
    ["wordS", whole % 60],
  ];
  const first = parts.findIndex(([, n]) => n > 0);
  if (first < 0) return word("wordS", 0);
  return parts
    .slice(first, first + 2)
    .filter(([, n]) => n > 0)
    .map(([unit, n]) => word(unit, n))
    .join(" ");
}
