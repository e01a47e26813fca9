// Puts new HTML into an element without taking from the reader what they were doing: open folds,
// typed text, focus, scrolled boxes. Elements are recognised by id.

function kept(root) {
  const active = root.contains(document.activeElement) ? document.activeElement : null;
  return {
    focus: active,
    focusId: active?.id ?? "",
    selection: active && "selectionStart" in active ? [active.selectionStart, active.selectionEnd] : null,
    open: [...root.querySelectorAll("details[id]")].map((fold) => [fold.id, fold.open]),
    typed: [...root.querySelectorAll("input[id], textarea[id]")]
      .filter((field) => field.value !== field.defaultValue)
      .map((field) => [field.id, field.value]),
    scrolled: [...root.querySelectorAll("[id]")]
      .filter((box) => box.scrollTop || box.scrollLeft)
      .map((box) => [box.id, box.scrollTop, box.scrollLeft]),
  };
}

function restore(root, was) {
  const find = (id) => (id ? root.querySelector(`#${CSS.escape(id)}`) : null);
  for (const [id, open] of was.open) {
    const fold = find(id);
    if (fold) fold.open = open;
  }
  for (const [id, value] of was.typed) {
    const field = find(id);
    if (field) field.value = value;
  }
  for (const [id, top, left] of was.scrolled) find(id)?.scrollTo(left, top);
  if (!was.focus) return;
  const target = find(was.focusId) ?? root;
  target.focus({ preventScroll: true });
  if (was.selection && target !== root) target.setSelectionRange(...was.selection);
}

// Replaces the content of `root`. Where the focused element is gone, `root` gets the focus.
export function swap(root, html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  const was = kept(root);
  root.replaceChildren(fresh.content);
  restore(root, was);
}

// Calls `act` now, or when the pointer that is down on `root` is up: a click must not lose its
// button between press and release.
export function whenNotPressed(root, act) {
  if (!root.matches(":active")) {
    act();
    return;
  }
  const later = () => setTimeout(act, 0);
  addEventListener("pointerup", later, { once: true });
}
