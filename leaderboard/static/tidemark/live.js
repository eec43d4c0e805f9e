// A part of the page that is loaded anew stays scrolled to where the reader was.
(() => {
  const scrollers = () => document.querySelectorAll(".scroll[id], pre[id]");
  let places = new Map();
  document.addEventListener("htmx:beforeSwap", () => {
    places = new Map([...scrollers()].map((element) => [element.id, [element.scrollLeft, element.scrollTop]]));
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const element of scrollers()) {
      [element.scrollLeft, element.scrollTop] = places.get(element.id) ?? [0, 0];
    }
  });
})();
