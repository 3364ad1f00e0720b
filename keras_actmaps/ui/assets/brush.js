// An image to paint on, and the map and the prediction of what is left of it.

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement;
  let panel = root.querySelector(".brush");
  if (!panel) {
    panel = element("div", { class: "brush" });
    panel.innerHTML =
      '<div class="tools" role="group" aria-label="Brush"><label class="field"><span>Brush size<output></output></span>' +
      '<input type="range" name="size" min="1" max="40" step="1" aria-label="Brush size in percent of the width"></label>' +
      '<button type="button" class="undo">Undo</button><button type="button" class="clear">Clear</button>' +
      '<span class="time" role="status"></span></div><div class="pair">' +
      '<figure class="card"><figcaption><b>Paint here</b><span class="note"></span></figcaption>' +
      '<div class="frame"><canvas class="paint" tabindex="0" role="application"></canvas></div></figure>' +
      '<figure class="card"><figcaption><b class="method"></b><span class="note score"></span></figcaption>' +
      '<div class="frame"><canvas class="map" role="img"></canvas></div></figure>' +
      '<div class="predicted"></div></div>';
    root.append(panel);
    panel.strokes = [];
  }
  const part = (selector) => panel.querySelector(selector);
  const paint = part(".paint"), size = part("[name=size]");
  const mask = (panel.mask = panel.mask || document.createElement("canvas"));
  if (panel.key !== data.key) {
    panel.key = data.key;
    panel.strokes = [];
    mask.width = data.width;
    mask.height = data.height;
  }
  if (!size.dataset.set) { size.value = 12; size.dataset.set = "1"; }
  const showSize = () => { part("output").textContent = `${size.value}%`; };
  size.oninput = showSize;
  showSize();
  part(".note").textContent = data.hint;
  part(".method").textContent = data.title;
  part(".score").textContent = data.note;
  paint.setAttribute("aria-label", "The image. Drag to paint; with the keyboard, arrow keys move and space paints.");
  part(".map").setAttribute("aria-label", data.label);
  const map = data.map ? decodeMap(data.map) : null;

  let image = null;
  const radius = () => Math.max(0.75, (size.value / 200) * data.width);
  const drawMask = () => {
    const context = mask.getContext("2d");
    context.fillStyle = "#000";
    context.fillRect(0, 0, mask.width, mask.height);
    context.strokeStyle = "#fff";
    context.lineCap = context.lineJoin = "round";
    for (const stroke of panel.strokes) {
      context.lineWidth = 2 * stroke.radius;
      context.beginPath();
      stroke.points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
      if (stroke.points.length === 1) context.lineTo(stroke.points[0][0] + 0.01, stroke.points[0][1]);
      context.stroke();
    }
  };
  const drawPaint = () => {
    if (!image) return;
    drawOverlay(paint, image, null, currentLook(), null);
    const context = paint.getContext("2d"), scale = paint.width / data.width;
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = "rgba(230,159,0,.55)";
    for (const stroke of panel.live || []) {
      context.lineWidth = 2 * stroke.radius * scale;
      context.beginPath();
      stroke.points.forEach(([x, y], i) => (i ? context.lineTo(x * scale, y * scale) : context.moveTo(x * scale, y * scale)));
      if (stroke.points.length === 1) context.lineTo(stroke.points[0][0] * scale + 0.01, stroke.points[0][1] * scale);
      context.stroke();
    }
    if (panel.cursor) {
      context.lineWidth = 3;
      context.strokeStyle = "#e69f00";
      context.beginPath();
      context.arc(panel.cursor[0] * scale, panel.cursor[1] * scale, radius() * scale, 0, 7);
      context.stroke();
    }
  };
  const drawMap = () => {
    if (image && map && window.__actmapsColors) drawOverlay(part(".map"), image, map, currentLook(), window.__actmapsColors);
  };
  const send = () => {
    drawMask();
    panel.sent = performance.now();
    setStateValue("mask", panel.strokes.length ? mask.toDataURL("image/png") : "");
  };
  loadImage(data.image).then((found) => {
    image = found;
    panel.live = null;
    drawPaint();
    drawMap();
    if (panel.sent && panel.answered !== data.number) {
      const delay = Math.round(performance.now() - panel.sent);
      part(".time").textContent = `updated in ${delay} ms`;
      panel.dataset.delay = String(delay);
      panel.sent = 0;
    }
    panel.answered = data.number;
    panel.dataset.number = String(data.number);
  });

  const place = (event) => {
    const bounds = paint.getBoundingClientRect();
    return [((event.clientX - bounds.left) / bounds.width) * data.width, ((event.clientY - bounds.top) / bounds.height) * data.height];
  };
  paint.onpointerdown = (event) => {
    paint.setPointerCapture(event.pointerId);
    panel.cursor = null;
    panel.live = [{ radius: radius(), points: [place(event)] }];
    drawPaint();
  };
  paint.onpointermove = (event) => {
    if (!event.buttons || !panel.live) return;
    panel.live[0].points.push(place(event));
    drawPaint();
  };
  paint.onpointerup = () => {
    if (!panel.live) return;
    panel.strokes.push(panel.live[0]);
    send();
  };
  paint.onkeydown = (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    panel.cursor = panel.cursor || [data.width / 2, data.height / 2];
    if (move) {
      panel.cursor = panel.cursor.map((at, axis) => {
        const side = axis ? data.height : data.width;
        return Math.max(0, Math.min(side, at + move[axis] * radius()));
      });
      drawPaint();
    } else {
      panel.strokes.push({ radius: radius(), points: [panel.cursor.slice()] });
      send();
    }
  };
  part(".undo").onclick = () => { panel.strokes.pop(); send(); };
  part(".clear").onclick = () => { panel.strokes = []; send(); };

  const predicted = part(".predicted");
  predicted.replaceChildren(element("b", {}, "Prediction"));
  for (const row of data.rows) {
    const line = element("div", { class: "row" });
    const track = element("div", { class: "track", role: "img", "aria-label": `${row.name}: ${row.text}` });
    const fill = element("div", { class: "fill" });
    fill.style.width = `${100 * row.now}%`;
    const before = element("div", { class: "before" });
    before.style.left = `${100 * row.before}%`;
    track.append(fill, before);
    line.append(element("span", { class: "name", title: row.name }, row.name), element("span", { class: "value" }, row.text), track);
    predicted.append(line);
  }
  if (data.rows.length) predicted.append(element("small", {}, "The mark shows the value before the change."));
  window.addEventListener("actmaps-look", drawMap);
  return () => window.removeEventListener("actmaps-look", drawMap);
}
