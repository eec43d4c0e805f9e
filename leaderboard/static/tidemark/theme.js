// The colour buttons work as a form; with script they act at once and nothing is loaded again.
document.addEventListener("click", (event) => {
  const button = event.target.closest(".themes button");
  if (!button) return;
  event.preventDefault();
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `theme=${button.value}; path=/; max-age=31536000; samesite=lax${secure}`;
  document.documentElement.dataset.theme = button.value;
  for (const other of document.querySelectorAll(".themes button")) {
    other.setAttribute("aria-pressed", String(other === button));
  }
  document.dispatchEvent(new Event("themechange"));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  document.dispatchEvent(new Event("themechange"));
});
