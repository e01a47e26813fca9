// One websocket for the page. Elements with data-topic and data-version are kept current: the
// server sends {topic, version, html}; what is older than what is shown is dropped.
// A quiet connection is asked every 10 s, by subscribing again with what we have: the answer is a
// sign of life, and brings whatever was lost on the way.

import { showState } from "./live_state.js";
import { swap, whenNotPressed } from "./swap.js";

const ASK_AFTER_MS = 10_000;
const STALE_AFTER_MS = 20_000;
const CHECK_EVERY_MS = 1_000;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
const FIRST_WORD_MS = 2_000;
const SIGNED_OUT = 4401;
const WRONG_ORIGIN = 4403;

// How long to wait before try number `tries` (from 0): doubling, half of it by chance.
export function delayMs(tries, chance = Math.random()) {
  const most = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (tries + 1));
  return Math.max(FIRST_DELAY_MS, most / 2 + (most / 2) * chance);
}

class LivePage {
  constructor(body) {
    this.address = new URL(body.dataset.liveUrl, location.href);
    this.address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.signinUrl = body.dataset.signinUrl;
    this.refused = new Set();
    this.tries = 0;
    this.contact = Date.now();
    this.asked = 0;
    this.socket = null;
    this.retry = 0;
    this.over = false;
    this.born = Date.now();
  }

  elements() {
    return [...document.querySelectorAll("[data-topic]")].filter(
      (element) => !this.refused.has(element.dataset.topic),
    );
  }

  open() {
    clearTimeout(this.retry);
    this.retry = 0;
    if (this.over || this.socket || this.elements().length === 0) return;
    const socket = new WebSocket(this.address);
    this.socket = socket;
    this.openedAt = Date.now();
    socket.addEventListener("open", () => this.ask());
    socket.addEventListener("message", (event) => this.receive(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => this.closed(socket, event.code));
  }

  ask() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const have = {};
    for (const { dataset } of this.elements()) have[dataset.topic] = Number(dataset.version);
    this.asked = Date.now();
    this.socket.send(JSON.stringify({ subscribe: Object.keys(have), have, as: "html" }));
  }

  receive(message) {
    this.contact = Date.now();
    this.tries = 0;
    if (message.error) this.refuse(message.topic);
    if (message.html !== undefined) this.update(message);
    this.show();
  }

  refuse(topic) {
    this.refused.add(topic);
    if (this.elements().length === 0) this.end();
  }

  update({ topic, version, html }) {
    for (const element of document.querySelectorAll(`[data-topic="${CSS.escape(topic)}"]`)) {
      whenNotPressed(element, () => {
        if (version <= Number(element.dataset.version)) return;
        element.dataset.version = version;
        swap(element, html);
        this.announce(element);
      });
    }
  }

  announce(element) {
    const told = element.querySelector("[data-announce]")?.dataset.announce;
    const line = document.querySelector("[data-live-announce]");
    if (told && line && line.textContent !== told) line.textContent = told;
  }

  closed(socket, code) {
    if (socket !== this.socket) return;
    this.socket = null;
    if (code === SIGNED_OUT) {
      const next = encodeURIComponent(location.pathname + location.search);
      location.assign(`${this.signinUrl}?next=${next}`);
    } else if (code === WRONG_ORIGIN) {
      this.end();
    } else {
      this.later();
    }
    this.show();
  }

  // A hidden page waits until somebody looks.
  later() {
    if (this.over || this.retry || document.hidden) return;
    this.retry = setTimeout(() => this.open(), delayMs(this.tries));
    this.tries += 1;
  }

  drop() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  check() {
    const now = Date.now();
    const quiet = now - Math.max(this.contact, this.openedAt ?? 0);
    if (this.socket && quiet > STALE_AFTER_MS) {
      this.drop();
      this.later();
    } else if (quiet > ASK_AFTER_MS && now - this.asked > ASK_AFTER_MS) {
      this.ask();
    }
    this.show();
  }

  look() {
    if (document.hidden || this.over) return;
    if (this.socket) this.ask();
    else this.open();
  }

  end() {
    this.over = true;
    this.drop();
  }

  show() {
    const quiet = Date.now() - this.contact;
    const isOpen = this.socket?.readyState === WebSocket.OPEN;
    // The first connection is not worth a word unless it takes long.
    const isNew = document.body.dataset.live === undefined && Date.now() - this.born < FIRST_WORD_MS;
    if (isNew && !isOpen && !this.over) return;
    if (this.over || quiet >= STALE_AFTER_MS) showState("stale", new Date(this.contact));
    else showState(isOpen ? "live" : "reconnecting");
  }
}

export function connect(body) {
  if (!body.dataset.liveUrl || !document.querySelector("[data-topic]")) return;
  const page = new LivePage(body);
  page.open();
  setInterval(() => page.check(), CHECK_EVERY_MS);
  document.addEventListener("visibilitychange", () => page.look());
  addEventListener("online", () => page.look());
  addEventListener("pagehide", () => page.drop());
  addEventListener("pageshow", (event) => event.persisted && page.look());
}
