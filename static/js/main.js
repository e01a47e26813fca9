// Binds behaviour to elements: data-controller="name other". Each controller is a module that
// exports connect(element) and may return a function that lets go of it.

import * as copy from "./copy.js";
import * as elapsed from "./elapsed.js";
import * as launchForm from "./launch_form.js";
import * as live from "./live.js";
import * as localTime from "./local_time.js";
import * as menu from "./menu.js";
import { guardForms } from "./submit_once.js";

const controllers = {
  copy,
  elapsed,
  "launch-form": launchForm,
  live,
  "local-time": localTime,
  menu,
};

const bound = new Map();

function bind(element) {
  if (bound.has(element)) return;
  const releases = [];
  for (const name of element.dataset.controller.split(/\s+/)) {
    const release = controllers[name]?.connect(element);
    if (release) releases.push(release);
  }
  bound.set(element, releases);
}

function release(element) {
  for (const letGo of bound.get(element) ?? []) letGo();
  bound.delete(element);
}

function within(node) {
  if (!(node instanceof Element)) return [];
  const inside = [...node.querySelectorAll("[data-controller]")];
  return node.matches("[data-controller]") ? [node, ...inside] : inside;
}

new MutationObserver((changes) => {
  for (const change of changes) {
    for (const node of change.removedNodes) within(node).forEach(release);
    for (const node of change.addedNodes) within(node).forEach(bind);
  }
}).observe(document.documentElement, { childList: true, subtree: true });

within(document.documentElement).forEach(bind);
guardForms();
