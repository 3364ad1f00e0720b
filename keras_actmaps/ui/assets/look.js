// The sliders that change how computed maps are drawn, at once and in the browser only.

const CONTROLS = [
  ["opacity", "Opacity", "How much of the map covers the image"],
  ["threshold", "Hide below", "Share of the maximum below which the map is not drawn"],
  ["contour", "Contour at", "Share of the maximum at which a line is drawn; 0 for none"],
  ["box", "Box at", "Share of the maximum above which the largest part gets a box; 0 for none"],
];

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement;
  window.__actmapsColors = Object.fromEntries(
    Object.entries(data.colormaps).map(([name, text]) => [name, decodeBytes(text)]),
  );
  if (root.querySelector(".look")) return;
  const look = Object.assign(currentLook(), data.look || {});
  const bar = element("div", { class: "look", role: "group", "aria-label": "How the maps are drawn" });
  const select = element("select", { id: "colormap" });
  for (const name of Object.keys(data.colormaps)) {
    const label = name === "RdBu_r" ? "red/blue, signed" : name;
    select.append(element("option", { value: name }, label));
  }
  select.value = look.colormap;
  const field = element("label", { class: "field" });
  field.append(element("span", {}, "Color map"), select);
  bar.append(field);
  const changed = () => { window.__actmapsChanged = performance.now(); announce(); };
  const finished = () => setStateValue("look", { ...look });
  select.onchange = () => { look.colormap = select.value; changed(); finished(); };
  for (const [name, title, help] of CONTROLS) {
    const label = element("label", { class: "field", title: help });
    const value = element("output", {}, "");
    const slider = element("input", { type: "range", min: 0, max: name === "opacity" ? 1 : 0.95, step: 0.05, name });
    slider.setAttribute("aria-label", `${title}: ${help}`);
    const show = () => { value.textContent = look[name] === 0 && name !== "opacity" ? "off" : look[name].toFixed(2); };
    slider.value = look[name];
    slider.oninput = () => { look[name] = Number(slider.value); show(); changed(); };
    slider.onchange = finished;
    show();
    const head = element("span", {}, title);
    head.append(value);
    label.append(head, slider);
    bar.append(label);
  }
  root.append(bar);
  announce();
}
