// Lays a chapter out as slides. A heading begins one, and so do its objectives, and code after code; what does not fit any more
// begins the next.
// Keys: right, down, space, page down go on; left, up, page up go back; Home and End. The address keeps the slide.
const main = document.querySelector("main");
const HEADING = "h1, h2, h3, h4", CODE = ".input, .output_area";
const blocks = [...main.querySelectorAll(".text_cell_render > *, .cell > .input, .output_area, details.folded")]
  .filter((block) => !block.parentElement.closest("details.folded"));
// Prose of a cell that has no heading leads over to the code after it, so it begins a slide too.
const leads = new Set([...main.querySelectorAll(".text_cell_render")].filter((cell) => !cell.querySelector(HEADING))
  .map((cell) => cell.firstElementChild));
let slides = [];

const add = () => {
  const slide = main.appendChild(document.createElement("section")), content = slide.appendChild(document.createElement("div"));
  slide.tabIndex = -1;
  slide.className = "now";  // shown while it is filled, so that it can be measured
  slides.push(slide);
  return content;
};
const bare = (content) => [...content.children].every((block) => block.matches(HEADING));  // no heading stands alone
const begins = (block, content) => {
  if (bare(content)) return false;
  if (block.matches(HEADING) || block.textContent.startsWith("You will learn")) return true;
  return (leads.has(block) || block.matches(".input")) && [...content.children].some((other) => other.matches(CODE));
};
const layOut = () => {
  const shown = slides[here()]?.querySelector(":scope > div > *");
  slides.forEach((slide) => slide.remove());
  slides = [];
  let content = add(), heading;
  for (const block of blocks) {
    if (begins(block, content)) content = add();
    const first = bare(content);
    content.append(block);
    if (!first && content.offsetHeight > innerHeight * 0.9) (content = add()).append(block);
  }
  slides.forEach((slide, place) => {
    const found = [...slide.querySelectorAll(HEADING)].filter((each) => !each.closest("details"));
    heading = found.at(-1)?.firstChild.textContent ?? heading;
    slide.id = place + 1;
    slide.ariaLabel = `Slide ${place + 1} of ${slides.length}`;
    const footer = slide.appendChild(document.createElement("footer"));
    footer.textContent = `${main.dataset.chapter} ${heading} · ${place + 1} / ${slides.length}`;
  });
  if (shown) location.replace(`#${shown.closest("section").id}`);
  show();
};
const here = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  return Math.max(0, slides.findIndex((slide) => slide.contains(target)));
};
const show = () => {
  slides.forEach((slide, place) => slide.classList.toggle("now", place === here()));
  scrollTo({ top: 0, behavior: "instant" });
  slides[here()].focus({ preventScroll: true });
  more();
};
const go = (place) => {
  location.replace(`#${slides[Math.max(0, Math.min(slides.length - 1, place))].id}`);
  show();
};
const step = (way) => {  // through a slide that is longer than the screen first
  const before = scrollY;
  scrollBy({ top: way * innerHeight * 0.8, behavior: "instant" });
  if (scrollY === before) go(here() + way);
};
const keys = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 };
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || (event.key === " " && event.target.closest("button, summary"))) return;
  if (event.key in keys) step(keys[event.key]);
  else if (event.key === "Home") go(0);
  else if (event.key === "End") go(slides.length - 1);
  else return;
  event.preventDefault();
});
const more = () => document.body.classList.toggle("more", scrollY + innerHeight < document.documentElement.scrollHeight - 2);
addEventListener("scroll", more);
addEventListener("toggle", more, true);  // a hint was opened
addEventListener("hashchange", show);
addEventListener("resize", layOut);
addEventListener("load", () => {
  for (const image of document.images) image.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
  layOut();
  main.querySelectorAll(":scope > :not(section)").forEach((emptied) => emptied.remove());
});
