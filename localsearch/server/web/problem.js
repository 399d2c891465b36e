// An error as a page (server/problem_page.py), in the language of whoever looks at it.

import { t, translate } from "./words.js";

const heading = document.querySelector("h1").textContent;
document.title = document.title.replace(heading, t(heading));
for (const told of document.querySelectorAll(".told")) translate(told);
