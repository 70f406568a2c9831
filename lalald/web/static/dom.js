// Elements from data. Text becomes text nodes, never markup: names, tags and messages may be hostile.

/**
 * `h("p.hint", { title: "…" }, "text")`: an element with its classes, attributes, handlers (`onclick`) and children.
 * False and null leave an attribute or a child out. `key` identifies an element among its siblings in `show`.
 * @type {Build}
 */
export const h = (selector, ...rest) => {
	const [tag, ...classes] = selector.split(".").filter(Boolean);
	/** @type {any} */
	const element = /^(svg|path)$/.test(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
	const props = isProps(rest[0]) ? /** @type {Props} */ (rest.shift()) : {};
	if (classes.length) element.setAttribute("class", classes.join(" "));
	element.append(...nodesOf(rest));
	for (const [name, value] of Object.entries(props)) if (value !== false && value !== null && value !== undefined) set(element, name, value);
	return element;
};

/** What is there is changed in place, so focus, selection and open menus survive. @type {Show} */
export const show = (parent, ...children) => {
	const focused = document.activeElement;
	reconcile(parent, nodesOf(children));
	if (focused?.localName === "h1" && !focused.isConnected) parent.querySelector("h1")?.focus({ preventScroll: true });
};

const isProps = (/** @type {any} */ value) => typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Node);

/** @type {SetOne} */
const set = (element, name, value) => {
	if (name.startsWith("on")) (element.handlers ??= {})[name] = element[name] = value;
	else if (name === "style") for (const property in value) element.style.setProperty(property, value[property]); // the policy refuses style attributes
	else if (name === "key" || name === "checked") element[name] = value;
	else {
		element.setAttribute(name, value === true ? "" : value);
		if (name === "value") element.value = value;
	}
};

/** @type {NodesOf} */
const nodesOf = (children) => children.flat(Infinity).flatMap((child) => (child instanceof Node ? child : child || child === 0 ? new Text(String(child)) : []));

/** @type {Reconcile} */
const reconcile = (parent, wanted) => {
	const keys = new Set(wanted.map(({ key }) => key));
	const keyed = new Map();
	for (const child of /** @type {any[]} */ ([...parent.childNodes])) {
		if (child.key === undefined) continue;
		if (keys.has(child.key)) keyed.set(child.key, child);
		else child.remove();
	}
	/** @type {any} */
	let at = parent.firstChild;
	for (const next of wanted) {
		const match = next.parentNode === parent ? next : next.key === undefined ? at : keyed.get(next.key);
		const fits = match && (match === next || (match.nodeName === next.nodeName && match.key === next.key));
		if (fits && match === at) at = at.nextSibling;
		else parent.insertBefore(fits ? match : next, at);
		if (fits && match !== next) update(match, next);
	}
	while (at) {
		const gone = at;
		at = at.nextSibling;
		gone.remove();
	}
};

/** @type {Update} */
const update = (here, next) => {
	if (here instanceof Text) return void (here.data !== next.data && (here.data = next.data));
	for (const { name } of [...here.attributes]) if (!next.hasAttribute(name) && name !== "style" && name !== "open") here.removeAttribute(name);
	for (const { name, value } of next.attributes) if (name !== "style" && here.getAttribute(name) !== value) here.setAttribute(name, value);
	if (here.style.cssText !== next.style.cssText) here.style.cssText = next.style.cssText;
	for (const name in { ...here.handlers, ...next.handlers }) here[name] = next.handlers?.[name] ?? null;
	here.handlers = next.handlers;
	if ("checked" in next) here.checked = next.checked;
	reconcile(here, [...next.childNodes]);
	if ("value" in next && next.hasAttribute("value") && here !== document.activeElement) here.value = next.value;
};
