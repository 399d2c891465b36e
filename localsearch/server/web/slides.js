// A presentation slide by slide: the one with the passage first.

import { address, get } from "./api.js";
import { el, marked, plain } from "./dom.js";
import { t } from "./words.js";

const AROUND = 6000;

// `found(text)` gives the places of words in a text, `current()` whether this is still looked at.
export function showSlides(body, bar, hit, part, found, current) {
  const slides = part.slides;
  const controls = el("div", { class: "row pager" });
  bar.append(controls);
  let [at, asked] = [0, 0];
  const turn = async (to) => {
    const mine = (asked += 1);
    at = Math.max(0, Math.min(to, slides.length - 1));
    const slide = slides[at];
    const whole = part.start <= slide.start && slide.stop <= part.stop ? part
      : await get(address(hit, "passages", { at: slide.start, stop: slide.stop, chars: AROUND })).catch((error) => ({ start: slide.start, text: error.text || error.message }));
    if (!current() || mine !== asked) return;
    draw(slide, Array.from(whole.text).slice(Math.max(0, slide.start - whole.start), slide.stop - whole.start).join(""));
  };
  const draw = (slide, text) => {
    const lines = text.trim().split("\n");
    const below = lines[0].trim() === slide.title.trim() ? lines.slice(1).join("\n").trim() : text.trim();
    const passage = slide.start < Math.max(hit.location.end, hit.location.start + 1) && slide.stop > hit.location.start;
    body.classList.remove("code");
    body.replaceChildren(el("section", { class: passage ? "slide passage" : "slide", "aria-label": t("Slide {0} of {1}", at + 1, slides.length) },
      el("h3", { dir: "auto" }, ...marked(plain(slide.title), found(slide.title))), el("pre", { dir: "auto" }, ...marked(below, found(below)))));
    body.scrollTop = 0;
    const button = (label, sign, to) => el("button", { type: "button", class: "plain", title: label, "aria-label": label, "data-focus": sign, disabled: to < 0 || to >= slides.length, onclick: () => turn(to).then(() => controls.querySelector(`[data-focus="${sign}"]:enabled`)?.focus()) }, sign);
    controls.replaceChildren(button(t("Previous slide"), "‹", at - 1), el("span", { role: "status" }, t("Slide {0} of {1}", at + 1, slides.length)), button(t("Next slide"), "›", at + 1));
  };
  const first = slides.findIndex((slide) => slide.stop > hit.location.start);
  return turn(first < 0 ? slides.length - 1 : first);
}
