// One map over its image: drawn with the look of the page, read by hovering, asked by a click.

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement;
  let card = root.querySelector(".card");
  if (!card) {
    card = element("figure", { class: "card" });
    card.innerHTML =
      '<figcaption><b class="title"></b><span class="note"></span></figcaption>' +
      '<div class="frame"><canvas tabindex="0" role="img"></canvas><div class="wait" hidden><i></i><span></span></div></div>' +
      '<div class="foot"><span class="read" aria-live="off"></span><button type="button" class="save">Save PNG</button></div>';
    root.append(card);
  }
  const part = (selector) => card.querySelector(selector);
  const canvas = part("canvas");
  part(".title").textContent = data.title;
  part(".note").textContent = data.note;
  part(".note").title = data.note;
  card.classList.toggle("failed", data.state === "failed");
  const waits = !["done", "image"].includes(data.state);
  part(".wait").hidden = !waits;
  part(".wait span").textContent = data.message || "";
  part(".wait i").hidden = data.state === "failed" || data.state === "stopped";
  part(".save").hidden = waits;
  const map = data.map ? decodeMap(data.map) : null;
  const resting = data.hint || "";
  part(".read").textContent = resting;
  canvas.setAttribute("aria-label", data.label);
  canvas.style.aspectRatio = `${data.width} / ${data.height}`;

  let image = null;
  const draw = () => {
    const luts = window.__actmapsColors;
    if (!image || (map && !luts)) return;
    drawOverlay(canvas, image, map, currentLook(), luts);
    card.dataset.drawn = String(performance.now());
    if (window.__actmapsChanged) card.dataset.delay = String(performance.now() - window.__actmapsChanged);
  };
  loadImage(data.image).then((found) => { image = found; draw(); });

  const place = (event) => {
    const bounds = canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - bounds.left) / bounds.width) * data.width);
    const y = Math.floor(((event.clientY - bounds.top) / bounds.height) * data.height);
    return { x: Math.max(0, Math.min(data.width - 1, x)), y: Math.max(0, Math.min(data.height - 1, y)) };
  };
  canvas.onpointermove = (event) => {
    const { x, y } = place(event);
    part(".read").textContent = map ? `(${x}, ${y}): ${short(map.values[y * data.width + x])}` : `(${x}, ${y})`;
  };
  canvas.onpointerleave = () => { part(".read").textContent = resting; };
  canvas.onclick = (event) => { if (data.asks) setTriggerValue("place", place(event)); };
  canvas.onkeydown = (event) => {
    if (data.asks && event.key === "Enter") {
      setTriggerValue("place", { x: Math.floor(data.width / 2), y: Math.floor(data.height / 2) });
    }
  };
  part(".save").onclick = () => {
    const link = element("a", { href: canvas.toDataURL("image/png"), download: data.file });
    link.click();
  };
  window.addEventListener("actmaps-look", draw);
  return () => window.removeEventListener("actmaps-look", draw);
}
