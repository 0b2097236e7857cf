// Elements, and lists that are patched in place. Values are set as text or as attributes, never as markup,
// because they come from callers of the service.

/** Creates an element: `el("td.number", { title: "…" }, "text", child)`. `on…` attributes are listeners. */
export function el(selector, attributes = {}, ...children) {
  const [tag, ...classes] = selector.split(".");
  return fill(document.createElement(tag), classes, attributes, children);
}

/** Creates an SVG element. */
export function svg(selector, attributes = {}, ...children) {
  const [tag, ...classes] = selector.split(".");
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), classes, attributes, children);
}

function fill(node, classes, attributes, children) {
  if (classes.length) node.classList.add(...classes);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else setAttribute(node, name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** Sets or removes an attribute, unless it is already so. */
export function setAttribute(node, name, value) {
  if (value == null || value === false) {
    node.removeAttribute(name);
  } else {
    const text = value === true ? "" : String(value);
    if (node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
}

/** Sets the text of an element, unless it is already so: a selection in it survives. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Makes the children of `parent` those of `items`. Rows are kept by key and moved only if their order
 * changed, so that focus and selection survive.
 */
export function patch(parent, items, keyOf, create, update = () => {}) {
  const old = parent.rowsByKey ?? new Map();
  const rows = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const node = old.get(key) ?? create(item);
    old.delete(key);
    rows.set(key, node);
    update(node, item);
  }
  for (const node of old.values()) node.remove();
  let next = parent.firstChild;
  for (const node of rows.values()) {
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
  parent.rowsByKey = rows;
}

/** A table with these columns: `[title, class]` or a title. The rows are put into its `tBodies[0]`. */
export function table(caption, columns, ...bodies) {
  const heads = columns.map((column) => {
    const [title, kind] = [column].flat();
    return el(kind ? `th.${kind}` : "th", { scope: "col" }, title);
  });
  if (!bodies.length) bodies.push(el("tbody"));
  return el("table", {}, el("caption.hidden", {}, caption), el("thead", {}, el("tr", {}, ...heads)), ...bodies);
}

/** A button that copies `text`. */
export function copyButton(text, label) {
  const button = el("button.copy", { "aria-label": label, title: label, type: "button", onclick: copy }, "Copy");
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setText(button, "Copied");
    } catch {
      setText(button, "Not allowed");
    }
    setTimeout(() => setText(button, "Copy"), 1500);
  }
  return button;
}
