// Uploads the archive of an entry or of a batch in pieces, by tus-js-client, with the reader's session.
// What the server has is the truth: after every trouble it is asked, and the upload goes on from there,
// also after the page was closed. A browser forgets the file then, so the reader has to choose it again.
//
// The form says what to upload for: `name` (whom an upload that is remembered belongs to), `uploads`,
// `chunk`, `max`; for an entry also `attach` (where to name the upload), `team`, `done` (the page to go
// to) and, where one is under way, `url`, `filename` and `length`.
(() => {
  const PAUSES_S = [1, 2, 4, 8, 15, 30, 30, 60];
  const SIGNED_OUT = "You are no longer signed in. Sign in again, come back and choose the same file to go on.";
  const REMEMBERED = "tidemark";

  // Worth another attempt: no answer, a failing or busy server, an offset that moved, a writer of before.
  const passes = (status) => status === 0 || (status >= 500 && status !== 507) || [408, 409, 423, 429, 460].includes(status);

  const inUnit = (bytes, unit, digits) =>
    (bytes / unit).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  // As the server writes sizes on its pages.
  const size = (bytes) => (bytes >= 2 ** 30 ? `${inUnit(bytes, 2 ** 30, 2)} GB` : `${inUnit(bytes, 2 ** 20, 1)} MB`);

  function time(seconds) {
    if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
    if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
    return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  }

  // What an answer of the API says, in words.
  function words(status, body) {
    if (status === 0) return "The server can't be reached.";
    if ([401, 403].includes(status)) return SIGNED_OUT;
    try {
      const [error] = JSON.parse(body).errors;
      return `${error.detail} ${error.fix}`;
    } catch {
      return `The server answered with ${status}.`;
    }
  }

  // How fast bytes went during the last seconds.
  class Pace {
    samples = [];

    add(sent) {
      const now = performance.now() / 1000;
      this.samples.push([now, sent]);
      while (now - this.samples[0][0] > 8 && this.samples.length > 2) this.samples.shift();
    }

    text(total) {
      const [first, last] = [this.samples[0], this.samples.at(-1)];
      const rate = (last[1] - first[1]) / (last[0] - first[0]);
      if (!(last[0] - first[0] > 1) || !(rate > 0)) return "";
      return `${size(rate)}/s, about ${time((total - last[1]) / rate)} left`;
    }
  }

  function mount(form, given) {
    const data = form.dataset;
    const input = form.querySelector("input[type=file]");
    const bar = form.querySelector("progress");
    const part = (name) => document.getElementById(`upload-${name}`);
    const [share, speed, status, go, pause, cancel] = ["share", "speed", "status", "go", "pause", "cancel"].map(part);
    const headers = { "X-CSRFToken": form.querySelector("[name=csrfmiddlewaretoken]").value };
    const title = document.title;
    const largest = Number(data.max);
    const isKnown = tus.canStoreURLs && tus.defaultOptions.urlStorage;

    let upload = null;
    let pace = new Pace();
    let attached = Promise.resolve();

    const fingerprint = (file) =>
      Promise.resolve([REMEMBERED, data.name, file.name, file.size, file.lastModified].join("-"));

    function say(text, isTrouble = false) {
      status.textContent = text;
      status.classList.toggle("trouble", isTrouble);
    }

    function show(sent, total) {
      part("progress").hidden = false;
      bar.value = total ? sent / total : 0;
      const percent = total ? Math.floor((100 * sent) / total) : 0;
      share.textContent = `${size(sent)} of ${size(total)} (${percent} %)`;
    }

    function atWork(isOn) {
      input.disabled = go.disabled = isOn;
      go.hidden = isOn;
      pause.hidden = !isOn;
      cancel.hidden = !isOn && !upload?.url && !data.url;
      if (!isOn) speed.textContent = "";
      if (!isOn) document.title = title;
    }

    function failed(text) {
      say(text, true);
      atWork(false);
      go.textContent = "Try again";
    }

    // An entry gets its upload before the bytes come, so its page shows them from anywhere.
    async function attach(url, file) {
      if (!data.attach || sameUpload(url, data.url)) return;
      const answer = await fetch(data.attach, {
        method: "POST",
        headers: { ...headers, "Content-Type": "application/json" },
        body: JSON.stringify({ upload: idOf(url) }),
      });
      if (!answer.ok) throw new Error(words(answer.status, await answer.text()));
      [data.url, data.filename, data.length] = [url, file.name, file.size];
    }

    async function remembered(file) {
      const found = await upload.findPreviousUploads();
      return found.find((each) => !data.url || sameUpload(each.uploadUrl, data.url));
    }

    const isOther = (file) => data.url && (file.name !== data.filename || file.size !== Number(data.length));

    async function begin() {
      const file = input.files[0];
      atWork(true);
      pace = new Pace();
      upload = new tus.Upload(file, {
        endpoint: new URL(data.uploads, location).href,
        uploadUrl: data.url ? new URL(data.url, location).href : null,
        chunkSize: Number(data.chunk),
        retryDelays: PAUSES_S.map((seconds) => 1000 * seconds),
        metadata: { filename: file.name, filetype: file.type, ...(data.team ? { team: data.team } : {}) },
        headers,
        fingerprint,
        removeFingerprintOnSuccess: true,
        // An upload that a reader without a session can't see is not gone: it must not be begun anew.
        onAfterResponse(request, response) {
          if (request.getMethod() === "HEAD" && [401, 403].includes(response.getStatus())) throw new Error(SIGNED_OUT);
        },
        onUploadUrlAvailable() {
          say("Uploading. You may leave this page: choose the same file later to go on.");
          attached = attach(upload.url, file).catch(async (error) => {
            await upload.abort();
            failed(error.message);
            throw error;
          });
          attached.catch(() => {});
        },
        onProgress(sent, total) {
          pace.add(sent);
          show(sent, total);
          speed.textContent = pace.text(total);
          document.title = `${Math.floor((100 * sent) / total)} % · ${title}`;
        },
        onShouldRetry(error, attempt) {
          const reply = error.originalResponse;
          if (error.causingError?.message === SIGNED_OUT || !passes(reply?.getStatus() ?? 0)) return false;
          const text = words(reply?.getStatus() ?? 0, reply?.getBody());
          say(`${text} Trying again in ${PAUSES_S[attempt]} s.`);
          speed.textContent = "";
          pace = new Pace();
          return true;
        },
        onError(error) {
          const reply = error.originalResponse;
          const isSignedOut = error.causingError?.message === SIGNED_OUT;
          failed(isSignedOut ? SIGNED_OUT : words(reply?.getStatus() ?? 0, reply?.getBody()));
        },
        async onSuccess() {
          try {
            await attached;
          } catch {
            return;
          }
          show(file.size, file.size);
          say("All is there. The check begins.");
          pause.hidden = cancel.hidden = true;
          if (data.done) {
            location.assign(data.done);
          } else {
            form.elements.upload.value = idOf(upload.url);
            form.submit();
          }
        },
      });
      const before = await remembered(file);
      if (before) upload.resumeFromPreviousUpload(before);
      upload.start();
    }

    async function giveUp() {
      const url = upload?.url ?? data.url;
      say("Cancelling …");
      pause.hidden = cancel.hidden = true;
      try {
        if (upload) await upload.abort();
        const options = { headers, retryDelays: [200, 1000, 2000], httpStack: tus.defaultOptions.httpStack };
        if (url) await tus.Upload.terminate(new URL(url, location).href, options);
      } catch (error) {
        const code = error.originalResponse?.getStatus() ?? 0;
        // What is gone already needs no giving up.
        if (![404, 410].includes(code)) return failed(words(code, error.originalResponse?.getBody()));
      }
      forget();
      upload = null;
      data.url = "";
      part("progress").hidden = true;
      atWork(false);
      say("Cancelled. Nothing of the upload is kept.");
      go.textContent = "Upload";
    }

    function known() {
      const prefix = `tus::${REMEMBERED}-${data.name}-`;
      return isKnown ? Object.keys(localStorage).filter((key) => key.startsWith(prefix)) : [];
    }

    function forget() {
      for (const key of known()) localStorage.removeItem(key);
    }

    // Before anything is sent: what will become of the file that was chosen.
    function chosen() {
      const file = input.files[0];
      go.disabled = true;
      if (!file) return;
      const exact = known().some((key) => key.includes(`-${data.name}-${file.name}-${file.size}-${file.lastModified}::`));
      const isOn = Boolean(data.url) || exact;
      go.textContent = isOn && !isOther(file) ? "Go on" : "Upload";
      if (!isOn) show(0, file.size);
      if (file.size > largest) say(`This server takes ${size(largest)} at most; the file has ${size(file.size)}.`, true);
      else if (file.size === 0) say("The file is empty.", true);
      else if (isOther(file)) say(`What is under way is ${data.filename}, ${size(Number(data.length))}. Choose that file, or cancel its upload first.`, true);
      else {
        say(isOn ? "This upload goes on where it stopped." : "");
        go.disabled = false;
      }
    }

    input.addEventListener("change", chosen);
    go.addEventListener("click", begin);
    cancel.addEventListener("click", giveUp);
    pause.addEventListener("click", async () => {
      await upload.abort();
      atWork(false);
      go.textContent = "Go on";
      say("Paused.");
    });

    form.hidden = false;
    if (data.url) show(Number(data.offset), Number(data.length));
    const cutOff = data.filename || nameOf(known()[0]);
    if (cutOff) {
      say(`The upload of ${cutOff} was cut off. Choose the same file to go on.`);
      go.textContent = "Go on";
    }
    atWork(false);
    if (given) {
      const files = new DataTransfer();
      files.items.add(given);
      input.files = files.files;
      begin();
    } else {
      // Some browsers keep the choice when a page is loaded anew.
      chosen();
    }

    function nameOf(key) {
      return key && JSON.parse(localStorage.getItem(key)).metadata.filename;
    }
  }

  const idOf = (url) => url.replace(/\/$/, "").split("/").pop();
  const sameUpload = (one, other) => Boolean(one && other) && idOf(one) === idOf(other);

  const form = document.getElementById("upload");
  if (form) mount(form);
  // The page that makes an entry shows the form of its upload in its own place, and hands the file over.
  document.addEventListener("upload:begin", (event) => mount(document.getElementById("upload"), event.detail));
})();
