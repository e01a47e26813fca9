// A button that copies a text. Where the clipboard is closed to us, the text is selected instead.

import { word } from "./words.js";

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

export function connect(element) {
  const text = element.querySelector("[data-copy-text]");
  const button = element.querySelector("[data-copy-button]");
  const label = element.querySelector("[data-copy-word]");
  const usual = label.textContent;
  const spoken = button.getAttribute("aria-label");
  let timer = 0;

  function say(told) {
    label.textContent = told;
    button.setAttribute("aria-label", told);
    clearTimeout(timer);
    timer = setTimeout(() => {
      label.textContent = usual;
      button.setAttribute("aria-label", spoken);
    }, 2500);
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(text.textContent);
      say(word("wordCopied"));
    } catch {
      select(text);
      say(word("wordCopyFailed"));
    }
  }

  button.hidden = false;
  button.addEventListener("click", copy);
  return () => clearTimeout(timer);
}
