// A part of the page that is loaded anew stays scrolled to where the reader was, and the keyboard stays
// on what it was on. What has an id htmx finds again by itself.
(() => {
  const scrollers = () => document.querySelectorAll(".scroll[id], pre[id]");
  const like = (element) =>
    [...document.querySelectorAll(element.tagName)].filter(
      (other) => other.getAttribute("href") === element.getAttribute("href") && other.textContent === element.textContent,
    );
  let places = new Map();
  let focused = null;
  let nth = 0;
  document.addEventListener("htmx:beforeSwap", () => {
    places = new Map([...scrollers()].map((element) => [element.id, [element.scrollLeft, element.scrollTop]]));
    focused = document.activeElement?.matches("a:not([id]), button:not([id]), summary:not([id])") ? document.activeElement : null;
    nth = focused ? like(focused).indexOf(focused) : 0;
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const element of scrollers()) {
      [element.scrollLeft, element.scrollTop] = places.get(element.id) ?? [0, 0];
    }
    if (focused && !focused.isConnected) like(focused)[nth]?.focus({ preventScroll: true });
  });
})();
