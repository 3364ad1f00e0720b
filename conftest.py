"""Which modules `pytest --doctest-modules keras_actmaps` collects: those whose frameworks are installed."""

from importlib.util import find_spec

NEEDS = {
    "backend/tensorflow_backend.py": ["tensorflow"],
    "backend/jax_backend.py": ["jax"],
    "backend/torch_backend.py": ["torch"],
    "backend/torch_fx": ["torch"],
    "cli/train.py": ["tensorflow", "tensorflow_datasets"],
    "core/event_files.py": ["tensorboardX"],
    "data": ["tensorflow", "tensorflow_datasets"],
    "training": ["tensorflow", "tensorflow_datasets"],
    "tf_explain": ["tensorflow", "tf_explain"],
    "ui": ["streamlit"],
    "bulk/ray_engine.py": ["ray"],
}  # module or folder of keras_actmaps: what it imports
collect_ignore = [
    f"keras_actmaps/{place}" for place, needs in NEEDS.items() if any(find_spec(need) is None for need in needs)
]
