// Small helpers to build the page. Text only ever enters as text nodes, so nothing from a file is read as markup.

import { language } from "./words.js";

export const byId = (id) => document.getElementById(id);

export function el(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.className = value;
    else if (key in node && key !== "list") node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Names of files and titles as they are: what would turn or hide part of them is shown as a mark.
export const plain = (text) => String(text).replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, "\ufffd");

// A long name with its middle left out: how it begins and how it ends tell the most.
export function shortened(name, most = 80) {
  const points = Array.from(name);
  const after = Math.floor(most / 3);
  return points.length <= most ? name : `${points.slice(0, most - after - 1).join("")}…${points.slice(-after).join("")}`;
}

// What a name is shortened from, where it may be: for the pointer that rests on it.
export const inFull = (name) => (Array.from(name).length > 30 ? name : "");

// Text with the ranges [start, end) marked. Offsets count code points, as the server does.
export function marked(text, ranges, className = "") {
  const points = Array.from(text);
  const parts = [];
  let at = 0;
  for (const [start, end] of ranges) {
    if (start < at) continue;
    parts.push(points.slice(at, start).join(""), el("mark", { class: className }, points.slice(start, end).join("")));
    at = end;
  }
  parts.push(points.slice(at).join(""));
  return parts;
}

// Put new nodes in a box that keeps the keyboard's place: what had the focus is found again by its data-focus.
export function swap(box, ...nodes) {
  const had = box.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  box.replaceChildren(...nodes);
  if (had === undefined) return true;
  const again = [...box.querySelectorAll("[data-focus]")].find((node) => node.dataset.focus === had);
  again?.focus({ preventScroll: true });
  return Boolean(again);
}

// Draw a part again only when what it shows has changed, with the keyboard where it was; not under an open form.
export function redraw(part, answer, build) {
  const now = JSON.stringify(answer);
  if (now === part.last || part.box.querySelector("details[open] form")) return;
  part.last = now;
  swap(part.box, ...build(answer));
}

export const count = (number) => number.toLocaleString(language);

const places = (number, digits) => number.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const tenths = (number) => places(number, 1);
export const percent = (share) => `${tenths(share * 100)} %`;

export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) { bytes /= 1000; unit += 1; }
  return `${places(bytes, bytes < 10 && unit ? 1 : 0)}\u00a0${units[unit]}`;
}
