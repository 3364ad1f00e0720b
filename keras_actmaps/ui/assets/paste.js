// A field into which an image is pasted or dropped.

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement;
  if (root.querySelector(".paste")) return;
  const field = element("div", { class: "paste", tabindex: 0, role: "button", "aria-label": "Paste an image here" });
  field.append(element("span", {}, "or click here and paste an image (Ctrl+V)"));
  const send = (file) => {
    if (!file || !file.type.startsWith("image/")) return setTriggerValue("problem", "the clipboard contains no image");
    if (file.size > data.most) return setTriggerValue("problem", "the pasted image is too large");
    const reader = new FileReader();
    reader.onload = () => setTriggerValue("image", reader.result);
    reader.readAsDataURL(file);
  };
  field.onpaste = (event) => { event.preventDefault(); send(event.clipboardData.files[0]); };
  field.ondragover = (event) => event.preventDefault();
  field.ondrop = (event) => { event.preventDefault(); send(event.dataTransfer.files[0]); };
  field.onclick = () => field.focus();
  root.append(field);
}
