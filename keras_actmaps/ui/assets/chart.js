// Curves, in colors that eyes without red or green tell apart, and with dashes for those without any.

const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const DASHES = ["", "7 4", "2 4", "10 3 2 3", "4 3", "1 3"];
const WIDTH = 480, HEIGHT = 270, LEFT = 44, BOTTOM = 40, TOP = 12, RIGHT = 10;

function drawn(tag, attributes, text = "") {
  const found = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  if (text) found.textContent = text;
  return found;
}

export default function ({ data, parentElement }) {
  const root = parentElement;
  root.querySelector(".chart")?.remove();
  const figure = element("figure", { class: "chart" });
  const label = `${data.y} over ${data.x}: ${data.lines.map((line) => line.name).join(", ")}`;
  const picture = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  const x = (share) => LEFT + share * (WIDTH - LEFT - RIGHT);
  const y = (share) => HEIGHT - BOTTOM - Math.max(0, Math.min(1, share)) * (HEIGHT - BOTTOM - TOP);
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    picture.append(drawn("path", { d: `M${LEFT} ${y(tick)}H${WIDTH - RIGHT}`, class: "grid" }));
    picture.append(drawn("text", { x: LEFT - 7, y: y(tick) + 4, "text-anchor": "end" }, String(tick)));
  }
  for (const [share, text] of data.ticks) {
    picture.append(drawn("text", { x: x(share), y: HEIGHT - BOTTOM + 17, "text-anchor": "middle" }, text));
  }
  picture.append(drawn("text", { x: (LEFT + WIDTH) / 2, y: HEIGHT - 5, "text-anchor": "middle" }, data.x));
  const legend = element("figcaption");
  data.lines.forEach((line, number) => {
    const last = line.values.length - 1 || 1;
    const points = line.values.map((value, i) => `${x(i / last)},${y(value)}`).join(" ");
    const style = { fill: "none", stroke: COLORS[number % 6], "stroke-width": 2.5, "stroke-dasharray": DASHES[number % 6] };
    picture.append(drawn("polyline", { points, ...style }));
    const sample = drawn("svg", { viewBox: "0 0 30 10", width: 30, height: 10, "aria-hidden": "true" });
    sample.append(drawn("path", { d: "M0 5H30", ...style }));
    const name = element("span");
    name.append(sample, document.createTextNode(` ${line.name}`));
    legend.append(name);
  });
  figure.append(picture, legend);
  root.append(figure);
}
