// Draws every figure of the page, with the theme's colours in place of var(--name).
(() => {
  const config = { displayModeBar: false, responsive: true };

  function themed(value, style) {
    if (typeof value === "string") {
      const name = /^var\((--[a-z-]+)\)$/.exec(value);
      return name ? style.getPropertyValue(name[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map((item) => themed(item, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, themed(item, style)]));
    }
    return value;
  }

  function draw() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    for (const element of document.querySelectorAll("[data-figure]")) {
      const figure = themed(JSON.parse(document.getElementById(element.dataset.figure).textContent), style);
      const layout = {
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        ...figure.layout,
        font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: read("--ink") },
        hoverlabel: { bgcolor: read("--raised"), bordercolor: read("--rule"), font: { color: read("--ink") } },
      };
      Plotly.react(element, figure.data, layout, config);
    }
  }

  document.addEventListener("themechange", draw);
  document.addEventListener("htmx:afterSettle", draw);
  draw();
})();
