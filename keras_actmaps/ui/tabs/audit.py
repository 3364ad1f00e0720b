"""Audit: what the model relies on over a data set, where an audit of its run was saved."""

from pathlib import Path

import streamlit as st

from keras_actmaps.auditing.record import Audit
from keras_actmaps.auditing.report import cluster_png
from keras_actmaps.ui.models import Loaded

HOW = 'kam.audit(run.model(), run.data().test).save("{}/audit.npz")'


def show(loaded: Loaded) -> None:
    """Draw the tab."""
    if loaded.run is None:
        st.info("An audit is shown for the model of a run, from the file audit.npz in its folder.")
        return
    file = loaded.run.path / "audit.npz"
    if not file.is_file():
        st.info("There is no audit of this run yet. These lines of Python save one:")
        st.code(HOW.format(loaded.run.path), "python")
        return
    try:
        audit = _read(str(file), file.stat().st_mtime)
    except ValueError as error:
        st.error(str(error))
        return
    st.subheader(f"{len(audit)} images, {len(audit.clusters)} clusters, {len(audit.flagged)} flagged", anchor=False)
    for line in (*audit.sentences(), *audit.remarks):
        st.text(line)
    names = [cluster.name for cluster in (*audit.flagged, *(one for one in audit.clusters if not one.flagged))]
    name = st.selectbox("Cluster", names, key="audit-cluster")
    if name:
        cluster = next(one for one in audit.clusters if one.name == name)
        st.image(cluster_png(audit, cluster), "flagged" if cluster.flagged else "not flagged", width="stretch")


@st.cache_resource(max_entries=4, show_spinner=False)
def _read(path: str, version: float) -> Audit:
    """The audit in a file; `version` changes with it."""
    return Audit.load(Path(path))
