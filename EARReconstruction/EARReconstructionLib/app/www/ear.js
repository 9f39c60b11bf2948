// What the page does by itself: send files, fetch what is ready, and take files that are dropped.
const ear = {
  upload(files, purpose) {
    const file = files && files[0];
    const state = window.trame.state;
    if (!file) return;
    if (file.size > state.get("upload_mb") * 2 ** 20) {
      state.set("message", `${file.name}: it is larger than ${state.get("upload_mb")} MB.`);
      state.set("message_kind", "error");
      return;
    }
    const request = new XMLHttpRequest();
    request.open("POST", `upload/${purpose}?name=${encodeURIComponent(file.name)}`);
    request.upload.onprogress = (event) => state.set("sending", Math.max(1, Math.round((100 * event.loaded) / event.total)));
    request.onloadend = () => {
      state.set("sending", 0);
      if (request.status !== 204) {
        state.set("message", `${file.name}: it did not arrive. Try again.`);
        state.set("message_kind", "error");
      }
    };
    request.send(file);
  },
  choose(id) {
    const input = document.getElementById(id);
    input.value = "";
    input.click();
  },
  fetch(address) {
    if (!address) return;
    const link = document.createElement("a");
    link.href = address;
    link.download = "";
    document.body.append(link);
    link.click();
    link.remove();
  },
};

// Templates reach these as utils.ear.
window.trame.utils.ear = ear;

// A file that misses its field must not replace the page.
for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());

// A view that was hidden comes back with its last small picture: it waits for one of its size.
window.addEventListener("load", ({ target }) => {
  if (target.tagName !== "IMG" || !target.closest(".view")) return;
  target.style.visibility = target.naturalWidth < Math.max(64, target.clientWidth / 2) ? "hidden" : "visible";
}, true);
