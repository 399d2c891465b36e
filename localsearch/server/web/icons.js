// Pictures of kinds of files, drawn as lines on a grid of 16.

const SVG = "http://www.w3.org/2000/svg";
const SHEET = "M3.5 1.5h6l3 3v10h-9z M9.5 1.5v3h3";
const SHAPES = {
  text: `${SHEET} M5.5 7.5h5 M5.5 9.5h5 M5.5 11.5h3`,
  pdf: `${SHEET} M5.5 12c2-1 3.5-3.5 3-5-1 .5 0 4 2 4-2-.5-4 .5-5 1z`,
  word: `${SHEET} M5.5 7.5l1 4.5 1.5-4 1.5 4 1-4.5`,
  sheet: "M2.5 3.5h11v9h-11z M2.5 6.5h11 M2.5 9.5h11 M6.5 3.5v9",
  slides: "M2.5 3.5h11v7h-11z M8 10.5v3 M5.5 13.5h5",
  mail: "M2.5 4.5h11v8h-11z M2.5 4.5l5.5 4.5 5.5-4.5",
  web: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11z M2.5 8h11 M8 2.5c-4 3-4 8 0 11 4-3 4-8 0-11",
  code: "M5.5 4.5l-3 3.5 3 3.5 M10.5 4.5l3 3.5-3 3.5 M9 3.5l-2 9",
  book: "M8 4c-1.5-1-3.5-1.200-5.5-1v9.5c2-.2 4 0 5.5 1 1.5-1 3.5-1.200 5.5-1v-9.5c-2-.2-4 0-5.5 1z M8 4v9.5",
  image: "M2.5 3.5h11v9h-11z M2.5 11l3.5-3.5 2.5 2.5 2-2 3 3 M10.5 6a.5.5 0 1 0 .01 0",
  media: "M6 12.5v-8l6-1.5v8 M6 12.5a1.5 1.5 0 1 1-3 0 1.5 1.5 0 0 1 3 0z M12 11a1.5 1.5 0 1 1-3 0 1.5 1.5 0 0 1 3 0z",
  folder: "M1.5 3.5h4.5l1.5 2h7v7.5h-13z",
  box: "M2.5 5.5h11v8h-11z M2.5 5.5l1.5-3h8l1.5 3 M6.5 8h3",
};
const KINDS = {
  pdf: "pdf postscript djvu", word: "docx doc odt rtf", sheet: "xlsx xls ods csv tsv parquet sqlite", slides: "pptx ppt odp", mail: "eml emlx mbox msg pst",
  web: "html zim chm", code: "code notebook json jsonl xml", book: "epub mobi", image: "image", media: "media", folder: "folder", box: "zip tar 7z rar gzip",
};
const SHAPE = Object.fromEntries(Object.entries(KINDS).flatMap(([shape, types]) => types.split(" ").map((type) => [type, shape])));

export function icon(type) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[SHAPE[type] || "text"]);
  svg.append(path);
  return svg;
}
