// Uploads the archive of a batch in pieces (tus 1.0.0), with the reader's session. What the server
// has is the truth: after every trouble it is asked, and the upload goes on from there, also after
// the page was loaded anew. A browser forgets the file then, so the reader has to choose it again.
(() => {
  const form = document.getElementById("upload");
  if (!form) return;

  const VERSION = "1.0.0";
  const PAUSES_S = [1, 2, 4, 8, 15, 30, 60];
  const file = form.querySelector("input[type=file]");
  const bar = form.querySelector("progress");
  const share = document.getElementById("upload-share");
  const status = document.getElementById("upload-status");
  const go = document.getElementById("upload-go");
  const pause = document.getElementById("upload-pause");
  const csrf = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const chunk = Number(form.dataset.chunk);
  const largest = Number(form.dataset.max);
  const key = `tidemark-upload-${form.dataset.name}`;

  // What becomes of a request; `status` is 0 where no answer came.
  class Failure extends Error {
    constructor(status, text) {
      super(text);
      this.status = status;
    }
  }
  class Paused extends Error {}

  let request = null;
  let wanted = false;
  let attempts = 0;
  // Ends the pause before the next attempt.
  let wake = () => {};

  function remembered() {
    try {
      return JSON.parse(localStorage.getItem(key));
    } catch {
      return null;
    }
  }

  function remember(upload) {
    try {
      if (upload) localStorage.setItem(key, JSON.stringify(upload));
      else localStorage.removeItem(key);
    } catch {
      // Without storage an upload can't go on in a new page; everything else works.
    }
  }

  const isOf = (upload, chosen) =>
    upload && upload.name === chosen.name && upload.size === chosen.size && upload.changed === chosen.lastModified;

  const megabytes = (bytes) =>
    (bytes / 1e6).toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

  function show(sent, size) {
    document.getElementById("upload-progress").hidden = false;
    bar.value = size ? sent / size : 0;
    share.textContent = `${megabytes(sent)} of ${megabytes(size)} MB`;
  }

  function send(method, url, headers, body, onSent) {
    return new Promise((resolve, reject) => {
      request = new XMLHttpRequest();
      request.open(method, url);
      for (const [name, value] of Object.entries({ "Tus-Resumable": VERSION, "X-CSRFToken": csrf, ...headers })) {
        request.setRequestHeader(name, value);
      }
      if (onSent) request.upload.onprogress = (event) => onSent(event.loaded);
      request.onload = () =>
        request.status < 300 ? resolve(request) : reject(new Failure(request.status, reason(request)));
      request.onerror = () => reject(new Failure(0, "The server can't be reached."));
      request.onabort = () => reject(new Paused());
      request.send(body);
    });
  }

  function reason(answer) {
    if ([401, 403].includes(answer.status)) {
      return "You are no longer signed in. Sign in again, come back and choose the same file to go on.";
    }
    try {
      const [error] = JSON.parse(answer.responseText).errors;
      return `${error.detail} ${error.fix}`;
    } catch {
      return `The server answered with ${answer.status}.`;
    }
  }

  async function begin(chosen) {
    const name = btoa(String.fromCharCode(...new TextEncoder().encode(chosen.name)));
    const answer = await send("POST", form.dataset.uploads, {
      "Upload-Length": String(chosen.size),
      "Upload-Metadata": `filename ${name}`,
    });
    const upload = {
      url: answer.getResponseHeader("Location"),
      name: chosen.name,
      size: chosen.size,
      changed: chosen.lastModified,
    };
    remember(upload);
    return upload;
  }

  // How far the server has it, or null where it has forgotten the upload.
  async function offsetOf(upload) {
    try {
      const answer = await send("HEAD", upload.url, {});
      const isSame = Number(answer.getResponseHeader("Upload-Length")) === upload.size;
      return isSame ? Number(answer.getResponseHeader("Upload-Offset")) : null;
    } catch (error) {
      if (error instanceof Failure && [404, 410].includes(error.status)) return null;
      throw error;
    }
  }

  async function transfer(chosen) {
    let upload = remembered();
    let offset = isOf(upload, chosen) ? await offsetOf(upload) : null;
    if (offset === null) {
      upload = await begin(chosen);
      offset = 0;
    }
    status.textContent = "Uploading. You may leave this page: choose the same file later to go on.";
    while (offset < chosen.size) {
      if (!wanted) throw new Paused();
      show(offset, chosen.size);
      const headers = { "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" };
      const from = offset;
      const answer = await send("PATCH", upload.url, headers, chosen.slice(from, from + chunk), (sent) =>
        show(Math.min(from + sent, chosen.size), chosen.size),
      );
      offset = Number(answer.getResponseHeader("Upload-Offset"));
      attempts = 0;
    }
    show(chosen.size, chosen.size);
    return upload;
  }

  // Worth another attempt: no answer, a busy or failing server, an offset that moved, a writer of before.
  const passes = (failure) => failure.status === 0 || failure.status >= 500 || [409, 423, 429].includes(failure.status);

  async function run() {
    const chosen = file.files[0];
    wanted = true;
    attempts = 0;
    file.disabled = go.disabled = true;
    pause.hidden = false;
    while (wanted) {
      try {
        const upload = await transfer(chosen);
        remember(null);
        pause.hidden = true;
        status.textContent = "All is there. The check begins.";
        form.elements.upload.value = upload.url.replace(/\/$/, "").split("/").pop();
        form.submit();
        return;
      } catch (error) {
        if (error instanceof Paused || !wanted) break;
        if (!(error instanceof Failure) || !passes(error) || attempts >= PAUSES_S.length) {
          status.textContent = error.message;
          break;
        }
        const seconds = PAUSES_S[attempts++];
        status.textContent = `${error.message} Trying again in ${seconds} s.`;
        await new Promise((resolve) => {
          wake = resolve;
          setTimeout(resolve, 1000 * seconds);
        });
      }
    }
    if (!wanted) status.textContent = "Paused.";
    wanted = false;
    file.disabled = go.disabled = false;
    go.textContent = "Go on";
    pause.hidden = true;
  }

  function chosenAnew() {
    const chosen = file.files[0];
    go.disabled = !chosen || chosen.size > largest || chosen.size === 0;
    go.textContent = chosen && isOf(remembered(), chosen) ? "Go on" : "Upload";
    if (!chosen) return;
    show(0, chosen.size);
    if (chosen.size > largest) status.textContent = `This server takes ${megabytes(largest)} MB at most.`;
    else if (chosen.size === 0) status.textContent = "The file is empty.";
    else status.textContent = isOf(remembered(), chosen) ? "This upload goes on where it stopped." : "";
  }

  file.addEventListener("change", chosenAnew);
  go.addEventListener("click", run);
  pause.addEventListener("click", () => {
    wanted = false;
    request?.abort();
    wake();
  });

  form.hidden = false;
  const before = remembered();
  if (before) status.textContent = `The upload of ${before.name} was cut off. Choose the same file to go on.`;
  // Some browsers keep the choice when a page is loaded anew.
  chosenAnew();
})();
