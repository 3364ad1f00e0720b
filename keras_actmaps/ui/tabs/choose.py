"""Choose: a model and an image, and what the model says of it."""

from html import escape

import numpy as np
import streamlit as st

from keras_actmaps.ui import components, limits, theme
from keras_actmaps.ui.explaining import support_of
from keras_actmaps.ui.inputs import Gallery, Picture, decode_upload, read_tokens
from keras_actmaps.ui.models import RANDOM, Choice, Loaded
from keras_actmaps.ui.predictions import probabilities
from keras_actmaps.ui.state import Session

KINDS = {"run": "run", "file": "file", "application": "keras.applications"}


def choose_model(session: Session, available: list[Choice], chosen: Choice | None) -> None:
    """The list of models; a new choice is kept in the session and shown at once."""
    labels = {choice.key: _label(choice) for choice in available}
    index = next((number for number, choice in enumerate(available) if choice == chosen), None)
    picked = st.selectbox(
        "Model",
        list(labels),
        index,
        format_func=lambda key: labels.get(key, key),
        key=f"model-{chosen.key if chosen else ''}",
        placeholder="Choose a model",
    )
    if picked and (chosen is None or picked != chosen.key):
        session.change(model=picked, image="", target="", minus="", layer="")
        st.rerun()


def _label(choice: Choice) -> str:
    random = choice.name.endswith(RANDOM)
    name = choice.name.removesuffix(RANDOM) + (" with random weights" if random else "")
    return f"{name} ({KINDS[choice.kind]})"


