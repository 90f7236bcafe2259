// The face of an explorer: native controls, labelled, in one form. What they mean and what is shown comes from explorer.py.

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function choice(name, options, chosen) {
  const select = make("select", { name });
  for (const option of options) {
    const item = make("option", { value: option, text: option });
    item.selected = option === chosen;
    select.append(item);
  }
  return select;
}

// Options that lie upon each other, each a button of one group; read and set by its value, like a choice.
function pile(name, options, chosen) {
  const group = `lab-${crypto.getRandomValues(new Uint32Array(1))[0].toString(16)}`;
  const buttons = options.map((option) => {
    const button = make("input", { type: "radio", name: group, value: option });
    button.checked = option === chosen;
    return button;
  });
  const list = make("div", { class: "lab-pile", role: "radiogroup", "aria-label": name },
    ...buttons.map((button) => make("label", {}, button, make("span", { text: button.value }))));
  Object.defineProperty(list, "value", {
    get: () => buttons.find((button) => button.checked).value,
    set: (option) => buttons.forEach((button) => { button.checked = button.value === option; }),
  });
  return list;
}

// A label beside its control, tied to it by id: a name that is read out, without the options.
function labelled(text, control, attributes = {}) {
  control.id = `lab-${crypto.getRandomValues(new Uint32Array(1))[0].toString(16)}`;
  return make("div", { class: "lab-control", ...attributes }, make("label", { for: control.id, text }), control);
}

function render({ model, el }) {
  const view = model.get("view");
  const names = Object.keys(view.controls);
  const position = model.get("position");

  const controls = make("fieldset", {}, make("legend", { text: "1. Set" }));
  const selects = names.map((name) => (view.stacked.includes(name) ? pile : choice)(name, view.controls[name], position[name]));
  names.forEach((name, index) => controls.append(labelled(name, selects[index])));

  const asked = view.answers.length > 0
    ? choice("prediction", ["", ...view.answers], "")
    : make("input", { name: "prediction", type: "text", autocomplete: "off", spellcheck: "false", placeholder: view.example });
  const run = make("button", { type: "submit", text: "Run" });
  // Where the page can reach the kernel, as in JupyterLab; elsewhere its own ■ does the same.
  const kernel = model.widget_manager?.kernel;
  const stop = make("button", { type: "button", text: "Stop", class: "lab-stop" });
  stop.hidden = true;
  const predict = make(
    "fieldset", {}, make("legend", { text: "2. Predict, then run" }),
    labelled(view.question, asked, { class: "lab-control lab-wide" }), run, stop,
  );

  const preview = make("pre", { class: "lab-preview", "aria-label": "The command this position means" });
  const origin = make("div");
  origin.innerHTML = view.origin;
  const status = make("div", { class: "lab-status", role: "status", "aria-live": "polite" });
  // Beside the status, and not read out: they would speak every second.
  const seconds = make("div", { class: "lab-muted lab-small", "aria-hidden": "true" });
  const meanwhile = make("div", { class: "lab-small", "aria-hidden": "true" });
  const result = make("div", { class: "lab-result", "aria-live": "polite" });
  const form = make("form", { "aria-label": view.title }, controls, preview, predict);
  const panel = make("section", { class: "lab-explorer", "aria-label": view.title },
    make("p", { class: "lab-heading", text: view.title }), origin, form, status, seconds, meanwhile, result);
  el.classList.add("lab");
  el.append(panel);

  // Each control is one parameter: the position is read off the controls, nothing else.
  const read = () => Object.fromEntries(names.map((name, index) => [name, selects[index].value]));

  controls.addEventListener("change", () => {
    asked.value = ""; // a prediction is about one position
    model.set("position", read());
    model.save_changes();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (model.get("busy")) return;
    working(true); // a kernel that is busy with a cell answers later
    model.send({ run: read(), prediction: asked.value });
  });
  stop.addEventListener("click", () => kernel.interrupt());

  let clock = 0;
  const count = () => {
    if (clock) return;
    const since = Date.now();
    const tell = () => { seconds.textContent = `${Math.round((Date.now() - since) / 1000)} s`; };
    clock = setInterval(tell, 1000);
  };
  const working = (busy) => {
    const stopped = document.activeElement === stop;
    run.disabled = busy;
    stop.hidden = !busy || !kernel || !model.get("can_stop");
    panel.setAttribute("aria-busy", String(busy));
    if (busy) return count();
    clearInterval(clock);
    clock = 0;
    seconds.textContent = "";
    if (stopped) run.focus(); // a button that goes must not take the keyboard's place with it
  };

  // JupyterLab has keys of its own; what is typed here is for the form.
  form.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !(event.shiftKey && event.key === "Enter")) event.stopPropagation();
  });

  const follow = {
    position: () => names.forEach((name, index) => { selects[index].value = model.get("position")[name]; }),
    preview: () => { preview.textContent = model.get("preview"); preview.hidden = model.get("preview") === ""; },
    busy: () => working(model.get("busy")),
    can_stop: () => { if (model.get("busy")) working(true); },
    status: () => { status.innerHTML = model.get("status"); },
    meanwhile: () => { meanwhile.innerHTML = model.get("meanwhile"); },
    result: () => { result.innerHTML = model.get("result"); },
  };
  for (const [name, update] of Object.entries(follow)) {
    update();
    model.on(`change:${name}`, update);
  }
  return () => clearInterval(clock);
}

export default { render };
