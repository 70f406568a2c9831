// Elements from data. Text always becomes text nodes, never markup: names, tags and messages may be hostile.

/** @typedef {Node | string | number | null | undefined | false | Array<any>} Child */
/** @typedef {(event: any) => unknown} Handler */
/** @typedef {Element & {lalaldHandlers?: Record<string, Handler>, lalaldKey?: string}} Handled */

const SVG = "http://www.w3.org/2000/svg";
const LIVE_PROPERTIES = ["value", "checked", "indeterminate"];

/**
 * An HTML element. `on` holds handlers by event, `key` identifies the element among its siblings in `show`,
 * everything else is an attribute: false and null leave it out, true makes it empty.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any> | null} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  fill(element, props ?? {}, children);
  return element;
}

/**
 * An SVG element.
 * @param {string} tag
 * @param {Record<string, any> | null} [props]
 * @param {...Child} children
 */
export function svg(tag, props, ...children) {
  const element = document.createElementNS(SVG, tag);
  fill(element, props ?? {}, children);
  return element;
}

/**
 * Makes `children` the content of `parent`. Elements that are there already are changed in place,
 * so focus, selection, scroll position and open menus survive an update.
 * @param {Element} parent
 * @param {...Child} children
 */
export function show(parent, ...children) {
  const focused = document.activeElement;
  reconcile(parent, nodesOf(children));
  if (focused?.localName === "h1" && !focused.isConnected) parent.querySelector("h1")?.focus({ preventScroll: true });
}

/**
 * @param {Handled} element
 * @param {Record<string, any>} props
 * @param {Child[]} children
 */
function fill(element, props, children) {
  element.append(...nodesOf(children));
  for (const [name, value] of Object.entries(props)) {
    if (name === "on") setHandlers(element, value);
    else if (name === "key") element.lalaldKey = String(value);
    else if (name === "style") setStyle(/** @type {any} */ (element), value);
    else if (value !== false && value !== null && value !== undefined) setAttribute(element, name, value);
  }
}

/** @param {Element} element @param {string} name @param {any} value */
function setAttribute(element, name, value) {
  if (LIVE_PROPERTIES.includes(name) && name in element) /** @type {any} */ (element)[name] = value;
  if (name !== "checked" && name !== "indeterminate") element.setAttribute(name, value === true ? "" : String(value));
}

/**
 * By CSSOM: the page's security policy refuses style attributes.
 * @param {HTMLElement} element @param {Record<string, string | number>} style
 */
function setStyle(element, style) {
  for (const [name, value] of Object.entries(style)) element.style.setProperty(name, String(value));
}

/** @param {Handled} element @param {Record<string, Handler>} handlers */
function setHandlers(element, handlers) {
  const known = element.lalaldHandlers ?? {};
  for (const type of Object.keys(handlers)) {
    if (!(type in known)) element.addEventListener(type, (event) => element.lalaldHandlers?.[type]?.(event));
  }
  element.lalaldHandlers = { ...Object.fromEntries(Object.keys(known).map((type) => [type, () => {}])), ...handlers };
}

/** @param {Child[]} children @returns {Node[]} */
function nodesOf(children) {
  /** @type {Node[]} */
  const nodes = [];
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    nodes.push(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return nodes;
}

/** @param {Element} parent @param {Node[]} wanted */
function reconcile(parent, wanted) {
  const keys = new Set(wanted.map(keyOf).filter((key) => key !== undefined));
  const keyed = new Map();
  for (const child of [...parent.childNodes]) {
    const key = keyOf(child);
    if (key === undefined) continue;
    if (keys.has(key)) keyed.set(key, child);
    else child.remove();
  }
  let at = parent.firstChild;
  for (const next of wanted) {
    const key = keyOf(next);
    const match = next.parentNode === parent ? next : key === undefined ? at : keyed.get(key);
    if (match && (match === next || alike(match, next))) {
      if (match === at) at = at?.nextSibling ?? null;
      else parent.insertBefore(match, at);
      if (match !== next) update(match, next);
    } else {
      parent.insertBefore(next, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

/** @param {Node} node @returns {string | undefined} */
function keyOf(node) {
  return /** @type {any} */ (node).lalaldKey;
}

/** One with `data-own` looks after its content, so it is never changed into another. @param {Node} here @param {Node} next */
function alike(here, next) {
  if (next instanceof Element && next.hasAttribute("data-own")) return false;
  return here.nodeType === next.nodeType && here.nodeName === next.nodeName && keyOf(here) === keyOf(next);
}

/** @param {any} here @param {any} next */
function update(here, next) {
  if (here.nodeType === Node.TEXT_NODE) {
    if (here.data !== next.data) here.data = next.data;
    return;
  }
  for (const { name } of [...here.attributes]) {
    if (name !== "style" && !next.hasAttribute(name) && !(name === "open" && here.localName === "details")) here.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (name !== "style" && here.getAttribute(name) !== value) here.setAttribute(name, value);
  }
  if (here.style && here.style.cssText !== next.style.cssText) here.style.cssText = next.style.cssText;
  if ("value" in next && next.hasAttribute("value") && here !== document.activeElement && here.value !== next.value) here.value = next.value;
  if ("checked" in next) here.checked = next.checked;
  if (next.lalaldHandlers || here.lalaldHandlers) setHandlers(here, next.lalaldHandlers ?? {});
  reconcile(here, [...next.childNodes]);
  if (here.localName === "select" && here !== document.activeElement && next.hasAttribute("value")) here.value = next.getAttribute("value");
}
