// Keys: right, down, space, page down go on; left, up, page up go back; Home and End. The address keeps the slide.
const slides = [...document.querySelectorAll("section")];
const SMALLEST = 0.7;  // of the type, where a slide is fuller than the screen; then it scrolls
const here = () => Math.max(0, slides.findIndex((slide) => `#${slide.id}` === location.hash));
const show = () => {
  const slide = slides[here()], content = slide.firstElementChild;
  slides.forEach((other) => other.classList.toggle("now", other === slide));
  content.style.fontSize = "";
  for (let size = 1; content.scrollHeight > innerHeight * 0.89 && size > SMALLEST;) content.style.fontSize = `${(size -= 0.05)}em`;
  scrollTo(0, 0);
  slide.focus({ preventScroll: true });
};
const go = (place) => { location.replace(`#${slides[Math.max(0, Math.min(slides.length - 1, place))].id}`); };
const steps = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 };
addEventListener("keydown", (event) => {
  if (event.target.closest("button, a, summary, pre[tabindex]") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in steps) go(here() + steps[event.key]);
  else if (event.key === "Home") go(0);
  else if (event.key === "End") go(slides.length - 1);
  else return;
  event.preventDefault();
});
document.documentElement.classList.add("shown");
addEventListener("hashchange", show);
addEventListener("resize", show);
addEventListener("load", show);
