// The page of a PDF as a picture, with the passage and the words marked on it.

import { address, get } from "./api.js";
import { el } from "./dom.js";
import { t } from "./words.js";

const MOST_WORDS = 900; // characters of words that are asked for

// Draw the page of a hit into `body`, with buttons in `bar`; the text where there is no picture, or it is wanted.
export async function showPage(body, bar, hit, words, asText, current) {
  const controls = el("div", { class: "row pager" });
  bar.append(controls);
  let page = hit.location.page || 1;
  let asked = 0;
  const turn = async (to) => {
    const mine = (asked += 1);
    page = to;
    body.setAttribute("aria-busy", "true");
    try {
      const query = { page, width: Math.min(2000, Math.max(600, Math.round(body.clientWidth * Math.min(window.devicePixelRatio, 2)))), at: hit.location.start, stop: hit.location.end, words: [...words].join(" ").slice(0, MOST_WORDS) };
      const drawn = await get(address(hit, "pages", query));
      if (!current() || mine !== asked) return;
      body.classList.remove("code");
      body.replaceChildren(picture(drawn));
      (body.querySelector(".box.passage") || body.firstElementChild).scrollIntoView({ block: "nearest" });
      draw(drawn);
    } catch (error) {
      if (!current() || mine !== asked) return;
      controls.replaceChildren(el("span", { class: "about" }, error.text || error.message));
      asText();
    } finally {
      if (mine === asked) body.removeAttribute("aria-busy");
    }
  };
  const draw = (drawn) => {
    const button = (label, sign, to) => el("button", { type: "button", class: "plain", title: label, "aria-label": label, disabled: to < 1 || to > drawn.pages, onclick: () => turn(to) }, sign);
    controls.replaceChildren(button(t("Previous page"), "‹", page - 1), el("span", {}, t("Page {0} of {1}", page, drawn.pages)), button(t("Next page"), "›", page + 1),
      el("button", { type: "button", class: "plain", onclick: () => { asked += 1; asText(); controls.replaceChildren(el("button", { type: "button", class: "plain", onclick: () => turn(page) }, t("Show the page"))); } }, t("Show the text")));
  };
  await turn(page);
}

function picture(drawn) {
  const image = el("img", { alt: t("Page {0} of {1}", drawn.page, drawn.pages), width: drawn.width, height: drawn.height, src: `data:image/png;base64,${drawn.png}` });
  const box = (kind) => ([left, top, right, bottom]) => {
    const node = el("span", { class: `box ${kind}`, "aria-hidden": "true" });
    const share = (value) => `${(value * 100).toFixed(3)}%`;
    Object.assign(node.style, { left: share(left), top: share(top), width: share(right - left), height: share(bottom - top) });
    return node;
  };
  return el("div", { class: "sheet", dir: "ltr" }, image, ...drawn.passage.map(box("passage")), ...drawn.words.map(box("word")));
}
