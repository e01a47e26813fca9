// The launch form shows what the choice costs and would use, and which editors the image has.
// Without this script the server says the same after the form was sent.

// What `adds` (a number, and as text) would use on top of what is used.
function showLimit(meter, adds, text) {
  meter.querySelector("[data-meter-plus]").textContent = text ? `+ ${text}` : "";
  if (!meter.dataset.limit) return;
  const limit = Number(meter.dataset.limit);
  const used = Number(meter.dataset.used);
  const share = Math.min((used / limit) * 100, 100) || 0;
  const added = Math.min((adds / limit) * 100, 100 - share) || 0;
  const bar = meter.querySelector(".meter-adds");
  bar.setAttribute("x", share);
  bar.setAttribute("width", added);
  const state = used + adds > limit ? "over" : used >= limit ? "full" : share >= 80 ? "near" : "ok";
  meter.dataset.state = state;
  for (const word of meter.querySelectorAll("[data-meter-word]")) {
    word.hidden = word.dataset.meterWord !== state;
  }
}

export function connect(form) {
  const chosen = (name) => form.querySelector(`input[name="${name}"]:checked`);

  function showSize() {
    const size = chosen("size");
    const price = form.querySelector("[data-price]:not(input)");
    price.hidden = !size;
    if (size) form.querySelector("[data-price-value]").textContent = size.dataset.price;
    for (const meter of form.querySelectorAll("[data-meter]")) {
      const resource = meter.dataset.meter;
      const adds = Number(size?.getAttribute(`data-${resource}`) ?? 0);
      showLimit(meter, adds, size?.getAttribute(`data-say-${resource}`));
    }
  }

  function showEditors() {
    const offered = chosen("image")?.dataset.ides.split(" ");
    let first = null;
    for (const input of form.querySelectorAll('input[name="ide"]')) {
      const has = !offered || offered.includes(input.value);
      input.disabled = !has;
      input.closest(".choice").querySelector("[data-not-in-image]").hidden = has;
      if (has) first ??= input;
    }
    const editor = chosen("ide");
    if ((!editor || editor.disabled) && first) first.checked = true;
  }

  function show() {
    showEditors();
    showSize();
  }

  form.addEventListener("change", show);
  show();
}
