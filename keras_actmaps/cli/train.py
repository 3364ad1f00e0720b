"""The command train: from its options to a run folder."""

from keras_actmaps import data
from keras_actmaps.cli.options import TrainOptions
from keras_actmaps.training.run_folder import RunFolder
from keras_actmaps.training.train import train


def run(options: TrainOptions) -> None:
    """Run the command train; ValueError, OSError or ImportError for errors that the user can correct."""
    dataset = options.dataset
    if dataset is None:
        dataset, reason = data.default(options.data_dir)
        print(reason)
    explained = options.explain or (_recorded_methods(options.runs, dataset) if options.resume else None)
    callbacks = None
    if explained:
        from keras_actmaps.callbacks import explain_callback  # imports methods, metrics and pictures

        callbacks = explain_callback.of_run(explained)
    train(
        dataset,
        backbone=options.backbone,
        weights=options.weights,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        limit=options.limit,
        data_dir=options.data_dir,
        seed=options.seed,
        runs=options.runs,
        resume=options.resume,
        callbacks=callbacks,
        notes={"explain": explained} if explained else None,
    )


def _recorded_methods(runs: str, dataset: str) -> str | None:
    """What `--explain` was when the run began, which is then said; None if it was absent."""
    methods = RunFolder(runs, dataset).recorded().get("explain")
    if not isinstance(methods, str):
        return None
    print(f"each epoch is explained by {methods}, as when the run began")
    return methods
