// Makes the entry and begins its upload without leaving the page, so that the file is chosen once.
// Without this script the form makes the entry, and the next page is the same as what is shown here.
(() => {
  const form = document.getElementById("entry");
  if (!form) return;
  const archive = document.getElementById("entry-archive");
  archive.hidden = false;
  const file = archive.querySelector("input");
  file.required = true;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const chosen = file.files[0];
    const button = form.querySelector("button.primary");
    button.disabled = true;
    try {
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.getElementById("upload");
      if (next) {
        history.replaceState(null, "", answer.url);
        document.title = page.title;
        document.querySelector("main").replaceWith(document.adoptNode(page.querySelector("main")));
        document.dispatchEvent(new CustomEvent("upload:begin", { detail: chosen }));
        return;
      }
      const fields = page.getElementById("entry-fields");
      if (!fields) throw new Error(`The server answered with ${answer.status}.`);
      document.getElementById("entry-fields").replaceWith(document.adoptNode(fields));
      document.querySelector(".errorlist")?.closest("div").scrollIntoView({ block: "center" });
    } catch (error) {
      const problem = document.getElementById("entry-problem");
      problem.hidden = false;
      problem.textContent = error instanceof TypeError ? "The server can't be reached. Try again." : error.message;
    }
    button.disabled = false;
  });
})();
