// A grid of images to choose from, with the keyboard too.

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement;
  let grid = root.querySelector(".gallery");
  if (!grid) {
    grid = element("div", { class: "gallery", role: "group", "aria-label": "Images" });
    root.append(grid);
  }
  grid.replaceChildren();
  for (const item of data.items) {
    const button = element("button", { type: "button", title: item.title, "aria-label": item.title });
    button.setAttribute("aria-pressed", String(item.key === data.chosen));
    if (item.outcome) button.classList.add(item.outcome);
    const image = element("img", { src: item.image, alt: "" });
    button.append(image, element("span", {}, item.caption));
    button.onclick = () => setTriggerValue("pick", item.key);
    grid.append(button);
  }
}