def show(session: Session, loaded: Loaded, gallery: Gallery | None, picture: Picture | None) -> None:
    """Draw the tab."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        if loaded.length is not None:
            _tokens(session, loaded)
        elif loaded.shape is None:
            st.info(f"{loaded.model.name} takes inputs of shape {loaded.traced.input_shape}; this page shows images.")
        else:
            _images(session, loaded, gallery, picture)
    with right:
        if picture is not None:
            _prediction(loaded, picture)
        _about(loaded, picture)


def _images(session: Session, loaded: Loaded, gallery: Gallery | None, picture: Picture | None) -> None:
    sources = ["Data set" if loaded.run else "Examples", "Upload or paste", "Camera"]
    source = st.segmented_control("Image from", sources, default=sources[0], key="source") or sources[0]
    if source == sources[0]:
        if gallery is None or not len(gallery):
            st.info("There is no data set for this model; upload an image.")
        else:
            _gallery(session, loaded, gallery, picture)
        return
    if source == "Camera":
        file = st.camera_input("Take a picture", key="camera")
    else:
        types = ["png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff", "ppm"]
        file = st.file_uploader("Image file", types, key="upload", max_upload_size=limits.UPLOAD_MB)
        pasted = components.mount("paste", "paste", {"most": limits.UPLOAD_MB * 1_000_000}, values=("image", "problem"))
        if pasted.problem:
            st.error(str(pasted.problem)[:200])
        if pasted.image:
            _accept(session, loaded, components.decode_address(str(pasted.image)), "pasted image")
    if file is not None and file.file_id != st.session_state.get("accepted"):
        st.session_state.accepted = file.file_id
        _accept(session, loaded, file.getvalue(), file.name)
    if session.message:
        st.error(session.message)
    if picture is not None and picture.key.startswith("upload:"):
        st.image(np.asarray(picture.pixels).squeeze(), width=260, caption=f"{picture.title}, as the model sees it")
        for remark in picture.remarks:
            st.caption(remark)


def _accept(session: Session, loaded: Loaded, content: bytes, name: str) -> None:
    """Decode an upload, keep it and show it; what is wrong with it is said."""
    try:
        picture = decode_upload(content, name, loaded)
    except ValueError as error:
        session.message = str(error)
        return
    session.message = ""
    session.keep_upload(picture)
    session.change(image=picture.key)
    st.rerun()


def _gallery(session: Session, loaded: Loaded, gallery: Gallery, picture: Picture | None) -> None:
    label, outcome, low, high = None, "all", 0.0, 1.0
    if gallery.labels is not None:
        first, second, third = st.columns(3)
        names = ["all classes", *(loaded.name(number) for number in range(int(gallery.labels.max()) + 1))]
        name = first.selectbox("Class", names, key="gallery-class")
        label = names.index(name) - 1 if name != names[0] else None
        outcome = second.selectbox("Classified", ["all", "right", "wrong"], key="gallery-outcome")
        low, high = third.slider("Confidence", 0.0, 1.0, (0.0, 1.0), 0.05, key="gallery-confidence")
    positions = gallery.select(label, outcome, low, high)
    pages = max(1, -(-len(positions) // limits.THUMBNAILS))
    page = st.number_input("Page", 1, pages, key=f"page-{pages}") if pages > 1 else 1
    shown = positions[(page - 1) * limits.THUMBNAILS : page * limits.THUMBNAILS]
    st.caption(f"{len(positions)} of {len(gallery)} images, {gallery.source} data")
    items = [_item(loaded, gallery, position) for position in shown]
    data = {"items": items, "chosen": picture.key if picture else ""}
    picked = components.mount("gallery", "gallery", data, values=("pick",)).pick
    if picked and picked in {item["key"] for item in items} and (picture is None or picked != picture.key):
        session.change(image=picked, target="", minus="")
        st.rerun()


def _item(loaded: Loaded, gallery: Gallery, position: int) -> dict[str, str]:
    item = {"key": f"test:{position}", "image": components.as_png(gallery.pixels[position]), "outcome": ""}
    title, caption = f"image {position}", str(position)
    if gallery.probabilities is not None:
        row = gallery.probabilities[position]
        caption = loaded.name(int(row.argmax()))
        title += f", predicted {caption} ({row.max():.0%})"
        if gallery.labels is not None:
            truth = int(gallery.labels[position])
            item["outcome"] = "right" if truth == row.argmax() else "wrong"
            title += f", true {loaded.name(truth)}"
    return item | {"title": title, "caption": caption}


def _tokens(session: Session, loaded: Loaded) -> None:
    text = st.text_input("Tokens", session.view.image.removeprefix("text:"), key="tokens", placeholder="12 7 301")
    if text:
        try:
            picture = read_tokens(text, loaded)
        except ValueError as error:
            st.error(str(error))
            return
        if picture.key != session.view.image:
            session.change(image=picture.key)
            st.rerun()


def _prediction(loaded: Loaded, picture: Picture) -> None:
    st.subheader("Prediction", anchor=False)
    if picture.pixels is not None:
        truth = "" if picture.label is None else f", true class: {loaded.name(picture.label)}"
        address = components.as_png(np.asarray(picture.pixels))
        st.html(theme.picture(address, f"{picture.title}{truth}", 180))
    values = probabilities(loaded, picture.inputs)
    if values is None:
        st.caption("The outputs of this model are no class scores.")
        return
    best = np.argsort(-values[0])[:5]
    st.html(theme.bars([(loaded.name(int(number)), float(values[0, number])) for number in best]))


def _about(loaded: Loaded, picture: Picture | None) -> None:
    st.subheader("The model", anchor=False)
    count = loaded.model.count_params()
    st.html(
        f"<p><b>{escape(loaded.model.name)}</b>, {count:,} parameters, input {escape(str(loaded.traced.input_shape))}"
        f"<br>{escape(loaded.notice)}</p>"
    )
    with st.expander("Layers"):
        st.dataframe(_layers(loaded), hide_index=True, height=320)
    if picture is None:
        return
    with st.expander("Methods that fit"):
        support = support_of(loaded, picture)
        rows = [{"method": name, "fits": reason or "yes"} for name, reason in support.items()]
        st.dataframe(rows, hide_index=True, height=320)


def _layers(loaded: Loaded) -> list[dict[str, str]]:
    """The layers in the order of execution, with the shapes of their outputs."""
    graph = loaded.traced.graph
    rows = []
    for path, slot in graph.slot_of.items():
        shape = graph.shapes.get(slot)
        rows.append({"layer": path, "output": "" if shape is None else str(tuple(shape))})
    return rows
