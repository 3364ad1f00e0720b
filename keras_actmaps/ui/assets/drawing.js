// Shared by the components: decoding of numbers, the look of maps, and drawing.

function decodeBytes(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function decodeMap(map) {
  const integers = new Int16Array(decodeBytes(map.values).buffer);
  const scale = map.largest / 32767;
  const values = new Float32Array(integers.length);
  let highest = 0;
  for (let i = 0; i < integers.length; i++) {
    values[i] = integers[i] * scale;
    if (values[i] > highest) highest = values[i];
  }
  return { values, highest, largest: map.largest, width: map.width, height: map.height };
}

const DEFAULT_LOOK = { colormap: "turbo", opacity: 0.5, threshold: 0, contour: 0, box: 0 };

function currentLook() {
  return (window.__actmapsLook = window.__actmapsLook || { ...DEFAULT_LOOK });
}

// A map as in kam.render.overlay: its positive part divided by its maximum; RdBu_r shows both signs.
function shares(map, look) {
  const found = new Float32Array(map.values.length);
  if (look.colormap === "RdBu_r") {
    const largest = map.largest || 1;
    for (let i = 0; i < found.length; i++) found[i] = map.values[i] / largest;
  } else {
    const highest = map.highest || 1;
    for (let i = 0; i < found.length; i++) found[i] = Math.max(map.values[i], 0) / highest;
  }
  return found;
}

// The colors of a map, with the opacity in the fourth channel.
function colored(map, look, luts) {
  const lut = luts[look.colormap];
  const signed = look.colormap === "RdBu_r";
  const part = shares(map, look);
  const pixels = new ImageData(map.width, map.height);
  const opacity = Math.round(255 * look.opacity);
  for (let i = 0; i < part.length; i++) {
    const share = signed ? (part[i] + 1) / 2 : part[i];
    const entry = 3 * Math.min(255, Math.floor(share * 256));
    pixels.data[4 * i] = lut[entry];
    pixels.data[4 * i + 1] = lut[entry + 1];
    pixels.data[4 * i + 2] = lut[entry + 2];
    pixels.data[4 * i + 3] = look.threshold > 0 && Math.abs(part[i]) < look.threshold ? 0 : opacity;
  }
  return pixels;
}

// The largest connected part (with diagonals) of the pixels above a share of the maximum: [left, top, right, bottom).
function largestBox(map, share) {
  const { width, height, values, highest } = map;
  if (!(highest > 0)) return null;
  const level = share * highest;
  const seen = new Uint8Array(values.length);
  let best = null;
  for (let start = 0; start < values.length; start++) {
    if (seen[start] || !(values[start] > level)) continue;
    const stack = [start];
    seen[start] = 1;
    const box = { size: 0, left: width, top: height, right: 0, bottom: 0 };
    while (stack.length) {
      const at = stack.pop();
      const x = at % width, y = (at - x) / width;
      box.size++;
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x + 1);
      box.top = Math.min(box.top, y);
      box.bottom = Math.max(box.bottom, y + 1);
      for (let dy = -1; dy <= 1; dy++)
        for (let dx = -1; dx <= 1; dx++) {
          const nx = x + dx, ny = y + dy, next = ny * width + nx;
          if (nx < 0 || ny < 0 || nx >= width || ny >= height || seen[next] || !(values[next] > level)) continue;
          seen[next] = 1;
          stack.push(next);
        }
    }
    if (!best || box.size > best.size) best = box;
  }
  return best;
}

function strokeTwice(context, path, scale) {
  context.lineJoin = "round";
  context.strokeStyle = "rgba(0,0,0,.75)";
  context.lineWidth = 4 * scale;
  context.stroke(path);
  context.strokeStyle = "#fff";
  context.lineWidth = 2 * scale;
  context.stroke(path);
}

// The edges between pixels above and below a share of the maximum.
function contourPath(map, share, kx, ky) {
  const level = share * map.highest;
  const path = new Path2D();
  const inside = (x, y) =>
    x >= 0 && y >= 0 && x < map.width && y < map.height && map.values[y * map.width + x] > level;
  for (let y = 0; y < map.height; y++)
    for (let x = 0; x < map.width; x++) {
      if (!inside(x, y)) continue;
      const l = x * kx, r = (x + 1) * kx, t = y * ky, b = (y + 1) * ky;
      if (y > 0 && !inside(x, y - 1)) { path.moveTo(l, t); path.lineTo(r, t); }
      if (y < map.height - 1 && !inside(x, y + 1)) { path.moveTo(l, b); path.lineTo(r, b); }
      if (x > 0 && !inside(x - 1, y)) { path.moveTo(l, t); path.lineTo(l, b); }
      if (x < map.width - 1 && !inside(x + 1, y)) { path.moveTo(r, t); path.lineTo(r, b); }
    }
  return path;
}

// The image and its map on a canvas whose sides are a multiple of the map's.
function drawOverlay(canvas, image, map, look, luts) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const width = map ? map.width : image.naturalWidth || image.width;
  const height = map ? map.height : image.naturalHeight || image.height;
  const factor = Math.max(1, Math.round(560 / Math.max(width, height)));
  if (canvas.width !== width * factor || canvas.height !== height * factor) {
    canvas.width = width * factor;
    canvas.height = height * factor;
  }
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  if (!map) return;
  const layer = document.createElement("canvas");
  layer.width = map.width;
  layer.height = map.height;
  layer.getContext("2d").putImageData(colored(map, look, luts), 0, 0);
  context.drawImage(layer, 0, 0, canvas.width, canvas.height);
  const scale = canvas.width / 320;
  if (look.contour > 0 && map.highest > 0) {
    strokeTwice(context, contourPath(map, look.contour, factor, factor), scale);
  }
  const box = look.box > 0 ? largestBox(map, look.box) : null;
  if (box) {
    const path = new Path2D();
    path.rect(box.left * factor, box.top * factor, (box.right - box.left) * factor, (box.bottom - box.top) * factor);
    strokeTwice(context, path, scale);
  }
}

function loadImage(address) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = reject;
    image.src = address;
  });
}

function element(tag, attributes = {}, text = "") {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  if (text) found.textContent = text;
  return found;
}

function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1000 || size < 0.001 ? value.toExponential(2) : value.toPrecision(3);
}

function announce() {
  window.dispatchEvent(new CustomEvent("actmaps-look"));
}
