// A <details> that behaves as a menu: Escape and a click elsewhere close it.

export function connect(element) {
  function outside(event) {
    if (!element.contains(event.target)) element.open = false;
  }

  function escape(event) {
    if (event.key !== "Escape" || !element.open) return;
    element.open = false;
    element.querySelector("summary").focus();
  }

  document.addEventListener("click", outside);
  document.addEventListener("keydown", escape);
  return () => {
    document.removeEventListener("click", outside);
    document.removeEventListener("keydown", escape);
  };
}
